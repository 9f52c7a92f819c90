"""A processor that is down, garbled or slow, a process that dies: nothing twice, nothing lost."""

import asyncio

import harness
import pytest
import pytest_asyncio
from aiohttp import web
from service.payments_desk import Desk, cancelled, configured, opened, placed
from service.test_outside_running import free_port

from merkato.chassis import failpoints
from merkato.config import Config
from merkato.payments.service import service


@pytest_asyncio.fixture(loop_scope="session")
async def desk(new_database, outside):
    await outside.post("/standin/reset", {})
    async with opened(new_database, outside) as desk:
        yield desk
    failpoints.arm({})


@pytest.mark.parametrize("mode", ["down", "limited", "hang", "garbage", "refuse"])
async def test_orders_wait_while_the_processor_does_not_answer(desk, outside, mode):
    order = placed()
    await outside.post("/standin/mode", {"mode": mode, "seconds": 2})

    async def refuses():  # it closes the port shortly after
        return not await outside.alive(outside.url)

    if mode == "refuse":
        await harness.eventually(refuses)
    await desk.hear(order)
    await desk.ask()
    row = await desk.row(order.order_id)
    assert (row["state"], row["captured_minor"]) == ("unknown", 0)
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]


async def test_a_slow_answer_holds_up_nobody_else(desk):
    slow, quick = [placed(token="pm_standin_slow_900") for _ in range(5)], placed()
    await desk.hear(*slow)
    asking = asyncio.create_task(desk.ask())

    async def are(orders, state):
        return {(await desk.row(order.order_id))["state"] for order in orders} == {state}

    await harness.eventually(lambda: are(slow, "sent"))
    await desk.hear(quick)
    await harness.eventually(lambda: are([quick], "captured"))
    assert await are(slow, "sent")
    await asking


@pytest.mark.parametrize("place", ["payments-claimed", "payments-asked", "payments-answered"])
async def test_a_crash_between_the_phases_charges_once(desk, place):
    """K10 to K12: what was claimed is asked again when its lease ends, under the same key."""
    order = placed()
    await desk.hear(order)
    failpoints.arm({place: "raise"})
    if place == "payments-claimed":
        with pytest.raises(failpoints.Failed):
            await desk.ask()
    else:
        await desk.ask()
    failpoints.arm({})
    assert (await desk.row(order.order_id))["state"] == "sent"
    await desk.alone.fetch("update operations set ask_at = now() where ask_at is not null")
    await desk.settled(order.order_id, "captured")
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]


async def test_a_crash_around_a_refund_gives_back_once(desk):
    """K25, K26."""
    order = placed()
    await desk.hear(order)
    await desk.ask()
    await desk.hear(cancelled(order))
    for place in ("payments-asked", "payments-answered", "payments-answered"):
        failpoints.arm({place: "raise"})
        await desk.ask()
        await desk.alone.fetch("update operations set ask_at = now() where ask_at is not null")
    failpoints.arm({})
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])
    assert await desk.balance() == {}


async def test_two_processes_ask_once(desk):
    orders = [placed() for _ in range(12)]
    await desk.hear(*orders)
    await asyncio.gather(desk.ask(), desk.ask(), desk.ask())
    assert sorted(await desk.types()) == ["PaymentCaptured"] * 12
    rows = await desk.alone.fetch("select max(tries) as most from operations")
    assert rows[0]["most"] == 1


async def test_answer_webhook_and_cancellation_race(desk):
    """D12: whoever comes first, an order is paid once or has all its money back."""
    orders = [placed() for _ in range(30)]
    await desk.hear(*orders)

    async def cancel():
        for order in orders[::2]:
            await desk.hear(cancelled(order))

    looking = [desk.alone.run_job("look-at-webhooks") for _ in range(3)]
    await asyncio.gather(desk.ask(), cancel(), desk.ask(), *looking)

    async def decided():
        await desk.alone.run_job("look-at-webhooks")
        await desk.ask()
        return not await desk.alone.fetch("select from operations where ask_at is not null")

    await harness.eventually(decided, seconds=30)
    for n, order in enumerate(orders):
        row = await desk.row(order.order_id)
        kept = row["captured_minor"] - row["refunded_minor"]
        assert kept == (4599 if n % 2 else 0)
        moved = [
            amount if kind == "capture" else -amount
            for kind, amount in await desk.moved(order.order_id)
        ]
        assert sum(moved) == kept
        assert len(moved) <= 2
    assert await desk.balance() == {"processor": 15 * 4599, "customer": -15 * 4599}
    assert await desk.alone.dead() == []


async def test_an_order_cancelled_while_unknown_is_not_sent_again(desk):
    order = placed(token="pm_standin_forgets")
    await desk.hear(order)
    await desk.ask()
    await desk.hear(cancelled(order))
    for _ in range(3):
        await desk.alone.fetch("update operations set ask_at = now() where ask_at is not null")
        await desk.ask()
    assert (await desk.row(order.order_id))["state"] == "unknown"
    await desk.alone.fetch(
        "update operations set ask_at = now(), created_at = now() - interval '49 hours'"
    )
    await desk.ask()
    [operation] = await desk.operations(order.order_id)
    assert (operation["state"], operation["ask_at"]) == ("unknown", None)
    assert await desk.moved(order.order_id) == []


async def test_without_a_processor_cards_are_declined(new_database, outside):
    async with harness.alone(service(Config()), new_database) as alone:
        desk = Desk(alone, outside)
        order = placed()
        await desk.hear(order)
        await desk.ask()
        [event] = await desk.said()
        assert event.reason == "cards-not-offered"


INTENT = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount_received": 4599}


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({}, "unknown"),
        ([], "unknown"),
        ("<html>", "unknown"),
        ({"object": "payment_intent"}, "unknown"),
        (INTENT | {"currency": "usd"}, "mismatch"),
        (INTENT | {"currency": "eur"}, "mismatch"),  # no key of ours
        (INTENT | {"currency": "eur", "metadata": {"key": "other:1"}}, "mismatch"),
        (INTENT | {"currency": "eur", "amount_received": "4599"}, "unknown"),
        (INTENT | {"currency": "eur", "status": "new"}, "unknown"),
        (b"x" * 3_000_000, "unknown"),
        (302, "unknown"),
        (409, "unknown"),
    ],
)
async def test_an_answer_that_makes_no_sense_confirms_nothing(new_database, answer, state):
    asked = []

    async def respond(request):
        asked.append(request.path)
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Location": f"{url}/elsewhere"})
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        return web.json_response(answer)

    url = f"http://127.0.0.1:{(port := free_port())}"
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made = service(configured(url))
    try:
        async with harness.alone(made, new_database) as alone:
            desk = Desk(alone, None)
            order = placed()
            await desk.hear(order)
            await desk.ask()
            assert (await desk.row(order.order_id))["state"] == state
            assert await desk.said() == []
            assert asked == ["/v1/payment_intents"]
    finally:
        await made.provides(None)["reader"].close()
        await runner.cleanup()
