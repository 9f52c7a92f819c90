"""Charges that a card's holder denies, by webhooks of the real library's signature (D14)."""

import asyncio

import harness
import msgspec
import pytest
from delayed import delayed
from service.payments_desk import cancelled, credited, opened, placed
from service.test_payments_webhooks import signed

from merkato.contracts.payments import PaymentDisputed


async def denied(desk, **changed):
    """A charge that its card's holder denies: (order, the dispute's row)."""
    order = placed(token="pm_card_createDispute", **changed)
    await desk.hear(order)
    await desk.settled(order.order_id, "captured")

    async def told():
        rows = [row for row in await desk.operations(order.order_id) if ":dispute:" in row["key"]]
        return rows[0] if rows else None

    return order, await harness.eventually(told, seconds=30)


async def closed(desk, dispute, status):
    """The bank decides; what it says is asked for."""
    await desk.outside.post(f"/standin/disputes/{dispute['reference']}", {"status": status})

    async def decided():
        await desk.alone.run_job("look-at-webhooks")
        await desk.ask()
        row = await desk.alone.fetch("select * from operations where id = $1", dispute["id"])
        return row[0] if row[0]["state"] in ("succeeded", "failed") else None

    return await harness.eventually(decided, seconds=30)


async def disputes(desk):
    return [e.state for e in await desk.said() if isinstance(e, PaymentDisputed)]


async def test_a_lost_dispute_is_money_gone_and_a_credit(desk):
    order, dispute = await denied(desk)
    assert (dispute["state"], dispute["amount_minor"]) == ("sent", 4599)
    assert (await desk.row(order.order_id))["refunding_minor"] == 4599
    await closed(desk, dispute, "lost")
    assert await disputes(desk) == ["opened", "lost"]
    assert await desk.types() == ["PaymentCaptured", "PaymentDisputed", "PaymentDisputed"]
    assert (await desk.said())[-1].refunded_total_minor == 4599
    assert await desk.moved(order.order_id) == [("capture", 4599), ("dispute", 4599)]
    assert await desk.balance() == {}
    await desk.hear(credited(order, 4599, credit_id=dispute["id"]))  # as orders answers
    assert await desk.ask() == 0
    assert len(await desk.operations(order.order_id)) == 3  # nothing goes back twice


async def test_a_credit_waits_for_the_dispute_and_follows_when_it_is_won(desk):
    order, dispute = await denied(desk)
    await desk.hear(credited(order, 1000))
    await desk.ask()
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    await closed(desk, dispute, "won")
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 1000)])
    assert await disputes(desk) == ["opened", "won"]
    assert await desk.balance() == {"processor": 3599, "customer": -3599}


async def test_a_cancelled_order_is_refunded_after_a_dispute_that_is_won(desk):
    order, dispute = await denied(desk)
    await desk.hear(cancelled(order))
    await desk.ask()
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    await closed(desk, dispute, "won")
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])


async def test_a_dispute_of_nothing_we_know_is_told_again(desk):
    assert (await told_of_dispute(desk, "pi_x", 1)).status == 404
    assert await kept(desk) == 1


async def told_of_dispute(desk, intent, amount):
    told = {
        "id": "evt_dispute", "type": "charge.dispute.created",
        "data": {"object": {"id": "dp_1", "object": "dispute", "payment_intent": intent,
                            "amount": amount}},
    }  # fmt: skip
    body = msgspec.json.encode(told)
    path = "/api/v1/payments/webhooks/stripe"
    return await desk.request("POST", path, body, headers=signed(body))


async def kept(desk):
    rows = await desk.alone.fetch("select from webhooks where type = 'charge.dispute.created'")
    return len(rows)


async def test_a_dispute_after_a_full_refund_is_kept_and_said(desk):
    order = placed()
    await desk.hear(order)
    await desk.settled(order.order_id, "captured")
    await desk.hear(credited(order, 4599))
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])
    await desk.settled(order.order_id, "captured")
    [attempt, *_] = await desk.operations(order.order_id)
    for _ in range(2):
        assert (await told_of_dispute(desk, attempt["reference"], 4599)).status == 200
    assert await kept(desk) == 1
    assert await disputes(desk) == ["opened"]
    assert ((await desk.said())[-1]).amount_minor == 0
    assert await desk.balance() == {}


@pytest.mark.parametrize(
    "rounds", [2, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]
)
async def test_refund_beside_cancel_beside_chargeback(new_database, outside, rounds):
    """A credit, the order's end and a dispute arrive at once, over a late database."""
    dsn = await new_database("payments", prepare=harness.preparation("payments"))
    async with delayed(dsn) as late:

        async def same(*_, **__):
            return late

        async with opened(same, outside) as desk:
            for _ in range(rounds):
                order = placed(token="pm_card_createDispute")
                await desk.hear(order)
                await asyncio.gather(
                    desk.ask(), desk.hear(credited(order, 2760)), desk.hear(cancelled(order))
                )
                await desk.settled(order.order_id, "captured", "voided")
                row = await desk.row(order.order_id)
                gone = row["refunded_minor"] + row["refunding_minor"]
                assert gone <= row["captured_minor"]
                moved = await desk.moved(order.order_id)
                back = sum(amount for kind, amount in moved if kind == "refund")
                assert back <= 4599
