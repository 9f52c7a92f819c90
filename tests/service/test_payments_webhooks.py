"""What the processor tells us unasked: forged, twice, late, out of order, about nothing known."""

import asyncio
import time
from uuid import uuid4

import harness
import msgspec
import pytest
import stripe
from service.payments_desk import credited, placed
from service.test_outside_running import SECRET

from merkato.config import Config, Payments
from merkato.payments.service import service

PATH = "/api/v1/payments/webhooks/stripe"


def event(type="payment_intent.succeeded", **about):
    told = {"id": f"evt_{uuid4().hex}", "object": "event", "type": type}
    return msgspec.json.encode(told | {"data": {"object": {"id": "pi_1", **about}}})


def signed(body, secret=SECRET, at=None):
    header = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, timestamp=at or int(time.time())
    )
    return {"stripe-signature": header}


async def test_what_is_not_signed_is_refused_and_not_kept(desk):
    body = event()
    good = signed(body)["stripe-signature"]
    at, _, mac = good.partition(",v1=")
    for header, status in (
        ({}, 401),
        ({"stripe-signature": ""}, 401),
        ({"stripe-signature": "nonsense"}, 401),
        ({"stripe-signature": "t=x,v1=y"}, 401),
        (signed(body, secret="whsec_other"), 401),
        (signed(body + b" "), 401),
        ({"stripe-signature": f"{at},v0={mac}"}, 401),
        ({"stripe-signature": f"{at},v1={mac.upper()}"}, 401),
        ({"stripe-signature": good + f",v1={mac}" * 20}, 401),
        (signed(body, at=int(time.time()) - 360), 400),
        (signed(body, at=int(time.time()) + 600), 400),
        (signed(body, at=int(time.time()) - 86_400), 400),
    ):
        answer = await desk.request("POST", PATH, body, headers=header)
        assert answer.status == status, header
        assert answer.json()["type"].startswith("/problems/")
    assert await desk.alone.fetch("select from webhooks") == []
    assert (await desk.request("POST", PATH, body, headers=signed(body))).status == 200
    two = {"stripe-signature": f"{at},v1={'0' * 64},v1={mac}"}
    assert (await desk.request("POST", PATH, body, headers=two)).status == 200
    assert (await desk.request("POST", PATH.replace("stripe", "other"), body)).status == 404


async def test_what_is_signed_but_no_event_is_malformed(desk):
    for body in (b"[]", b"{", b'{"id": 1}', b'"x"', b"\xff"):
        mac = signed(body) if body != b"\xff" else {"stripe-signature": "t=1,v1=0"}
        answer = await desk.request("POST", PATH, body, headers=mac)
        assert answer.status in (400, 401), body


async def test_an_event_taken_fifty_times_at_once_is_kept_once(desk):
    body = event()
    headers = signed(body)
    answers = await asyncio.gather(
        *(desk.request("POST", PATH, body, headers=headers) for _ in range(50))
    )
    assert {answer.status for answer in answers} == {200}
    assert len(await desk.alone.fetch("select from webhooks")) == 1


async def test_what_speaks_of_nothing_known_is_parked(desk):
    body = event(id="pi_unknown", metadata={"key": "none:1"})
    await desk.request("POST", PATH, body, headers=signed(body))
    assert await desk.alone.run_job("look-at-webhooks") == 1
    [row] = await desk.alone.fetch("select look_at > now() as parked from webhooks")
    assert row["parked"]
    assert await desk.said() == []


async def test_what_came_before_the_order_is_taken_up_later(desk):
    order = placed(token="pm_standin_charge_then_hang")
    body = event(id="pi_early", metadata={"key": f"{order.order_id}:1"})
    await desk.request("POST", PATH, body, headers=signed(body))
    await desk.alone.run_job("look-at-webhooks")
    await desk.hear(order)
    desk.deliver = False
    await desk.ask()
    await desk.alone.fetch("update operations set ask_at = now() + interval '1 hour'")
    await desk.alone.fetch("update webhooks set look_at = now()")
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentCaptured"]


async def test_a_webhook_moves_nothing_by_itself(desk):
    """A genuine event that says more than the processor says when asked."""
    order = placed(token="pm_card_chargeDeclined")
    await desk.hear(order)
    await desk.ask()
    [attempt] = await desk.operations(order.order_id)
    body = event(id=attempt["reference"], status="succeeded", amount=1, currency="usd")
    await desk.request("POST", PATH, body, headers=signed(body))
    await desk.settled(order.order_id, "declined")
    assert await desk.types() == ["PaymentDeclined"]
    assert await desk.balance() == {}


async def test_a_webhook_answers_what_is_unknown(desk):
    """The answer is lost; the webhook comes long before we would ask again."""
    order = placed(token="pm_standin_charge_then_hang")
    await desk.hear(order)
    desk.deliver = False
    await desk.ask()
    await desk.alone.fetch("update operations set ask_at = now() + interval '1 hour'")
    desk.deliver = True
    await desk.settled(order.order_id, "captured")
    assert await desk.moved(order.order_id) == [("capture", 4599)]


@pytest.mark.parametrize("token", ["pm_standin_webhooks_twice", "pm_standin_webhooks_reordered"])
async def test_twice_or_out_of_order_changes_nothing(desk, token):
    order = placed(token=token)
    await desk.hear(order)
    await desk.ask()
    await harness.eventually(lambda: enough(desk), seconds=10)
    await desk.settled(order.order_id, "captured")
    for body, signature in desk.webhooks:
        headers = {"stripe-signature": signature}
        assert (await desk.request("POST", PATH, body, headers=headers)).status == 200
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.balance() == {"processor": 4599, "customer": -4599}


async def enough(desk):
    return len(desk.webhooks) >= 2


@pytest.mark.parametrize(("reference", "asked"), [("re_1", True), (None, False)])
@pytest.mark.parametrize("type", ["refund.updated", "refund.failed", "charge.refund.updated"])
async def test_a_webhook_has_a_pending_refund_asked_about(desk, type, reference, asked):
    """Unless we wait for the answer to our wish for it: it must not be sent twice at once."""
    order = placed()
    await desk.hear(order)
    await desk.settled(order.order_id, "captured")
    await desk.hear(credited(order, 100))
    [*_, refund] = await desk.operations(order.order_id)
    await desk.alone.fetch(
        "update operations set state = 'sent', reference = $2, ask_at = now() + interval '1 hour'"
        " where id = $1",
        refund["id"],
        reference,
    )
    body = event(type, id="re_1", metadata={"key": refund["key"]})
    assert (await desk.request("POST", PATH, body, headers=signed(body))).status == 200
    await desk.alone.run_job("look-at-webhooks")
    [*_, refund] = await desk.operations(order.order_id)
    assert (refund["ask_at"] <= harness.now()) is asked


async def test_refuses_to_start_without_a_webhook_secret():
    with pytest.raises(ValueError, match="webhook_secret"):
        service(Config(payments=Payments(stripe_key="sk_test")))
