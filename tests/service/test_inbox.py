"""The ear of a service: what is slow is told from a house that is down."""

import asyncio
from uuid import UUID, uuid4, uuid5

import harness
import msgspec
import pytest

from merkato.chassis import db, inbox
from merkato.chassis.ear import Incoming
from merkato.contracts.users import UserErased


@pytest.fixture
async def database(new_database):
    async with db.connected(await new_database(prepare=migrated), pool_max=1) as one:
        yield one


async def migrated(dsn):
    async with db.connected(dsn) as one:
        await one.migrate("merkato.chassis")


def incoming(*ids):
    """Messages about users, in order."""
    found = []
    for n, id in enumerate(ids, 1):
        event = UserErased(user_id=id)
        said = {
            "specversion": "1.0", "id": uuid4(), "type": event.type, "time": harness.now(),
            "subject": event.key, "data": event,
        }  # fmt: skip
        found.append(Incoming(None, event.type, n, msgspec.json.encode(said), ""))
    return found


SLOW, GOOD, OTHER = (UUID(int=number) for number in (1, 2, 3))


async def in_a_statement(tx):
    await tx.execute("set local statement_timeout = '50ms'")
    await tx.execute("select pg_sleep(10)")


async def in_all(_):
    await asyncio.sleep(10)


@pytest.mark.parametrize("wait", [in_a_statement, in_all])
async def test_a_slow_event_is_set_aside_and_the_others_are_handled(database, monkeypatch, wait):
    monkeypatch.setattr(inbox, "BATCH_S", 0.3)
    handled, tries = [], []

    async def handler(tx, heard):
        tries.append(len(heard))
        if SLOW in (one.event.user_id for one in heard):
            await wait(tx)
        handled.extend(one.event.user_id for one in heard)

    ears = inbox.Inbox(database, "orders", {UserErased: handler})
    async with asyncio.timeout(60):
        await ears.settle(incoming(GOOD, SLOW, OTHER))
    assert handled == [GOOD, OTHER]
    assert tries == [3] * inbox.SLOW_MAX + [1] + [1] * inbox.SLOW_ALONE_MAX + [1]
    async with database.reading() as tx:
        [row] = await tx.fetch("select key, tries, state, reason from set_aside")
    assert (row["key"], row["tries"], row["state"]) == (str(SLOW), 3, "waiting")
    assert row["reason"].startswith(("QueryCanceledError", "TimeoutError"))
    async with database.transaction() as tx:
        await tx.execute("update set_aside set next_try_at = now()")
    await ears.retry_set_aside(database)
    async with database.reading() as tx:
        assert await tx.fetchval("select tries from set_aside") == 4


async def test_a_database_that_does_not_answer_sets_nothing_aside(database, monkeypatch):
    monkeypatch.setattr(db, "ACQUIRE_S", 0.01)
    monkeypatch.setattr(inbox, "PAUSE_MAX_S", 0.01)
    handled = []

    async def handler(_, heard):
        handled.extend(one.event.user_id for one in heard)

    ears = inbox.Inbox(database, "orders", {UserErased: handler})
    async with database.transaction():  # the only connection there is
        settling = asyncio.create_task(ears.settle(incoming(GOOD, SLOW)))
        await asyncio.sleep(2)
        assert not settling.done()
    async with asyncio.timeout(10):
        await settling
    assert handled == [GOOD, SLOW]
    async with database.reading() as tx:
        assert await tx.fetchval("select count(*) from set_aside") == 0


NUMBERED = UUID("0197a2b4-1c1d-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("change", "id", "key"),
    [
        ({"data": {"user_id": "nobody"}}, NUMBERED, str(GOOD)),
        ({"data": 7}, NUMBERED, str(GOOD)),
        ({"data": {"user_id": str(OTHER)}}, NUMBERED, str(GOOD)),
        ({"time": "yesterday"}, NUMBERED, str(GOOD)),
        ({"id": "first"}, None, str(GOOD)),
        ({"id": 1}, None, str(GOOD)),
        ({"subject": None}, None, None),
        ({"subject": ""}, None, None),
        ({"subject": "a\0b"}, None, None),
        ({"subject": "x" * 3_000}, None, None),
        (b"no json", None, None),
        (b"[]", None, None),
        (b"\xff", None, None),
    ],
)
async def test_what_cannot_be_read_keeps_the_id_and_key_its_envelope_tells(
    database, change, id, key
):
    async def handler(_, heard):
        raise AssertionError(heard)

    ears = inbox.Inbox(database, "orders", {UserErased: handler})
    [good] = incoming(GOOD)
    body = change
    if isinstance(change, dict):
        said = msgspec.json.decode(good.body) | {"id": str(NUMBERED)} | change
        body = msgspec.json.encode(said)
    message = Incoming("its-name", good.type, 1, body, "")
    for _ in range(2):
        await ears.receive([message])
    async with database.reading() as tx:
        [row] = await tx.fetch("select event_id, key, state from set_aside")
    named = id or uuid5(inbox.UNREADABLE, "its-name")
    assert (row["event_id"], row["key"]) == (named, key or f"unreadable:{named}")
    assert row["state"] == "dead"
