"""Payments against the stand-in processor: what is charged, how often, and what goes back."""

import asyncio
from uuid import uuid4

import harness
import pytest
from service.payments_desk import ORDER_SECRET, cancelled, placed

from merkato.chassis.tokens import thing_token
from merkato.contracts.users import UserErased


async def pay(desk, order, method="card", token=None, key=None):
    body = {"order_id": order.order_id, "method": method}
    if token:
        body["payment_token"] = token
    shown = {"x-order-token": thing_token(ORDER_SECRET, order.order_id)}
    key = key or f"key-{uuid4()}"
    return await desk.request("POST", "/api/v1/payments", body, key=key, headers=shown)


async def test_on_account_is_authorised_by_hearing_of_the_order(desk):
    order = placed(method="on_account")
    await desk.hear(order)
    [event] = await desk.said()
    about = (event.order_id, event.amount_minor, event.method)
    assert about == (order.order_id, 4599, "on_account")
    assert await desk.balance() == {"receivable": 4599, "customer": -4599}
    assert await desk.moved(order.order_id) == []


async def test_many_on_account_at_once_and_again(desk):
    orders = [placed(method="on_account") for _ in range(200)]
    await desk.hear(*orders, *orders[:50])
    await desk.hear(*orders)
    assert len(await desk.said()) == 200
    assert await desk.balance() == {"receivable": 200 * 4599, "customer": -200 * 4599}
    assert await desk.alone.dead() == []


async def test_nothing_due_is_authorised_by_rule(desk):
    order = placed(amount=0)
    await desk.hear(order)
    assert await desk.types() == ["PaymentAuthorised"]
    assert await desk.ask() == 0
    await desk.hear(cancelled(order))
    assert (await desk.row(order.order_id))["state"] == "voided"


async def test_a_card_is_captured(desk):
    order = placed()
    await desk.hear(order)
    assert (await desk.row(order.order_id))["state"] == "due"
    await desk.ask()
    row = await desk.row(order.order_id)
    assert (row["state"], row["captured_minor"]) == ("captured", 4599)
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    assert await desk.balance() == {"processor": 4599, "customer": -4599}
    assert {o["payment_token"] for o in await desk.operations(order.order_id)} == {None}


async def test_after_a_decline_another_card_pays(desk):
    order = placed(token="pm_card_chargeDeclinedInsufficientFunds")
    await desk.hear(order)
    await desk.ask()
    [declined] = await desk.said()
    assert (declined.reason, declined.attempt, declined.final) == ("insufficient_funds", 1, False)
    again = await pay(desk, order, token="pm_card_visa", key="again-0123456789abcdef")
    assert (again.status, again.json()["state"], again.json()["attempt"]) == (202, "due", 2)
    replayed = await pay(desk, order, token="pm_card_visa", key="again-0123456789abcdef")
    assert (replayed.body, replayed.headers["idempotent-replayed"]) == (again.body, "true")
    await desk.ask()
    assert await desk.types() == ["PaymentDeclined", "PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    assert (await pay(desk, order, token="pm_card_visa")).status == 409


async def test_after_a_decline_on_account_pays_too(desk):
    order = placed(token="pm_card_chargeDeclined")
    await desk.hear(order)
    await desk.ask()
    assert (await pay(desk, order, method="on_account")).json()["state"] == "authorised"
    assert await desk.types() == ["PaymentDeclined", "PaymentAuthorised"]


async def test_a_fraudulent_card_is_final(desk):
    order = placed(token="pm_card_chargeDeclinedFraudulent")
    await desk.hear(order)
    await desk.ask()
    assert [event.final for event in await desk.said()] == [True]
    assert (await pay(desk, order, token="pm_card_visa")).status == 409


@pytest.mark.parametrize("token", ["pm_standin_charge_then_hang", "pm_standin_charge_then_500"])
async def test_a_lost_answer_is_found_and_charged_once(desk, token):
    order = placed(token=token)
    await desk.hear(order)
    desk.deliver = False
    await desk.ask()
    assert (await desk.row(order.order_id))["state"] == "unknown"
    assert (await pay(desk, order, token="pm_card_visa")).status == 409  # nobody knows yet
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]


async def test_a_request_that_never_arrived_is_sent_again_with_its_key(desk):
    order = placed(token=f"pm_standin_forgets_once_{uuid4().hex[:12]}")
    await desk.hear(order)
    await desk.ask()
    assert (await desk.row(order.order_id))["state"] == "unknown"
    await desk.settled(order.order_id, "captured")
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    assert [o["attempt"] for o in await desk.operations(order.order_id)] == [1, 1]


async def test_a_wrong_amount_waits_for_a_person_and_goes_back_whole(desk):
    order = placed(token="pm_standin_wrong_amount")
    await desk.hear(order)
    await desk.ask()
    assert (await desk.row(order.order_id))["state"] == "mismatch"
    assert await desk.said() == []
    await desk.hear(cancelled(order))
    await desk.has_moved(order.order_id, [("capture", 4600), ("refund", 4600)])
    assert await desk.balance() == {}


async def test_a_person_puts_a_wrong_amount_right(desk):
    order = placed(token="pm_standin_wrong_amount")
    await desk.hear(order)
    await desk.ask()
    payment = (await desk.row(order.order_id))["id"]
    refund = await desk.staff("POST", f"/payments/{payment}/refunds", {"amount_minor": 1})
    assert refund.status == 201
    await desk.ask()
    assert await desk.types() == ["PaymentRefunded", "PaymentCaptured"]
    assert (await desk.row(order.order_id))["state"] == "captured"


@pytest.mark.parametrize("webhooks", [True, False])
async def test_the_customer_answers_a_challenge(desk, webhooks):
    desk.deliver = webhooks
    order = placed(token="pm_card_threeDSecure2Required")
    await desk.hear(order)
    await desk.ask()
    [event] = await desk.said()
    assert (await desk.row(order.order_id))["state"] == "action_required"
    await desk.answer(event.url, "accept")
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentActionRequired", "PaymentCaptured"]
    assert {o["url"] for o in await desk.operations(order.order_id)} == {None}


async def test_a_challenge_refused_is_a_decline(desk):
    order = placed(token="pm_card_threeDSecure2Required")
    await desk.hear(order)
    await desk.ask()
    [event] = await desk.said()
    await desk.answer(event.url, "refuse")
    await desk.settled(order.order_id, "declined")
    assert (await pay(desk, order, token="pm_card_visa")).status == 202


async def test_a_challenge_nobody_answers_is_let_go_with_the_order(desk):
    order = placed(token="pm_card_threeDSecure2Required")
    await desk.hear(order)
    await desk.ask()
    [event] = await desk.said()
    await desk.hear(cancelled(order))
    await desk.settled(order.order_id, "voided")
    await desk.answer(event.url, "accept")
    await desk.ask()
    assert await desk.moved(order.order_id) == []


async def test_success_after_the_cancellation_goes_back(desk):
    order = placed(token="pm_standin_slow_700")
    await desk.hear(order)
    asking = asyncio.create_task(desk.ask())

    async def under_way():
        return (await desk.row(order.order_id))["state"] == "sent"

    await harness.eventually(under_way)
    await desk.hear(cancelled(order))
    await asking
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])
    assert await desk.types() == ["PaymentRefunded"]
    keys = [o["key"] for o in await desk.operations(order.order_id) if o["kind"] == "refund"]
    assert keys == [f"{order.order_id}:refund:late"]
    assert await desk.balance() == {}


async def test_a_lost_answer_after_the_cancellation_goes_back_too(desk):
    order = placed(token="pm_standin_charge_then_hang")
    await desk.hear(order)
    await desk.ask()
    await desk.hear(cancelled(order))

    async def refunded():
        await desk.ask()
        return (await desk.row(order.order_id))["refunded_minor"] == 4599

    await harness.eventually(refunded, seconds=30)
    assert await desk.moved(order.order_id) == [("capture", 4599), ("refund", 4599)]


@pytest.mark.parametrize("method", ["card", "on_account"])
async def test_cancelled_before_it_was_placed_is_never_charged(desk, method):
    order = placed(method=method)
    await desk.hear(cancelled(order))
    await desk.hear(order)
    assert await desk.ask() == 0
    row = await desk.row(order.order_id)
    assert (row["state"], row["wanted"], row["method"]) == ("voided", "nothing", method)
    assert await desk.said() == []
    assert await desk.moved(order.order_id) == []


async def test_cancelled_in_the_batch_that_placed_it(desk):
    card, account = placed(), placed(method="on_account")
    await desk.hear(card, account, cancelled(card), cancelled(account), cancelled(account))
    assert await desk.ask() == 0
    assert await desk.types() == ["PaymentAuthorised", "PaymentVoided"]
    assert await desk.balance() == {}


async def test_a_paid_order_that_is_cancelled_gets_its_money_back_once(desk):
    order = placed()
    await desk.hear(order)
    await desk.ask()
    await desk.hear(cancelled(order))
    await desk.hear(cancelled(order))
    await desk.ask()
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])
    assert await desk.types() == ["PaymentCaptured", "PaymentRefunded"]


async def test_what_is_said_about_people_is_forgotten(desk):
    customer = uuid4()
    order = placed(customer_id=customer)
    await desk.hear(order)
    await desk.settled(order.order_id, "captured")
    row = await desk.row(order.order_id)
    await desk.staff("PATCH", f"/payments/{row['id']}", {"note": "Called Ms Miller"})
    await harness.eventually(lambda: desk.alone.fetch("select from webhooks"))
    await desk.hear(UserErased(user_id=customer))
    await desk.hear(UserErased(user_id=customer))
    assert (await desk.row(order.order_id))["note"] == ""
    bodies = await desk.alone.fetch("select distinct body from webhooks")
    assert [row["body"] for row in bodies] == [""]
    assert (await desk.row(order.order_id))["captured_minor"] == 4599
