"""What people are told about their orders, end to end."""

import re

from e2e.test_buying import guest_cart
from harness import eventually
from shopping import ADDRESS, ON_ACCOUNT, new_key


async def test_a_guests_mail_leads_to_the_order_and_nobody_elses(shop):
    sku = await shop.sell()
    path, guest = await guest_cart(shop, {sku: 1})
    email = f"guest-{new_key()[:8]}@example.org"
    body = {
        "cart_id": path.rsplit("/", 1)[-1], "contact": {"email": email},
        "shipping_address": ADDRESS, "shipping_method": "standard", "payment": ON_ACCOUNT,
    }  # fmt: skip
    order = (await shop.place(body, cart=guest)).json()

    async def confirmed():
        found = [mail for mail in await shop.mails(email) if "confirmed" in mail["subject"]]
        return found[0] if found else None

    mail = await eventually(confirmed)
    text = (await shop.ok("GET", f"{shop.outside[0]}/api/messages/{mail['id']}"))["text"]
    [token] = re.findall(rf"/orders/{order['id']}\?token=(\S+)", text)
    shown = await shop.ok("GET", f"/api/v1/orders/{order['id']}", order=token)
    assert shown["number"] == order["number"]
    rows = await shop.sql("notifications", "select * from messages where recipient = $1", email)
    assert token not in repr([dict(row) for row in rows])
    refused = await shop("POST", "/api/v1/orders/tokens", {"order_ids": [order["id"]]})
    assert refused.status == 404, "for services only"


async def test_a_customer_who_wants_it_is_told_of_parcels_on_the_telephone(shop):
    sku = await shop.sell()
    email, token = await shop.member()
    path = "/api/v1/me/notification-preferences"
    shown = await shop("GET", path, token=token)
    choice = {"items": [{"kind": "order", "channel": "sms", "wanted": True}]}
    tag = {"if-match": shown.headers["etag"]}
    await shop.ok("PUT", path, choice, token=token, headers=tag)
    phone = f"+4930{int(new_key()[:6], 16):08d}"
    body = shop.order_of({sku: 1}, email)
    body["contact"] = {"email": email, "phone": phone}
    order = (await shop.place(body, token=token)).json()
    await shop.until(order["id"])
    parcel = {"carrier": "DHL", "tracking": "JD0146"}
    where = f"/api/v1/orders/{order['id']}/shipments"
    await shop.ok("POST", where, parcel, token=shop.admin, key=new_key())

    async def rung():
        taken = await shop.ok(
            "GET", f"{shop.outside[2]}/api/messages?to={phone.replace('+', '%2B')}"
        )
        return taken["items"]

    [text] = await eventually(rung)
    assert "JD0146" in text["data"]["text"]
    assert text["data"]["url"].endswith(f"/orders/{order['id']}")
