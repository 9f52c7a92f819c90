"""Webhooks: signed, in order when asked, from any point, nothing lost."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID, uuid4

import harness
import pytest
from harness import eventually
from receiver import receiving
from service.test_broker_log import ADMIN, stock, walked
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

from merkato.broker.store import deliveries as store
from merkato.broker.store import log, webhooks
from merkato.contracts.notifications import NotificationSent
from merkato.contracts.trail import ActionNoted


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
        [one, *_] = await settled(broker, id, 9)  # what is still under way is not sent again
        await ask(broker, "POST", f"/api/v1/deliveries/{one['id']}/redelivery")
        await ask(broker, "POST", f"{PATH}/{id}/redeliveries", {"since": since})

        async def again():
            return len(receiver.got) >= 6 + 9 + 9

        await eventually(again)
        assert len(late.got) == 10


async def test_deliveries_are_found_by_topic_state_and_time(broker, receiver):
    id = await subscribe(broker, receiver)
    sent = NotificationSent(notification_id=uuid4(), channel="email", template="order_placed")
    await logged(broker, stock(1), sent)
    await asyncio.sleep(0.01)
    between = harness.now().isoformat().replace("+00:00", "Z")
    await logged(broker, stock(2))
    told, of_stock = await deliveries(broker, id), "topic=inventory.stock_changed"
    assert [one["type"].split(".")[0] for one in told] == [
        "inventory",
        "notifications",
        "inventory",
    ]
    for path in (f"{PATH}/{id}/deliveries", "/api/v1/deliveries"):
        found = {
            query: (await ask(broker, "GET", f"{path}?{query}"))["items"]
            for query in (of_stock, f"since={between}", f"until={between}",
                          f"{of_stock}.v1&until={between}&state=pending",
                          f"{of_stock}&state=failed")
        }  # fmt: skip
        assert [*found.values()] == [[told[0], told[2]], told[:1], told[1:], told[2:], []]
        unknown = await broker.request("GET", f"{path}?topic=orders.nothing", token=ADMIN)
        assert (unknown.status, unknown.json()["errors"][0]["pointer"]) == (422, "/topic")


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


async def test_a_paused_endpoint_gets_nothing_of_what_was_queued_until_it_goes_on(broker, receiver):
    id = await subscribe(broker, receiver)
    await logged(broker, *(stock(n) for n in range(3)))
    await ask(broker, "PATCH", f"{PATH}/{id}", {"state": "paused"})
    async with broker.db.transaction() as tx:  # as when it was paused just after READY
        assert await store.claim(tx, [UUID(id)], [8], [False]) == []
    async with delivering(broker):
        await ask(broker, "POST", f"{PATH}/{id}/ping")
        await settled(broker, id, 1)
        await asyncio.sleep(0.7)
        assert [event["type"] for event in receiver.events()] == ["broker.ping.v1"]
        await ask(broker, "PATCH", f"{PATH}/{id}", {"state": "active"})
        await settled(broker, id, 4)
    assert len(receiver.got) == 4


@pytest.mark.parametrize("large", ["x" * 70_000, "語" * 25_000])
async def test_large_data_are_left_out_and_can_be_got(broker, receiver, large):
    id = await subscribe(broker, receiver)
    await logged(broker, stock(1, sku=large))
    async with delivering(broker):
        await settled(broker, id, 1)
    [event] = receiver.events()
    assert "data" not in event
    url = "http://127.0.0.1:8000"
    whole = await ask(broker, "GET", event["dataref"].removeprefix(url))
    assert whole["data"]["sku"] == large
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


async def test_what_nobody_wants_is_passed_over_at_once(broker, receiver, monkeypatch):
    monkeypatch.setattr("merkato.broker.jobs.fan_out.PAGE", 10)
    await subscribe(broker, receiver, topics=["orders.order_placed"])
    await logged(broker, *(stock(n) for n in range(55)))
    [row] = await broker.fetch(
        "select s.position, h.position as head from subscriptions s, log_head h"
    )
    assert row["position"] == row["head"]


async def test_deliveries_do_not_wait_for_who_makes_more_of_them(broker, receiver):
    id = await subscribe(broker, receiver)
    await logged(broker, *(stock(n) for n in range(20)))
    async with broker.db.transaction() as tx:  # as the one that makes deliveries does
        await tx.execute("select from subscriptions where id = $1 for no key update", UUID(id))
        async with delivering(broker):
            await settled(broker, id, 20)


OLDER_DAYS = """
do $$ begin
    for back in 1..3 loop
        execute format('create table log_older_%s partition of log for values from (%s) to (%s)',
            back, ((day - back) * 86400000) << 20, ((day - back + 1) * 86400000) << 20)
           from (select extract(epoch from now())::bigint / 86400 as day) today;
    end loop;
end $$
"""


async def test_endpoints_change_while_a_log_of_days_becomes_deliveries(broker, receiver):
    """PostgreSQL 18.4 crashes where a statement prunes partitions and finds a row changed."""
    async with broker.db.transaction() as tx:
        await tx.execute(OLDER_DAYS)
    ids = [await subscribe(broker, receiver) for _ in range(20)]
    end, said = asyncio.get_running_loop().time() + 5, 0

    def going_on():
        return asyncio.get_running_loop().time() < end

    async def change():
        while going_on():
            async with broker.db.transaction() as tx:
                await tx.execute("update subscriptions set version = version + 1 "
                                 "where id = $1", random.choice(ids))  # fmt: skip

    async def say():
        nonlocal said
        while going_on():
            said += 1
            await broker.hear(stock(said))

    async def fan_out(plans):
        while going_on():
            async with broker.db.transaction() as tx:
                await tx.execute(f"set local plan_cache_mode = {plans}")
                await webhooks.fan_out(tx, await log.head(tx), 5_000, 200)

    await asyncio.gather(change(), change(), say(), fan_out("auto"),
                         fan_out("force_generic_plan"))  # fmt: skip
    await broker.run_job("fan-out")
    [row] = await broker.fetch("select count(*) as made from deliveries")
    assert row["made"] == said * len(ids)
