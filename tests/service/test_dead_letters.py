"""Events that were set aside are seen, retried and discarded from the command line."""

import asyncio
import json
import os
import re
import sys
from uuid import uuid4

import asyncpg
import pytest

from merkato.chassis import db

PLANT = """
insert into set_aside (event_id, type, key, stream_seq, message, reason, tries, state)
values ($1, 'orders.order_placed.v1', 'an-order', $2, '{"secret": "canary"}',
        'no such sku', 8, 'dead')
"""
STATES = "select event_id::text, state, tries from set_aside"


async def migrated(dsn):
    async with db.connected(dsn, pool_max=1) as database:
        await database.migrate("merkato.chassis")


@pytest.fixture
async def shop(new_database, tmp_path):
    """A configuration with two services' databases, and what to ask them."""
    urls = {name: await new_database(name, prepare=migrated) for name in ("payments", "inventory")}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"database_urls": urls}))
    return Shop(urls, file)


class Shop:
    def __init__(self, urls, file):
        self.urls = urls
        self.file = file

    async def plant(self, service, count=1):
        ids = [uuid4() for _ in range(count)]
        connection = await asyncpg.connect(self.urls[service])
        await connection.executemany(PLANT, [(one, n) for n, one in enumerate(ids)])
        await connection.close()
        return [str(one) for one in ids]

    async def states(self, service):
        connection = await asyncpg.connect(self.urls[service])
        rows = await connection.fetch(STATES)
        await connection.close()
        return {row["event_id"]: (row["state"], row["tries"]) for row in rows}

    async def say(self, *words):
        """Run `merkato dead-letters` with these words; give exit status and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "merkato", "dead-letters", *words),
            env=os.environ | {"MERKATO_CONFIG": str(self.file)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, re.sub(r"\x1b\[[\d;]*m", "", said.decode())


async def test_they_are_listed_with_their_reason_and_without_their_contents(shop):
    assert (await shop.say("list"))[1] == "There are none.\n"
    (planted,) = await shop.plant("payments")
    status, said = await shop.say("list")
    assert status == 0
    for told in ("payments", planted, "orders.order_placed.v1", "an-order", "no such sku", "dead"):
        assert told in said
    assert "canary" not in said
    assert planted not in (await shop.say("list", "--service", "inventory"))[1]


async def test_one_is_retried_and_one_discarded(shop):
    one, two, three = await shop.plant("payments", 3)
    assert (await shop.say("retry", one)) == (0, "1 will be tried again.\n")
    assert (await shop.say("discard", two)) == (0, "1 discarded.\n")
    assert await shop.states("payments") == {
        one: ("waiting", 0),
        two: ("discarded", 8),
        three: ("dead", 8),
    }
    assert (await shop.say("retry", two)) == (0, "0 will be tried again.\n")


async def test_what_the_bus_refused_is_listed_and_decided_too(shop):
    one, two = uuid4(), uuid4()
    connection = await asyncpg.connect(shop.urls["payments"])
    refused = """
        insert into outbox (id, type, key, sequence, body, refused_at, refusal)
        values ($1, 'payments.payment_captured.v1', $2, 1, '{}', now(), 'too large')
    """
    await connection.executemany(refused, [(one, "an-order"), (two, "another")])
    said = (await shop.say("list"))[1]
    for told in (str(one), str(two), "payments.payment_captured.v1", "too large", "dead"):
        assert told in said
    assert (await shop.say("retry", str(one))) == (0, "1 will be tried again.\n")
    assert (await shop.say("discard", "--every")) == (0, "2 discarded.\n")
    rows = await connection.fetch("select published_at is null as open, acted_by from outbox")
    await connection.close()
    assert {tuple(row) for row in rows if row["acted_by"]} == {(False, "service:command-line")}
    assert (await shop.say("list"))[1] == "There are none.\n"


async def test_all_of_one_service_are_retried(shop):
    await shop.plant("payments", 2)
    (other,) = await shop.plant("inventory")
    assert (await shop.say("retry", "--every", "--service", "payments")) == (
        0,
        "2 will be tried again.\n",
    )
    assert await shop.states("inventory") == {other: ("dead", 8)}


async def test_nothing_is_touched_unless_it_is_named(shop):
    (planted,) = await shop.plant("payments")
    status, said = await shop.say("discard")
    assert status == 1
    assert "--every" in said
    status, said = await shop.say("discard", "--every", "--service", "nobody")
    assert status == 1
    assert "there are: payments, inventory" in said
    assert await shop.states("payments") == {planted: ("dead", 8)}
