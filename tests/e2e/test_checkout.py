"""Checkout in full: coupons down to nothing, in two steps, and orders placed by a program."""

import re

from e2e.test_cards import payment_of, until_payment
from harness import eventually
from shopping import card, new_key


async def coupon(shop, **body):
    """Make a coupon as staff; gives its code."""
    code = f"E2E-{new_key()[:12]}"
    await shop.ok("PUT", f"/api/v1/coupons/{code}", body, token=shop.admin)
    return code


async def state_of_use(shop, code):
    found = await shop.ok("GET", f"/api/v1/coupons/{code}/uses", token=shop.admin)
    one = await shop.ok("GET", f"/api/v1/coupons/{code}", token=shop.admin)
    return [use["state"] for use in found["items"]], one["uses"]


async def test_an_order_that_costs_nothing_is_confirmed_without_the_processor(shop):
    code = await coupon(shop, kind="percent", basis_points=10_000, uses_max=1)
    email, token = await shop.member()
    sku = await shop.sell(price=2_000, stock=3, requires_shipping=False)
    moved = await shop.ledger()
    pay = card("pm_card_chargeDeclinedInsufficientFunds")  # it would say no, were it asked
    body = shop.order_of({sku: 1}, email, pay, shipping_method=None, coupon=code)
    placed = await shop.place(body, token=token)
    assert placed.status == 202, placed
    order = placed.json()
    assert (order["totals"]["discount_minor"], order["totals"]["grand_minor"]) == (2_000, 0)
    await shop.until(order["id"])
    payment = await payment_of(shop, order, token)
    assert [one["reference"] for one in payment["operations"]] == [None]
    assert await shop.ledger() == moved

    async def mailed():
        return len(await shop.mails_about(order["id"], "confirmed")) == 1

    await eventually(mailed)
    assert await state_of_use(shop, code) == (["used"], 1)
    assert (await shop.place(body, token=token)).status == 409
    assert (await shop.cancel(order["id"], token=token)).status == 200
    assert await state_of_use(shop, code) == (["freed"], 0)

    async def back():
        return await shop.shelf(sku) == (3, 0)

    await eventually(back)
    assert len(await shop.mails_about(order["id"], "confirmed")) == 1


async def test_a_coupon_is_used_once_by_a_payment_in_two_steps(shop):
    code = await coupon(shop, kind="fixed", amounts={"EUR": 500}, uses_max=1)
    email, token = await shop.member()
    sku = await shop.sell(price=2_000, stock=3)
    body = shop.order_of({sku: 1}, email, card("pm_card_threeDSecure2Required"), coupon=code)
    order = (await shop.place(body, token=token)).json()
    payment = await until_payment(shop, order, token, "action_required")
    assert (payment["amount_minor"], await state_of_use(shop, code)) == (1_990, (["held"], 1))
    [url] = [one["url"] for one in payment["operations"] if one["url"]]
    page = await shop("GET", url)
    assert re.search(r'name="answer" value="accept"', page.body.decode())
    form = {"content-type": "application/x-www-form-urlencoded"}
    await shop("POST", url, b"answer=accept", headers=form)
    await shop.until(order["id"])
    assert await state_of_use(shop, code) == (["used"], 1)
    assert (await until_payment(shop, order, token, "captured"))["captured_minor"] == 1_990


async def test_a_program_places_what_was_agreed_on_for_a_customer(shop):
    scopes = ["orders:place-for", "orders:agree-prices", "orders:read"]
    body = {"name": "office", "scopes": scopes}
    made = await shop.ok("POST", "/api/v1/api-keys", body, token=shop.admin, key=new_key())
    token, email = made["key"], f"office-{new_key()}@example.org"
    sku = await shop.sell(price=2_000, stock=9)
    body = shop.order_of({sku: 1}, email, customer_id=None, reference=f"invoice {new_key()}")
    euros = {"amount_minor": 1_500, "currency": "EUR"}
    body["lines"] += [{"sku": sku, "quantity": 2, "agreed_price": euros}]
    body |= {"agreed_shipping": euros | {"amount_minor": 99}}
    placed = await shop.place(body, token=token)
    assert placed.status == 202, placed
    order = placed.json()
    assert order["totals"]["grand_minor"] == 2_000 + 2 * 1_500 + 99
    await shop.until(order["id"])
    found = await shop.ok("GET", f"/api/v1/orders?reference={body['reference'].replace(' ', '+')}",
                          token=token)  # fmt: skip
    assert [one["id"] for one in found["items"]] == [order["id"]]
    refused = await shop.place(body | {"cart_id": None}, token=token, key=new_key())
    assert refused.json()["type"] == "/problems/state-conflict"
