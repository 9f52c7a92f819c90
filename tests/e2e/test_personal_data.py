"""A person's data end to end: all of it given out, all of it forgotten, and the books still right.

Canaries, strings found nowhere else, are planted wherever a person can write, and looked for
afterwards in every text, JSON and byte column of every database, in all logs and over HTTP.
"""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from breaking import lawful
from e2e.test_buying import guest_cart
from harness import eventually
from shopping import ON_ACCOUNT, PASSWORD, card, new_key

from merkato import config

# Public by contract, or another person's: never blanked. See docs/personal-data.md.
OUTSIDE = {"migrations"}


class Canary:
    """A person all of whose words hold a string that is found nowhere else."""

    def __init__(self):
        self.word = f"canary{uuid4().hex[:12]}"
        self.email = f"{self.word}@example.org"
        self.address = {
            "name": f"Ada {self.word}", "company": f"{self.word} Ltd", "country": "DE",
            "lines": [f"1 {self.word} Row", f"c/o {self.word}"], "city": f"{self.word} Bay",
            "region": self.word, "postal_code": self.word[:20], "phone": f"+49 {self.word}",
            "tax_id": f"DE{self.word}",
        }  # fmt: skip

    def order(self, shop, sku, payment=ON_ACCOUNT, n=1):
        body = shop.order_of({sku: n}, self.email, payment)
        return body | {
            "contact": {"email": self.email, "name": f"Ada {self.word}", "phone": self.word},
            "shipping_address": self.address, "billing_address": self.address,
            "metadata": {"gift": f"for {self.word}"},
        }  # fmt: skip


async def found(shop, word):
    """Name the columns (service, table) that hold a word, as text or as bytes."""
    places = set()
    for service in config.SERVICES:
        connection = await asyncpg.connect(shop.engines.audit_urls[service], timeout=10)
        try:
            rows = await connection.fetch(
                "select table_name from information_schema.tables"
                " where table_schema = 'public' and table_type = 'BASE TABLE'"
            )
            for name in {row["table_name"] for row in rows} - OUTSIDE:
                hexed = word.encode().hex()
                query = (
                    f'select count(*) from "{name}" t'
                    " where position($1 in lower(t::text)) > 0 or position($2 in t::text) > 0"
                )
                if await connection.fetchval(query, word, hexed):
                    places.add((service, name))
        finally:
            await connection.close()
    return places


def logged(shop, word):
    """Name the log files that hold a word, PostgreSQL's and the broker's among them."""
    files = [*shop.home.glob("logs/*"), *shop.home.glob("run/*")]
    return [
        file.name for file in files if file.is_file() and word in file.read_text("utf-8", "replace")
    ]


async def forgotten(shop, word, kept=frozenset()):
    """Wait until nothing but what is `kept` holds a word any more."""
    for _ in range(80):
        left = await found(shop, word) - kept
        if not left:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(left)


async def a_life(shop, canary):
    """Register and do all that a customer can do; gives (access token, orders)."""
    account = {"email": canary.email, "password": PASSWORD, "name": f"Ada {canary.word}"}
    await shop.ok("POST", "/api/v1/auth/register", account)
    token = await shop.log_in(canary.email)
    await shop.ok("POST", "/api/v1/me/addresses", canary.address, token=token, key=new_key())
    sku = await shop.sell(stock=50)
    places = [
        canary.order(shop, sku, n=3),
        canary.order(shop, sku, card("pm_card_visa")),
        canary.order(shop, sku, card("pm_card_chargeDeclined")),
        canary.order(shop, sku, card("pm_card_authenticationRequired")),
    ]
    orders = [(await shop.place(body, token=token)).json() for body in places]
    for order in orders[:2]:
        await shop.until(order["id"])
    cart = await shop.ok("POST", "/api/v1/carts", {"currency": "EUR"}, token=token)
    details = {"contact": places[0]["contact"], "shipping_address": canary.address,
               "metadata": {"note": canary.word}}  # fmt: skip
    await shop.ok("PATCH", f"/api/v1/carts/{cart['id']}", details, token=token)
    await after_sale(shop, canary, orders, token)
    await staff_write(shop, canary, orders)
    return token, orders


async def after_sale(shop, canary, orders, token):
    path = f"/api/v1/orders/{orders[0]['id']}"
    parcel = {"carrier": "DHL", "tracking": "JD0146"}
    await shop.ok("POST", f"{path}/shipments", parcel, token=shop.admin, key=new_key())
    back = {"lines": [{"line_no": 1, "quantity": 1}], "note": f"{canary.word} is too blue"}
    returned = await shop.ok("POST", f"{path}/returns", back, token=token, key=new_key())
    receipt = f"/api/v1/returns/{returned['id']}/receipt"
    await shop.ok("POST", receipt, {}, token=shop.admin, key=new_key())
    reason = {"reason": f"{canary.word} has changed her mind"}
    cancelled = f"/api/v1/orders/{orders[1]['id']}/cancellation"
    await shop.ok("POST", cancelled, reason, token=token, key=new_key())


async def staff_write(shop, canary, orders):
    """What staff write about a person, here and there."""
    admin = shop.admin
    [user] = (await shop.ok("GET", f"/api/v1/users?q={canary.word}", token=admin))["items"]
    shown = await shop("GET", f"/api/v1/users/{user['id']}", token=admin)
    note = {"metadata": {"remark": f"calls herself {canary.word}"}}
    tag = {"if-match": shown.headers["etag"]}
    await shop.ok("PATCH", f"/api/v1/users/{user['id']}", note, token=admin, headers=tag)
    paid = await shop.ok("GET", f"/api/v1/payments?order_id={orders[1]['id']}", token=admin)
    payment = paid["items"][0]["id"] if "items" in paid else paid["id"]
    body = {"note": f"{canary.word} called"}
    shown = await shop("GET", f"/api/v1/payments/{payment}", token=admin)
    tag = {"if-match": shown.headers.get("etag", "")}
    await shop.ok("PATCH", f"/api/v1/payments/{payment}", body, token=admin, headers=tag)
    mail = {"recipient": canary.email, "subject": f"Dear {canary.word}", "text": canary.word}
    await shop.ok("POST", "/api/v1/notifications", mail, token=admin, key=new_key())
    promote = mail | {"customer_id": user["id"], "kind": "marketing", "subject": canary.word}
    await shop.ok("POST", "/api/v1/notifications", promote, token=admin, key=new_key())


async def test_all_that_is_kept_is_given_and_then_forgotten(shop):
    canary, other = Canary(), Canary()
    token, orders = await a_life(shop, canary)
    _, neighbour = await shop.member()
    placed = await shop.place(other.order(shop, await shop.sell()), token=neighbour)
    await shop.until(placed.json()["id"])

    async def settled():
        mails = await shop.mails(canary.email)
        return len(mails) >= 12

    await eventually(settled)
    export = await shop.ok("GET", "/api/v1/me/export", token=token)
    assert {one["id"] for one in export["orders"]} == {order["id"] for order in orders}
    assert export["orders"][0]["contact"]["email"] == canary.email
    assert {one["order_id"] for one in export["payments"]} == {order["id"] for order in orders}
    assert len(export["carts"]) >= 1
    assert any(one["template"] == "order_confirmed" for one in export["messages"])
    assert export["addresses"][0]["name"] == canary.address["name"]
    assert other.word not in str(export)

    before = await found(shop, canary.word)
    assert {name for name, _ in before} >= {"users", "orders", "payments", "notifications"}
    tag = {"if-match": (await shop("GET", "/api/v1/me", token=token)).headers["etag"]}
    gone = await shop("DELETE", "/api/v1/me", token=token, headers=tag)
    assert gone.status == 204
    await forgotten(shop, canary.word)
    assert logged(shop, canary.word) == []
    user = export["profile"]["id"]
    for _ in range(2):  # harmless
        again = await shop("POST", f"/api/v1/users/{user}/erasure", {}, token=shop.admin)
        assert again.status == 204
    await still_works(shop, canary, orders)
    assert await found(shop, other.word), "others are remembered"
    await lawful(shop)


async def still_works(shop, canary, orders):
    """Orders of somebody who was erased go on, and tell nobody."""
    shown = await shop.order(orders[0]["id"])
    assert (shown["contact"], shown["shipping_address"]) == (None, None)
    assert shown["totals"]["grand_minor"] == orders[0]["totals"]["grand_minor"]
    mails = len(await shop.mails(canary.email))
    for order in orders[2:]:
        assert (await shop.cancel(order["id"])).status == 200
    back = {"lines": [{"line_no": 1, "quantity": 1}], "received": True}
    path = f"/api/v1/orders/{orders[0]['id']}/returns"
    await shop.ok("POST", path, back, token=shop.admin, key=new_key())
    await asyncio.sleep(1)
    assert len(await shop.mails(canary.email)) == mails
    assert await found(shop, canary.word) == set()


async def test_a_guest_is_forgotten_by_address(shop):
    canary = Canary()
    sku = await shop.sell()
    path, guest = await guest_cart(shop, {sku: 1}, canary.email)
    cart_id = path.rsplit("/", 1)[-1]
    body = canary.order(shop, sku) | {"cart_id": cart_id}
    del body["lines"]
    order = (await shop.place(body, cart=guest)).json()
    await shop.until(order["id"])
    await shop.cancel(order["id"], order=order["token"])

    async def told():
        return len(await shop.mails(canary.email)) >= 3

    await eventually(told)
    assert await found(shop, canary.word)
    everything = {"email": canary.email.upper()}
    erased = await shop.ok("POST", "/api/v1/orders/erasures", everything, token=shop.admin)
    assert erased == {"erased": 1, "of_accounts": 0}
    await forgotten(shop, canary.word)
    assert logged(shop, canary.word) == []
    await lawful(shop)


@pytest.mark.parametrize("part", ["orders", "carts", "payments", "notifications"])
async def test_what_services_give_each_other_is_not_given_to_people(shop, part):
    answer = await shop("GET", f"/api/v1/{part}/personal-data/{uuid4()}", token=shop.admin)
    assert answer.status == 404
