"""Currencies whose units at Stripe are not ours, through its own library: charged, given back."""

from decimal import Decimal

import msgspec
import pytest
from service.payments_desk import credited, placed, shipped
from service.test_payments_disputes import closed, denied
from service.test_payments_webhooks import PATH, signed

NOT_BY_CARD = "amount-not-possible-by-card"
# fmt: off
UNITS = [  # currency, price, credit, in our minor units; what Stripe calls one of them
    ("JPY", 1_500, 500, 1), ("KWD", 5_120, 1_000, 1), ("ISK", 1_500, 500, 100),
    ("MGA", 120_000, 1_000, Decimal("0.01")), ("RSD", 129_000, 50, 1),
]
# fmt: on


@pytest.mark.parametrize(("currency", "price", "credit", "unit"), UNITS)
async def test_a_charge_and_its_refund(desk, currency, price, credit, unit):
    order = placed(amount=price, currency=currency)
    await desk.hear(order)
    await desk.ask()
    row = await desk.row(order.order_id)
    assert (row["state"], row["captured_minor"]) == ("captured", price)
    await desk.hear(credited(order, credit))
    moved = [("capture", price * unit), ("refund", credit * unit)]
    await desk.has_moved(order.order_id, moved)
    row = await desk.settled(order.order_id, "captured")
    assert (row["refunded_minor"], row["refunding_minor"]) == (credit, 0)


@pytest.mark.parametrize(("currency", "price", "credit", "unit"), UNITS)
async def test_a_promise_less_a_credit_is_taken(later, currency, price, credit, unit):
    order = placed(amount=price, currency=currency)
    await later.hear(order)
    await later.ask()
    await later.hear(credited(order, credit), shipped(order))
    await later.has_moved(order.order_id, [("capture", (price - credit) * unit)])


@pytest.mark.parametrize(("currency", "amount"), [("KWD", 5_123), ("MGA", 1_250)])
async def test_what_stripe_cannot_take_is_refused_unsent(desk, outside, currency, amount):
    before = await outside.stripe().v1.payment_intents.list_async({"limit": 100})
    order = placed(amount=amount, currency=currency)
    await desk.hear(order)
    await desk.ask()
    [declined] = await desk.said()
    assert (declined.reason, declined.final) == (NOT_BY_CARD, False)
    after = await outside.stripe().v1.payment_intents.list_async({"limit": 100})
    assert [one.id for one in after.data] == [one.id for one in before.data]


async def test_a_refund_that_stripe_cannot_take_is_given_in_another_way(desk):
    order = placed(amount=5_120, currency="KWD")
    await desk.hear(order)
    await desk.ask()
    await desk.hear(credited(order, 5))
    await desk.ask()
    failed = (await desk.said())[-1]
    assert (type(failed).__name__, failed.reason) == ("RefundFailed", NOT_BY_CARD)
    assert await desk.moved(order.order_id) == [("capture", 5_120)]


@pytest.mark.parametrize(
    ("currency", "amount", "stripes"), [("ISK", 4_599, 459_900), ("MGA", 45_900, 459)]
)
async def test_a_dispute_is_over_what_was_charged(desk, currency, amount, stripes):
    order, dispute = await denied(desk, amount=amount, currency=currency)
    assert dispute["amount_minor"] == amount
    await closed(desk, dispute, "lost")
    assert await desk.moved(order.order_id) == [("capture", stripes), ("dispute", stripes)]
    assert (await desk.row(order.order_id))["refunded_minor"] == amount


async def test_a_dispute_over_a_part_of_a_crown_is_no_event(desk):
    about = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "amount": 550}
    told = {"id": "evt_1", "type": "charge.dispute.created"}
    body = msgspec.json.encode(told | {"data": {"object": about | {"currency": "isk"}}})
    assert (await desk.request("POST", PATH, body, headers=signed(body))).status == 400
