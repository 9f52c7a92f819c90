"""Webhooks: signed, retried, in order when asked, each endpoint by itself, nothing lost."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import harness
import msgspec
import pytest
from aiohttp import web
from harness import eventually
from receiver import receiving
from service.test_broker_log import ADMIN, stock, walked
from standardwebhooks.webhooks import Webhook

from merkato import topology
from merkato.broker.domain import webhooks
from merkato.config import Broker, Config
from merkato.contracts.broker import SubscriptionDisabled
from merkato.contracts.trail import ActionNoted

PATH = "/api/v1/subscriptions"
KEYS = ("a key of a test, long enough for one",)


def service(**more):
    settings = Broker(secret_keys=KEYS, **more)
    config = Config(here=("gateway",), environment="development", broker=settings)
    return topology.services(config)["broker"]


@pytest.fixture
async def broker(new_database):
    async with harness.alone(service(), new_database) as alone:
        yield alone


@pytest.fixture
async def receiver():
    async with receiving() as one:
        yield one


@asynccontextmanager
async def delivering(broker):
    """Have the dispatcher run beside the test."""
    [job] = [every for every in broker.service.jobs if every.name == "deliver"]
    task = asyncio.create_task(job.job(broker.resources))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def subscribe(broker, receiver, **more):
    answer = await broker.request("POST", PATH, {"url": receiver.url, **more}, token=ADMIN)
    assert answer.status == 201, answer
    made = answer.json()
    receiver.secrets.insert(0, made["secret"])
    return made["id"]


async def logged(broker, *events):
    """Log events and make deliveries of them."""
    await broker.hear(*events)
    await broker.run_job("fan-out")


async def ask(broker, method, path, body=None, **more):
    answer = await broker.request(method, path, body, token=ADMIN, **more)
    assert answer.status < 400, answer
    return answer.json() if answer.body else None


async def deliveries(broker, id, query=""):
    return (await ask(broker, "GET", f"{PATH}/{id}/deliveries?limit=100&{query}"))["items"]


async def settled(broker, id, n, state="delivered"):
    async def there():
        found = await deliveries(broker, id, f"state={state}")
        return found if len(found) >= n else None

    return await eventually(there)


async def due_now(broker):
    """Let the time pass until the next try."""
    async with broker.db.transaction() as tx:
        await tx.execute("update deliveries set due_at = clock_timestamp() where state = 'pending'")
        await tx.execute("update subscriptions set open_until = null")


async def test_events_are_delivered_signed_and_the_foreign_library_verifies_them(broker, receiver):
    id = await subscribe(broker, receiver, topics=["inventory.stock_changed"])
    await logged(broker, stock(1), stock(2))
    async with delivering(broker):
        await settled(broker, id, 2)
    shown = await walked(broker)
    assert sorted(receiver.events(), key=lambda e: e["cursor"]) == shown
    headers, _ = receiver.got[0]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert {UUID(one) for one in receiver.ids()} == {UUID(one["id"]) for one in shown}
    told = await deliveries(broker, id)
    assert [(one["attempts"], one["last_status"], one["reason"]) for one in told] == [
        (1, 200, None)
    ] * 2
    one = await ask(broker, "GET", f"/api/v1/deliveries/{told[0]['id']}")
    assert [(tried["n"], tried["status"], tried["error"]) for tried in one["tries"]] == [
        (1, 200, None)
    ]


async def test_both_secrets_sign_after_a_rotation_and_none_is_ever_shown_again(broker, receiver):
    id = await subscribe(broker, receiver)
    [old] = receiver.secrets
    new = (await ask(broker, "POST", f"{PATH}/{id}/secret", {}))["secret"]
    await logged(broker, stock(1))
    async with delivering(broker):
        await settled(broker, id, 1)
        headers, body = receiver.got[0]
        names = {name.lower(): value for name, value in headers.items()}
        for secret in (old, new):
            assert Webhook(secret).verify(body, names)
        assert names["webhook-signature"].count("v1,") == 2
        newest = (await ask(broker, "POST", f"{PATH}/{id}/secret", {"overlap_s": 0}))["secret"]
        await logged(broker, stock(2))
        await settled(broker, id, 2)
    headers, body = receiver.got[1]
    names = {name.lower(): value for name, value in headers.items()}
    assert names["webhook-signature"].count("v1,") == 1
    assert Webhook(newest).verify(body, names)
    for path in (PATH, f"{PATH}/{id}", f"{PATH}/{id}/deliveries"):
        answer = await broker.request("GET", path, token=ADMIN)
        assert b"whsec_" not in answer.body
    for table in ("subscriptions", "outbox", "answers", "log", "deliveries"):
        rows = await broker.fetch(f"select t::text from {table} t")
        for row in rows:
            for secret in (old, new, newest):
                assert secret not in row["t"]
                assert webhooks_secret(secret).hex() not in row["t"]


def webhooks_secret(text):
    import base64

    return base64.b64decode(text.removeprefix("whsec_"))


async def test_a_repeated_creation_makes_one_and_shows_no_secret_twice(broker, receiver):
    key = uuid4().hex
    body = {"url": receiver.url}
    first = await broker.request("POST", PATH, body, token=ADMIN, key=key)
    again = await broker.request("POST", PATH, body, token=ADMIN, key=key)
    assert (first.status, again.status) == (201, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert "secret" in first.json()
    assert "secret" not in again.json()
    other = await broker.request("POST", PATH, {**body, "ordered": True}, token=ADMIN, key=key)
    assert other.status == 422
    assert len((await ask(broker, "GET", PATH))["items"]) == 1


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
    refused = await broker.request(
        "POST", f"{PATH}/{id}/replay", {"time": "2026-01-01T00:00:00Z"}, token=ADMIN
    )
    assert refused.status == 409
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


async def bomb(request):
    import gzip

    zipped = gzip.compress(b"0" * 50_000_000)
    return web.Response(body=zipped, headers={"Content-Encoding": "gzip"})


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


async def test_order_is_kept_per_key_when_asked_for(broker, receiver):
    receiver.answers = [500, *[200] * 50]
    id = await subscribe(broker, receiver, ordered=True)
    await logged(broker, *(stock(n, f"K{n % 2}") for n in range(20)))
    async with delivering(broker):
        await settled(broker, id, 10)
        await asyncio.sleep(0.3)
        assert len(await deliveries(broker, id, "state=delivered")) == 10
        await due_now(broker)
        await settled(broker, id, 20)
    events = receiver.events()[1:]  # but the one refused
    for key in ("K0", "K1"):
        numbers = [one["data"]["available"] for one in events if one["subject"] == key]
        assert numbers == sorted(numbers)
        assert len(numbers) == 10


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
    from merkato.broker.store import deliveries as store

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
    from merkato.broker.actions import webhooks as actions
    from merkato.broker.store import deliveries as store

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


async def test_it_may_begin_in_the_past_be_replayed_and_redelivered(broker, receiver):
    await logged(broker, *(stock(n) for n in range(10)))
    cursors = [one["cursor"] for one in await walked(broker)]
    async with receiving() as late, delivering(broker):
        id = await subscribe(broker, receiver, begin={"cursor": cursors[3]})
        since = (harness.now() - timedelta(hours=1)).isoformat()
        other = await subscribe(broker, late, begin={"time": since})
        await broker.run_job("fan-out")
        await settled(broker, id, 6)
        await settled(broker, other, 10)
        before = {*receiver.ids()}
        await ask(broker, "POST", f"{PATH}/{id}/replay", {"cursor": cursors[0]})
        await broker.run_job("fan-out")

        async def all_came():
            return len(receiver.got) == 6 + 9

        await eventually(all_came)
        assert before < {*receiver.ids()}
        assert len({*receiver.ids()}) == 9
        [one, *_] = await deliveries(broker, id)
        await ask(broker, "POST", f"/api/v1/deliveries/{one['id']}/redelivery")
        await ask(broker, "POST", f"{PATH}/{id}/redeliveries", {"since": since})

        async def again():
            return len(receiver.got) >= 6 + 9 + 9

        await eventually(again)
        assert len(late.got) == 10


async def test_what_is_paused_waits_and_a_ping_comes_once(broker, receiver):
    id = await subscribe(broker, receiver)
    async with delivering(broker):
        await ask(broker, "PATCH", f"{PATH}/{id}", {"state": "paused"})
        await logged(broker, stock(1))
        sent = await ask(broker, "POST", f"{PATH}/{id}/ping")
        await settled(broker, id, 1)
        [ping] = receiver.events()
        assert (ping["type"], ping["data"]) == ("broker.ping.v1", {"subscription_id": id})
        assert receiver.ids() == [ping["id"]] == [sent["event_id"]]
        shown = await ask(broker, "PATCH", f"{PATH}/{id}", {"state": "active"})
        assert shown["state"] == "active"
        await broker.run_job("fan-out")
        await settled(broker, id, 2)
        receiver.answers = [500]
        await ask(broker, "POST", f"{PATH}/{id}/ping")
        [failed] = await settled(broker, id, 1, "failed")
        assert failed["attempts"] == 1


async def test_large_data_are_left_out_and_can_be_got(broker, receiver):
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1, sku="x" * 70_000))
    async with delivering(broker):
        await settled(broker, id, 1)
    [event] = receiver.events()
    assert "data" not in event
    url = "http://127.0.0.1:8000"
    whole = await ask(broker, "GET", event["dataref"].removeprefix(url))
    assert whole["data"]["sku"] == "x" * 70_000
    assert whole["id"] == event["id"]


async def test_endpoints_are_changed_listed_and_removed(broker, receiver):
    id = await subscribe(broker, receiver, topics=["orders.order_placed.v1"], description="erp")
    shown = await broker.request("GET", f"{PATH}/{id}", token=ADMIN)
    tag = shown.headers["etag"]
    change = {"topics": [], "ordered": True}
    changed = await broker.request(
        "PATCH", f"{PATH}/{id}", change, token=ADMIN, headers={"if-match": tag}
    )
    assert (changed.status, changed.json()["ordered"]) == (200, True)
    stale = await broker.request(
        "PATCH", f"{PATH}/{id}", change, token=ADMIN, headers={"if-match": tag}
    )
    assert stale.status == 412
    wrong = {"url": receiver.url, "topics": ["orders.nothing"]}
    refused = await broker.request("POST", PATH, wrong, token=ADMIN)
    assert refused.json()["errors"][0]["pointer"] == "/topics"
    page = await ask(broker, "GET", f"{PATH}?limit=1")
    assert [one["id"] for one in page["items"]] == [id]
    await logged(broker, stock(1))
    await ask(broker, "DELETE", f"{PATH}/{id}")
    assert (await broker.request("GET", f"{PATH}/{id}", token=ADMIN)).status == 404
    assert await broker.fetch("select from deliveries") == []
    noted = [event.action for event in await broker.said(ActionNoted)]
    assert noted == [
        "broker.webhook_created", "broker.webhook_changed", "broker.webhook_deleted",
    ]  # fmt: skip
    customer = harness.user_token()
    staff = harness.user_token(role="staff")
    assert (await broker.request("GET", PATH, token=customer)).status == 403
    assert (await broker.request("GET", PATH, token=staff)).status == 200
    assert (await broker.request("POST", PATH, {"url": "https://a.b"}, token=staff)).status == 403


async def test_the_queue_of_an_endpoint_is_bounded_and_the_log_keeps_the_rest(
    broker, receiver, monkeypatch
):
    monkeypatch.setattr("merkato.broker.jobs.fan_out.WAITING_MAX", 10)
    monkeypatch.setattr("merkato.broker.jobs.fan_out.PAGE", 10)
    id = await subscribe(broker, receiver)
    await logged(broker, *(stock(n) for n in range(55)))
    assert len(await deliveries(broker, id)) == 10
    async with delivering(broker):

        async def all_came():
            await broker.run_job("fan-out")
            return len(receiver.got) == 55

        await eventually(all_came)


async def test_without_a_key_no_secret_is_kept(new_database, receiver):
    config = Config(here=("gateway",), environment="development")
    async with harness.alone(topology.services(config)["broker"], new_database) as broker:
        refused = await broker.request("POST", PATH, {"url": receiver.url}, token=ADMIN)
        assert refused.status == 503
        assert "broker.secret_keys" in refused.json()["detail"]
