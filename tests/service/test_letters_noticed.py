"""Dead letters that are told of, and those of events that the bus refused."""

import json
from uuid import uuid4

import pytest
from harness import answering
from service.letters_desk import CANARY, ROLE, ask, asking, cancelled, heard, listed, made, plant

from merkato.chassis import letters, outbox
from merkato.chassis.inbox import TRIES_MAX
from merkato.chassis.telemetry import metrics
from merkato.contracts.broker import DeadLetterAppeared
from merkato.contracts.inventory import StockLow
from merkato.contracts.trail import ActionNoted


@pytest.fixture
async def broker(new_database, inventory):
    async with asking(new_database, inventory) as alone:
        yield alone


async def test_a_new_dead_letter_is_said_once_and_counted(broker, inventory):
    first = await plant(inventory, cancelled(uuid4()))
    await plant(inventory, cancelled(uuid4()), state="waiting")
    await broker.run_job("notice-letters")
    await broker.run_job("notice-letters")
    [said] = await broker.said(DeadLetterAppeared)
    assert (said.service, str(said.event_id)) == ("inventory", first)
    assert said.event_type == "orders.order_cancelled.v1"
    second = await plant(inventory, cancelled(uuid4()))
    await broker.run_job("notice-letters")
    assert [str(one.event_id) for one in await broker.said(DeadLetterAppeared)] == [first, second]
    await letters.measure(inventory.db, "inventory")
    shown = metrics().decode()
    assert 'merkato_dead_letters{service="inventory",state="dead"} 2.0' in shown
    assert CANARY not in shown


async def test_a_letter_that_people_had_tried_again_and_that_dies_again_is_told_of_again(
    broker, inventory
):
    event, event_id = cancelled(uuid4()), uuid4()
    await inventory.inbox.receive([heard(event, event_id, 1, was_confirmed="perhaps")])
    path = f"/inventory:{event_id}/retry"
    for n in (1, 2, 3):
        for _ in range(2):
            await broker.run_job("notice-letters")
        assert [one.event_id for one in await broker.said(DeadLetterAppeared)] == [event_id] * n
        done = await ask(broker, "POST", path, token=ROLE["admin"])
        assert done.json()["state"] == "waiting"
        await broker.run_job("notice-letters")
        async with inventory.db.transaction() as tx:
            await tx.execute("update set_aside set tries = $1", TRIES_MAX - 1)
        await inventory.inbox.retry_set_aside(inventory.db)
        assert [one["state"] for one in await listed(broker)] == ["dead"]


async def test_only_those_are_asked_for_that_may_be_new(new_database, inventory):
    answers = []

    async def noting(scope, receive, send):
        async def sending(message):
            if message.get("body"):
                answers.append([one["event_id"] for one in json.loads(message["body"])["items"]])
            await send(message)

        await inventory.request.app(scope, receive, sending)

    older = [await plant(inventory, cancelled(uuid4())) for _ in range(150)]
    async with inventory.db.transaction() as tx:
        await tx.execute("update set_aside set died_at = now() - interval '1 hour'")
    async with asking(new_database, inventory, inventory=noting) as broker:
        await broker.run_job("notice-letters")
        assert sorted(id for page in answers for id in page) == sorted(older)
        answers.clear()
        await broker.run_job("notice-letters")
        assert answers == [[]]
        new = await plant(inventory, cancelled(uuid4()))
        await broker.run_job("notice-letters")
        assert answers == [[], [new]]
        [begun_anew] = [one for one in made("broker").jobs if one.name == "notice-letters"]
        await begun_anew.job(broker.resources)
        assert len(await broker.said(DeadLetterAppeared)) == 151


async def test_what_an_older_version_told_of_is_not_told_of_again(broker, inventory):
    told, again = [await plant(inventory, cancelled(uuid4())) for _ in range(2)]
    async with broker.db.transaction() as tx:
        for id in (told, again):
            await tx.execute(
                "insert into letters_noticed (service, event_id) values ('inventory', $1)", id
            )
    async with inventory.db.transaction() as tx:
        await tx.execute(
            "update set_aside set died_at = now() + interval '1 s' where event_id = $1", again
        )
    await broker.run_job("notice-letters")
    assert [str(one.event_id) for one in await broker.said(DeadLetterAppeared)] == [again]


async def test_a_service_that_does_not_answer_is_named(new_database, inventory):
    first = await plant(inventory, cancelled(uuid4()))
    async with asking(new_database, inventory, payments=answering(503, {})) as broker:
        await broker.run_job("notice-letters")
        assert len(await broker.said(DeadLetterAppeared)) == 1
        page = (await ask(broker, "GET")).json()
        assert [one["event_id"] for one in page["items"]] == [first]
        assert page["unavailable"] == ["payments"]
        done = await ask(broker, "POST", "/retry", {"state": "dead"}, token=ROLE["admin"])
        assert (done.json()["count"], done.json()["unavailable"]) == (1, ["payments"])
        lost = await ask(broker, "GET", f"/payments:{uuid4()}")
        assert lost.status == 503


TOO_LARGE = "message size exceeds maximum allowed (10054)"


async def refuse(service, n=1):
    """Have the bus take nothing of the oldest `n` keys, as relay_once would mark them."""
    rows = await service.fetch(outbox.NEXT, 100)
    async with service.db.transaction() as tx:
        for seq in sorted({row["key"]: row["seq"] for row in reversed(rows)}.values())[:n]:
            await tx.execute(outbox.REFUSED, seq, TOO_LARGE)


async def under_way(service):
    """What the relay would carry next."""
    rows = await service.fetch(outbox.NEXT, 100)
    return [row["id"] for row in rows if row["type"] == StockLow.type]


def low(n, sku="MUG"):
    return StockLow(sku=sku, available=n, threshold=9, crossing=n)


async def test_an_event_that_the_bus_refused_is_a_letter_of_who_said_it(broker, inventory):
    async with inventory.db.transaction() as tx:
        first, second, other = outbox.say(tx, low(1), low(2), low(1, "CUP"))
    await refuse(inventory)
    assert await under_way(inventory) == [other]
    [one] = await listed(broker, f"key=MUG&state=dead&type={StockLow.type}")
    assert (one["id"], one["said"]) == (f"inventory:{first}", True)
    assert TOO_LARGE in one["reason"]
    opened = (await ask(broker, "GET", f"/{one['id']}")).json()
    assert (opened["data"]["available"], opened["behind"]) == (1, 1)
    assert opened["source"] == "/merkato/inventory"
    await letters.measure(inventory.db, "inventory")
    assert 'merkato_dead_letters{service="inventory",state="dead"} 1.0' in metrics().decode()
    await broker.run_job("notice-letters")
    [said] = await broker.said(DeadLetterAppeared)
    assert said.event_id == first

    path = f"/{one['id']}"
    edit = await ask(broker, "POST", f"{path}/edit", {"data": {"a": 1}}, token=ROLE["admin"])
    assert edit.status == 409, "it was said, and means what it says"
    retried = await ask(broker, "POST", f"{path}/retry", token=ROLE["admin"])
    assert (retried.status, retried.json()["state"]) == (200, "waiting")
    assert retried.json()["acted_by"].startswith("user:")
    assert await under_way(inventory) == [first, second, other]

    await refuse(inventory)
    given_up = await ask(broker, "POST", "/discard", {"key": "MUG"}, token=ROLE["admin"])
    assert given_up.json()["count"] == 1
    assert await under_way(inventory) == [second, other]
    assert await listed(broker) == []
    assert [one["id"] for one in await listed(broker, "state=discarded")] == [f"inventory:{first}"]
    noted = [(entry.action, entry.after["ids"]) for entry in await inventory.said(ActionNoted)]
    assert noted == [
        ("inventory.dead_letters_retried", [str(first)]),
        ("inventory.dead_letters_discarded", [str(first)]),
    ]


async def test_what_was_given_up_is_not_published_again_with_all_else(broker, inventory):
    async with inventory.db.transaction() as tx:
        first, second = outbox.say(tx, low(1), low(2))
    await refuse(inventory)
    await ask(broker, "POST", f"/inventory:{first}/discard", token=ROLE["admin"])
    async with inventory.db.transaction() as tx:
        await tx.execute("update outbox set published_at = now() where published_at is null")
        assert await outbox.ask_again(tx, "MUG", StockLow.type) == 1
        await tx.execute("update outbox set published_at = now() where published_at is null")
        await tx.execute(outbox.PUBLISH_AGAIN, 7)
    assert await under_way(inventory) == [second]
