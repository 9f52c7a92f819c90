"""Webhooks that fail: the schedule, the breaker, and what an endpoint may do to us."""

import asyncio
import gzip
from datetime import timedelta
from uuid import UUID

import harness
import msgspec
import pytest
from aiohttp import web
from harness import eventually
from receiver import receiving
from service.test_broker_log import ADMIN, stock
from webhook_desk import (
    PATH,
    ask,
    deliveries,
    delivering,
    due_now,
    logged,
    settled,
    subscribe,
)

from merkato.broker.actions import webhooks as actions
from merkato.broker.domain import webhooks
from merkato.broker.store import deliveries as store
from merkato.contracts.broker import SubscriptionDisabled


async def test_a_failed_try_is_repeated_by_the_schedule_under_one_id(broker, receiver):
    receiver.answers = [500]
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1))
    async with delivering(broker):
        for n in range(1, webhooks.TRIES_MAX + 1):

            async def tried(n=n):
                [one] = await deliveries(broker, id)
                return one if one["attempts"] == n and one["last_status"] else None

            one = await eventually(tried)
            assert one["reason"] == "answered 500"
            if n <= len(webhooks.PAUSES_S):
                due = msgspec.convert(one["due_at"], type=type(harness.now()))
                left = (due - harness.now()).total_seconds()
                assert 0.89 * webhooks.PAUSES_S[n - 1] - 3 < left < 1.11 * webhooks.PAUSES_S[n - 1]
                await due_now(broker)
        [one] = await settled(broker, id, 1, "failed")
    assert one["reason"] == "answered 500"
    assert len(receiver.got) == webhooks.TRIES_MAX
    assert len({*receiver.ids()}) == 1
    assert (await ask(broker, "GET", "/api/v1/deliveries?state=failed"))["items"] == [one]
    receiver.answers = [204]
    async with delivering(broker):
        again = await ask(broker, "POST", f"{PATH}/{id}/redeliveries", {"state": "failed"})
        assert again == {"count": 1}
        async with broker.db.transaction() as tx:
            await tx.execute("update subscriptions set open_until = null")
        await settled(broker, id, 1)
    assert len({*receiver.ids()}) == 1


async def test_retry_after_is_honoured_and_the_endpoint_left_alone(broker, receiver):
    async def later(request):
        return web.Response(status=429, headers={"Retry-After": "120"})

    receiver.answers = [later, 200]
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1))
    async with delivering(broker):

        async def tried():
            return (await deliveries(broker, id))[0]["attempts"] == 1 and receiver.got

        await eventually(tried)
        await asyncio.sleep(0.2)
        await logged(broker, stock(2))
        await asyncio.sleep(0.8)
        assert len(receiver.got) == 1
        shown = await ask(broker, "GET", f"{PATH}/{id}")
        rest = msgspec.convert(shown["open_until"], type=type(harness.now())) - harness.now()
        assert timedelta(seconds=100) < rest < timedelta(seconds=121)
        await due_now(broker)
        await settled(broker, id, 2)


async def held_back(broker, receiver, ordered=False):
    """An endpoint that wants to be left alone until tomorrow, with five deliveries behind it."""

    async def later(request):
        return web.Response(status=503, headers={"Retry-After": "86400"})

    receiver.answers = [later]
    id = await subscribe(broker, receiver, ordered=ordered)
    await logged(broker, stock(1))

    async def held():
        return (await ask(broker, "GET", f"{PATH}/{id}"))["open_until"]

    async with delivering(broker):
        await eventually(held)
    await logged(broker, *(stock(n, f"K{n}") for n in range(2, 7)))
    receiver.got.clear()
    return id


@pytest.mark.parametrize("state", ["active", "paused"])
async def test_a_ping_is_sent_at_once_whatever_holds_the_endpoint_back(broker, receiver, state):
    id = await held_back(broker, receiver)
    if state == "paused":
        async with broker.db.transaction() as tx:
            await tx.execute("update subscriptions set state = 'paused'")
    async with delivering(broker):
        await ask(broker, "POST", f"{PATH}/{id}/ping")
        await settled(broker, id, 1, "failed")
        await asyncio.sleep(0.7)
        assert [event["type"] for event in receiver.events()] == ["broker.ping.v1"]
        assert (await ask(broker, "GET", f"{PATH}/{id}"))["open_until"]
        receiver.answers = [200]
        await ask(broker, "POST", f"{PATH}/{id}/ping")
        await settled(broker, id, 1 if state == "paused" else 6)
    shown = await ask(broker, "GET", f"{PATH}/{id}")
    assert (shown["open_until"], shown["failures"]) == (None, 0)


@pytest.mark.parametrize("ordered", [False, True])
async def test_what_is_asked_for_again_is_sent_at_once_and_frees_the_rest(
    broker, receiver, ordered
):
    id = await held_back(broker, receiver, ordered)
    first = (await deliveries(broker, id))[-1]
    again = f"/api/v1/deliveries/{first['id']}/redelivery"
    async with delivering(broker):
        await ask(broker, "POST", again)

        async def tried(n=1):
            return len(receiver.got) == n and (await deliveries(broker, id))[-1]["attempts"] == 2

        await eventually(tried)
        await asyncio.sleep(0.7)  # one try: the next is left to the schedule
        assert receiver.ids() == [first["event_id"]]
        receiver.answers = [200]
        await ask(broker, "POST", again)
        await settled(broker, id, 6)
    assert receiver.ids()[1] == first["event_id"]


async def test_of_many_asked_for_again_one_tries_whether_the_endpoint_is_back(broker, receiver):
    id = await held_back(broker, receiver)
    async with broker.db.transaction() as tx:
        await tx.execute("update deliveries set state = 'failed', reason = 'x', ended_at = now()")
    async with delivering(broker):
        again = f"{PATH}/{id}/redeliveries"
        assert await ask(broker, "POST", again, {"state": "failed"}) == {"count": 6}

        async def tried():
            return len(receiver.got) == 1

        await eventually(tried)
        await asyncio.sleep(0.7)
        assert len(receiver.got) == 1
        receiver.answers = [200]
        async with broker.db.transaction() as tx:
            await tx.execute(
                "update deliveries set state = 'failed', reason = 'x', ended_at = now()"
            )
        await ask(broker, "POST", again, {"state": "failed"})
        await settled(broker, id, 6)
    assert len(receiver.got) == 7


async def test_gone_disables_an_endpoint_and_says_so(broker, receiver):
    receiver.answers = [410]
    id = await subscribe(broker, receiver, ordered=True)
    await logged(broker, *(stock(n) for n in range(5)))
    async with delivering(broker):
        found = await settled(broker, id, 5, "failed")
    assert {one["reason"] for one in found} == {"gone", "endpoint disabled: gone"}
    shown = await ask(broker, "GET", f"{PATH}/{id}")
    assert (shown["state"], shown["reason"]) == ("disabled", "gone")
    assert await broker.said(SubscriptionDisabled) == [
        SubscriptionDisabled(subscription_id=UUID(id), reason="gone")
    ]
    await logged(broker, stock(9))
    for path, body in (
        (f"{PATH}/{id}/replay", {"time": "2026-01-01T00:00:00Z"}),
        (f"/api/v1/deliveries/{found[0]['id']}/redelivery", None),
        (f"{PATH}/{id}/redeliveries", {"state": "failed"}),
    ):
        refused = await broker.request("POST", path, body, token=ADMIN)
        assert refused.status == 409, path
    assert len(await deliveries(broker, id, "state=failed")) == 5
    receiver.answers = [200]
    await ask(broker, "PATCH", f"{PATH}/{id}", {"state": "active"})
    await logged(broker, stock(10))
    async with delivering(broker):
        await settled(broker, id, 1)
    assert [event["data"]["available"] for event in receiver.events()][-1] == 10


async def endless(request):
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def silent(request):
    await asyncio.sleep(30)


async def reset(request):
    request.transport.abort()


async def elsewhere(request):
    return web.Response(status=302, headers={"Location": str(request.url)})


async def many_headers(request):
    request.transport.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(2_000):
        if request.transport.is_closing():
            break
        request.transport.write(b"X-More: 1234567890\r\n" * 500)
        await asyncio.sleep(0)
    request.transport.close()


BOMB = gzip.compress(b"0" * 20_000_000, 1)


async def bomb(request):
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})


async def go_on(request):
    while not request.transport.is_closing():
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (endless, None),  # its status counts; 64 KiB of it are read
        (bomb, None),
        (silent, "no answer in time"),
        (reset, "no valid answer"),
        (elsewhere, "answered 302"),
        (many_headers, "no valid answer"),
        (go_on, "no answer in time"),
    ],
)
async def test_whatever_an_endpoint_does_is_one_try(broker, receiver, monkeypatch, answer, reason):
    monkeypatch.setattr("merkato.broker.providers.post.DEADLINE_S", 1.0)
    receiver.answers = [answer]
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1))
    async with delivering(broker):

        async def tried():
            [one] = await deliveries(broker, id)
            return one if one["reason"] or one["state"] == "delivered" else None

        one = await eventually(tried)
    assert one["reason"] == reason
    assert one["last_duration_ms"] < 5_000
    assert len(receiver.got) == 1


async def test_a_dead_endpoint_delays_nobody(broker, receiver):
    async with receiving() as dead:
        dead.answers = [silent]
        lost = await subscribe(broker, dead)
        id = await subscribe(broker, receiver)
        await logged(broker, *(stock(n) for n in range(60)))
        async with delivering(broker):
            began = asyncio.get_running_loop().time()
            await settled(broker, id, 60)
            assert asyncio.get_running_loop().time() - began < 10
            waiting = await deliveries(broker, lost, "state=pending")
            assert len(waiting) == 60
            assert sum(one["attempts"] for one in waiting) <= 8


async def test_after_failures_in_a_row_an_endpoint_is_left_alone_and_then_probed(broker, receiver):
    receiver.answers = [503]
    id = await subscribe(broker, receiver)
    await logged(broker, *(stock(n) for n in range(30)))
    async with delivering(broker):

        async def resting():
            return (await ask(broker, "GET", f"{PATH}/{id}"))["open_until"]

        await eventually(resting)
        await asyncio.sleep(0.5)
        asked = len(receiver.got)
        assert asked < 15
        await asyncio.sleep(0.7)
        assert len(receiver.got) == asked
        receiver.answers = [200]
        await due_now(broker)
        await settled(broker, id, 30)
    assert (await ask(broker, "GET", f"{PATH}/{id}"))["failures"] == 0


async def test_an_endpoint_that_failed_for_five_days_is_disabled(broker, receiver):
    receiver.answers = [500]
    id = await subscribe(broker, receiver)
    async with broker.db.transaction() as tx:
        await tx.execute("update subscriptions set failing_since = now() - interval '6 days'")
    await logged(broker, stock(1))
    async with delivering(broker):
        [one] = await settled(broker, id, 1, "failed")
    assert one["reason"] == "endpoint disabled: failing"
    assert (await ask(broker, "GET", f"{PATH}/{id}"))["state"] == "disabled"


async def test_a_try_that_a_crash_cut_off_is_made_again_under_the_same_id(broker, receiver):
    id = await subscribe(broker, receiver)
    await logged(broker, *(stock(n) for n in range(5)))

    async with broker.db.transaction() as tx:  # begun by a process that died
        assert len(await store.claim(tx, [UUID(id)], [5], [False])) == 5
    async with delivering(broker):
        await asyncio.sleep(0.5)
        assert receiver.got == []
        await due_now(broker)
        await settled(broker, id, 5)
    assert {one["attempts"] for one in await deliveries(broker, id)} == {2}
    assert len({*receiver.ids()}) == 5


async def test_a_stale_failure_does_not_undo_a_success(broker, receiver):
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1))

    async with broker.db.transaction() as tx:
        [first] = await store.claim(tx, [UUID(id)], [1], [False])
    await due_now(broker)
    async with broker.db.transaction() as tx:
        [second] = await store.claim(tx, [UUID(id)], [1], [False])
    now = harness.now()
    bad = webhooks.judge(first, webhooks.Answer(error="no answer in time", at=now), 50)
    good = webhooks.judge(second, webhooks.Answer(status=200, at=now), 50)
    for verdict in (bad, good, bad):
        async with broker.db.transaction() as tx:
            await actions.settle(tx, [verdict], now)
    [one] = await deliveries(broker, id)
    assert (one["state"], one["reason"]) == ("delivered", None)


async def test_what_is_under_way_ends_though_nothing_new_can_be_claimed(broker, receiver):
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        taken.set()
        await go_on.wait()
        return web.Response(status=200)

    receiver.answers = [slow]
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1))
    async with delivering(broker):
        await taken.wait()
        async with broker.db.transaction() as tx:
            await tx.execute("alter table subscriptions rename to elsewhere")
        await asyncio.sleep(1.5)  # it is looked for something to claim twice a second
        async with broker.db.transaction() as tx:
            await tx.execute("alter table elsewhere rename to subscriptions")
        go_on.set()
        [one] = await settled(broker, id, 1)
    assert (one["attempts"], len(receiver.got)) == (1, 1)
