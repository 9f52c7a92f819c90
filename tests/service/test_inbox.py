"""The ear of a service: what is slow is told from a house that is down."""

import asyncio
from uuid import uuid4

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


SLOW, GOOD, OTHER = uuid4(), uuid4(), uuid4()


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
