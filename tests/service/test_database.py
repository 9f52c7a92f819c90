"""A pooled connection is handed on with nothing begun on it."""

import asyncio
import time

import pytest
from asyncpg import DataError

from merkato.chassis import db


@pytest.fixture
async def database(new_database):
    """A pool of one connection: who comes next has the one that was left."""
    async with db.connected(await new_database(), pool_max=1) as one:
        yield one


async def sees_a_snapshot(database):
    async with database.transaction(snapshot=True) as tx:
        return await tx.fetchval("select 1") == 1


@pytest.mark.parametrize("turns", range(1, 4))
async def test_a_read_given_up_between_its_parse_and_its_run_leaves_nothing(database, turns):
    for n in range(5):

        async def read(n=n):
            async with database.reading() as tx:
                await tx.fetch(f"select relname from pg_class limit {10 * turns + n}")  # a new one

        reading = asyncio.create_task(read())
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(0.03)  # noqa: ASYNC251 - the answer comes, and nobody takes it yet
        for _ in range(n):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert await sees_a_snapshot(database)


@pytest.mark.parametrize(("kind", "value"), [("bigint", 2**70), ("text", 5), ("uuid", "x")])
async def test_a_value_that_cannot_be_sent_leaves_nothing(database, kind, value):
    with pytest.raises(DataError):
        async with database.reading() as tx:
            await tx.fetchval(f"select $1::{kind}", value)
    assert await sees_a_snapshot(database)
