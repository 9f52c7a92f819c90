"""A data folder of before a service existed gets its database, its user and its subjects."""

import secrets

import asyncpg

from merkato import config
from merkato.chassis import bus
from merkato.chassis.db import connected as db_connected
from merkato.chassis.engines.start import start
from merkato.chassis.supervisor import Supervisor

BEFORE = tuple(name for name in config.SERVICES if name != "broker")


async def test_a_service_that_is_new_is_provided_for_at_the_next_start(home):
    async with Supervisor(home / "run") as supervisor:
        older = await start(supervisor, home, BEFORE)
        async with bus.connected(older.nats_urls["orders"], "orders", BEFORE) as connection:
            before = await connection.stream()
            await connection.publish([bus.Message(id="1", type="orders.x.v1", key="k", body=b"1")])
        kept = secrets.token_hex(8)
        async with db_connected(older.database_urls["orders"]) as db:
            await db.migrate("merkato.chassis", "merkato.orders")
            async with db.transaction() as tx:
                await tx.execute(f"create table kept as select '{kept}' as word")
    async with Supervisor(home / "run") as supervisor:
        newer = await start(supervisor, home, config.SERVICES)
        assert newer.database_urls["orders"] == older.database_urls["orders"]
        async with db_connected(newer.database_urls["broker"]) as db:
            await db.migrate("merkato.chassis", "merkato.broker")
            async with db.reading() as tx:
                assert await tx.fetchval("select count(*) from log") == 0
        connection = await asyncpg.connect(newer.database_urls["orders"])
        assert await connection.fetchval("select word from kept") == kept
        await connection.close()
        url = newer.nats_urls["broker"]
        async with bus.connected(url, "broker", (*config.SERVICES, "external")) as connection:
            after = await connection.stream()
            assert (after.created, after.messages) == (before.created, 1)
            said = bus.Message(id="2", type="broker.test.v1", key="k", body=b"2")
            assert (await connection.publish([said])).stream_seqs == [2]
            assert (await connection.stream()).messages == 2
