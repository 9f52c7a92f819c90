"""Cards, against the stand-in processor: every outcome ends in one charge or none."""

import re

from harness import eventually
from shopping import card, new_key


async def ordered(shop, payment, *, price=2_000, stock=5):
    """Place an order that a card is to pay: (order, token of its customer, sku)."""
    email, token = await shop.member("card")
    sku = await shop.sell(price=price, stock=stock)
    placed = await shop.place(shop.order_of({sku: 1}, email, payment), token=token)
    assert placed.status == 202, placed
    return placed.json(), token, sku


async def payment_of(shop, order, token):
    found = await shop.ok("GET", f"/api/v1/payments?order_id={order['id']}", token=token)
    return found["items"][0]


async def until_payment(shop, order, token, *states, seconds=20.0):
    async def there():
        answer = await shop("GET", f"/api/v1/payments?order_id={order['id']}", token=token)
        found = answer.json()["items"][0] if answer.status == 200 else {"state": None}
        return found if found["state"] in states else None

    return await eventually(there, seconds=seconds, pause=0.1)


async def moved(shop, payment):
    """(charged, refunded) at the processor for a payment of ours."""
    references = {one["reference"] for one in payment["operations"] if one["reference"]}
    rows = [row for row in await shop.ledger() if row["payment_intent"] in references]
    charged = sum(row["amount"] for row in rows if row["kind"] == "capture")
    refunded = sum(row["amount"] for row in rows if row["kind"] == "refund")
    return charged, refunded


async def test_an_approved_card_is_charged_once(shop):
    order, token, _ = await ordered(shop, card("pm_card_visa"))
    confirmed = await shop.until(order["id"])
    payment = await until_payment(shop, order, token, "captured")
    assert payment["captured_minor"] == order["totals"]["grand_minor"] == 2_490
    assert await moved(shop, payment) == (2_490, 0)
    assert confirmed["payment_status"] in ("authorised", "paid")


async def test_a_declined_card_and_then_another(shop):
    order, token, sku = await ordered(shop, card("pm_card_chargeDeclinedInsufficientFunds"))
    await until_payment(shop, order, token, "declined")
    assert (await shop.order(order["id"]))["status"] == "placed"
    assert await shop.shelf(sku) == (5, 1)
    pay = {"order_id": order["id"], "method": "card", "payment_token": "pm_card_visa"}
    key = new_key()
    for _ in range(2):
        again = await shop("POST", "/api/v1/payments", pay, token=token, key=key)
        assert again.status == 202, again
    await shop.until(order["id"])
    payment = await until_payment(shop, order, token, "captured")
    assert await moved(shop, payment) == (2_490, 0)
    timeline = await shop.ok("GET", f"/api/v1/orders/{order['id']}/timeline", token=token)
    assert "payment_declined" in [step["what"] for step in timeline["items"]]
    more = await shop("POST", "/api/v1/payments", pay, token=token, key=new_key())
    assert more.status == 409


async def test_a_challenge_is_walked_through_at_the_bank(shop):
    order, token, _ = await ordered(shop, card("pm_card_threeDSecure2Required"))
    payment = await until_payment(shop, order, token, "action_required")
    [url] = [one["url"] for one in payment["operations"] if one["url"]]
    page = await shop("GET", url)
    assert page.status == 200
    assert re.search(r'name="answer" value="accept"', page.body.decode())
    form = {"content-type": "application/x-www-form-urlencoded"}
    back = await shop("POST", url, b"answer=accept", headers=form)
    assert back.status in (302, 303)
    assert back.headers["location"].startswith(shop.base_url)
    await shop.until(order["id"])
    payment = await until_payment(shop, order, token, "captured")
    assert await moved(shop, payment) == (2_490, 0)


async def test_a_refused_challenge_leaves_the_order_to_be_paid(shop):
    order, token, _ = await ordered(shop, card("pm_card_threeDSecure2Required"))
    payment = await until_payment(shop, order, token, "action_required")
    [url] = [one["url"] for one in payment["operations"] if one["url"]]
    form = {"content-type": "application/x-www-form-urlencoded"}
    await shop("POST", url, b"answer=refuse", headers=form)
    payment = await until_payment(shop, order, token, "declined")
    assert await moved(shop, payment) == (0, 0)
    assert (await shop.order(order["id"]))["status"] == "placed"
    assert (await shop.cancel(order["id"], token=token)).status == 200


async def test_charged_without_an_answer_is_found_out_and_charged_once(shop):
    order, token, _ = await ordered(shop, card("pm_standin_charge_then_hang"))
    await shop.until(order["id"], seconds=60)
    payment = await until_payment(shop, order, token, "captured", seconds=60)
    assert await moved(shop, payment) == (2_490, 0)


async def test_charged_and_answered_500_is_charged_once(shop):
    order, token, _ = await ordered(shop, card("pm_standin_charge_then_500"))
    await shop.until(order["id"], seconds=60)
    payment = await until_payment(shop, order, token, "captured", seconds=60)
    assert await moved(shop, payment) == (2_490, 0)


async def test_a_cancelled_order_gets_its_money_back(shop):
    order, token, sku = await ordered(shop, card("pm_card_visa"))
    await shop.until(order["id"])
    await until_payment(shop, order, token, "captured")
    assert (await shop.cancel(order["id"], token=token)).status == 200

    async def paid_back():
        payment = await payment_of(shop, order, token)
        return payment["refunded_minor"] == 2_490 and await moved(shop, payment) == (2_490, 2_490)

    await eventually(paid_back)

    async def back():
        return await shop.shelf(sku) == (5, 0)

    await eventually(back)


async def test_an_order_cancelled_while_its_card_is_slow_costs_nothing(shop):
    order, token, _ = await ordered(shop, card("pm_standin_slow_2000"))
    await until_payment(shop, order, token, "due", "sent", "unknown")
    assert (await shop.cancel(order["id"], token=token)).status == 200

    async def nothing_owed():
        payment = await payment_of(shop, order, token)
        charged, refunded = await moved(shop, payment)
        sent = any(one["state"] in ("sent", "intent", "unknown") for one in payment["operations"])
        return charged == refunded and not sent

    await eventually(nothing_owed, seconds=40)
    assert (await shop.order(order["id"]))["status"] == "cancelled"


async def test_credits_never_exceed_what_was_paid(shop):
    order, token, _ = await ordered(shop, card("pm_card_visa"))
    await shop.until(order["id"])
    payment = await until_payment(shop, order, token, "captured")
    path = f"/api/v1/orders/{order['id']}/credits"
    part = {"amount_minor": 1_500}
    first = await shop("POST", path, part, token=shop.admin, key=new_key())
    assert first.status == 201, first
    second = await shop("POST", path, part, token=shop.admin, key=new_key())
    assert second.status == 409, second
    by_hand = f"/api/v1/payments/{payment['id']}/refunds"
    third = await shop("POST", by_hand, part, token=shop.admin, key=new_key())
    assert third.status == 409, third

    async def paid_back(amount):
        payment = await payment_of(shop, order, token)
        moved_back = await moved(shop, payment) == (2_490, amount)
        return moved_back and payment["refunded_minor"] == amount

    await eventually(lambda: paid_back(1_500))
    assert (await shop.cancel(order["id"], token=token)).status == 200
    await eventually(lambda: paid_back(2_490))


async def test_a_forged_webhook_is_refused(shop):
    event = {"id": "evt_forged", "type": "payment_intent.succeeded", "data": {"object": {}}}
    path = "/api/v1/payments/webhooks/stripe"
    for signature in ({}, {"stripe-signature": "t=1,v1=00"}, {"stripe-signature": "junk"}):
        answer = await shop("POST", path, event, headers=signature)
        assert 400 <= answer.status < 500, answer
