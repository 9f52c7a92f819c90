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
