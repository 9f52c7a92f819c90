"""What the bus and the relay promise, on a real broker and a real database."""

import asyncio
import json
import shutil
import signal
from collections import Counter
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import harness
import pytest

from merkato.chassis import bus, ear, letters, outbox
from merkato.chassis.engines import binaries, ports
from merkato.chassis.engines import start as engines_start
from merkato.chassis.supervisor import Supervisor
from merkato.config import SERVICES, Config
from merkato.contracts.inventory import StockLow
from merkato.contracts.letters import Filter
from merkato.inventory.service import service

SOURCES = (*SERVICES, "external")


@pytest.fixture
def connect(nats_url):
    """A connection with consumers of any name; what a service may do is in test_bus_users.py."""
    return lambda: bus.connected(nats_url, "inventory", SOURCES)


@pytest.fixture
async def broker(connect):
    async with connect() as connection:
        await connection.stream()
        yield connection


def kind():
    """A type of event nobody else uses."""
    return f"inventory.test_{uuid4().hex[:12]}.v1"


def messages(name, n, keys=7):
    return [
        bus.Message(id=uuid4().hex, type=name, key=f"key-{i % keys}", body=b"%d" % i)
        for i in range(n)
    ]


@asynccontextmanager
async def listening(broker, name, consumer="inventory"):
    async with ear.hearing(broker, f"{consumer}_{name.split('.')[1]}", [name]) as opened:
        yield opened


async def read(opened, n, *, ack=True):
    """Take `n` messages off, in the order they come."""
    got = []
    async with asyncio.timeout(20):
        while len(got) < n:
            batch = await opened.next_batch()
            got += batch
            if ack and batch:
                await opened.acknowledge(batch)
    return got


async def test_messages_of_a_key_come_in_the_order_they_were_published(broker):
    name = kind()
    sent = messages(name, 1_200)
    for start in range(0, len(sent), 400):
        await broker.publish(sent[start : start + 400])
    async with listening(broker, name) as opened:
        got = await read(opened, len(sent))
    assert [one.body for one in got] == [one.body for one in sent]
    seqs = [one.stream_seq for one in got]
    assert seqs == sorted(set(seqs))
    assert {one.type for one in got} == {name}


async def test_what_a_lost_reader_held_comes_again_at_once_and_first(broker, connect):
    name = kind()
    sent = messages(name, 300)
    await broker.publish(sent)
    async with listening(broker, name) as opened:
        first = await opened.next_batch()
        await opened.acknowledge(first)
        held = await opened.next_batch()
        assert held
    async with connect() as other, listening(other, name) as opened:
        rest = await read(opened, len(sent) - len(first))
    assert [one.body for one in rest] == [one.body for one in sent[len(first) :]]


async def test_a_reader_whose_consumer_vanished_goes_on(broker, nats_url):
    name = kind()
    await broker.publish(messages(name, 10))
    async with listening(broker, name) as opened:
        assert len(await read(opened, 10)) == 10
        waiting = asyncio.create_task(read(opened, 5))
        await asyncio.sleep(0.2)
        await broker._api(f"CONSUMER.DELETE.{bus.STREAM}.inventory_{name.split('.')[1]}")
        more = messages(name, 5)
        await broker.publish(more)
        bodies = [one.body for one in await waiting]  # from the beginning: the inbox sorts it out
        assert bodies


async def test_a_consumer_begun_anew_hears_everything_again(broker):
    name = kind()
    await broker.publish(messages(name, 20))
    async with listening(broker, name) as opened:
        before = [one.stream_seq for one in await read(opened, 20)]
        await broker.begin_anew(f"inventory_{name.split('.')[1]}")
        assert [one.stream_seq for one in await read(opened, 20)] == before


async def test_a_consumer_whose_files_are_in_the_way_is_made_a_little_later(home):
    """And at its old place: what was acknowledged is not heard again."""
    async with Supervisor(home / "run") as supervisor:
        own = await engines_start.start(supervisor, home, SERVICES)
        async with bus.connected(own.nats_url, "inventory", SOURCES) as connection:
            await connection.stream()
            name = "inventory.test_in_the_way.v1"
            sent = messages(name, 10)
            await connection.publish(sent[:6])
            async with listening(connection, name) as opened:
                assert len(await read(opened, 6)) == 6
            await connection.publish(sent[6:])
            [place] = (home / "nats").rglob("obs/inventory_test_in_the_way")
            real, refused = connection._api, []

            async def in_the_way(call, **body):
                try:
                    answer = await real(call, **body)
                except bus.Refused as error:
                    if error.code in bus.NOT_MADE:
                        refused.append(error.code)
                        place.unlink()
                    raise
                if call.startswith("CONSUMER.DELETE"):
                    await harness.eventually(lambda: gone(place))
                    place.write_text("what a deletion left behind")
                return answer

            connection._api = in_the_way
            async with listening(connection, name) as opened:
                got = await read(opened, 4)
            assert [one.message_id for one in got] == [one.id for one in sent[6:]]
            assert len(refused) == 1


async def gone(place):
    return not place.exists()


async def test_a_copy_within_a_batch_is_stored_once(broker):
    name = kind()
    first, second, third = messages(name, 3)
    stored = (await broker.publish([first, second])).stream_seqs
    again = (await broker.publish([second, third])).stream_seqs
    assert again[0] == stored[1]
    assert again[1] > stored[1]
    async with listening(broker, name) as opened:
        assert [one.message_id for one in await read(opened, 3)] == [
            first.id, second.id, third.id
        ]  # fmt: skip
    assert await broker.message_id(stored[0]) == first.id
    assert await broker.message_id(10**12) is None


def low(n):
    return StockLow(sku=f"SKU-{n % 5}", available=n, threshold=n, crossing=n)


@pytest.fixture
async def inventory(new_database):
    async with harness.alone(service(Config()), new_database) as alone:
        yield alone


async def in_stream(inventory, broker):
    """How often each event of the outbox stands in the stream."""
    rows = await inventory.fetch("select id from outbox")
    ours = {str(row["id"]) for row in rows}
    seqs = await inventory.fetch("select min(stream_seq) as first from outbox")
    last = (await broker.stream()).last_seq
    found = [await broker.message_id(seq) for seq in range(seqs[0]["first"], last + 1)]
    return Counter(one for one in found if one in ours), ours


async def test_what_no_broker_takes_is_not_even_said(inventory):
    with pytest.raises(asyncpg.CheckViolationError):
        async with inventory.db.transaction() as tx:
            outbox.say(tx, StockLow(sku="x" * 600_000, available=1, threshold=1, crossing=1))
    assert await inventory.said() == []


async def test_what_commits_late_is_published_too(inventory, broker):
    late = inventory.db.transaction()
    tx = await late.__aenter__()
    outbox.say(tx, low(1))
    await outbox.flush(tx)  # the row has its place in the order now, and nobody sees it
    async with inventory.db.transaction() as other:
        outbox.say(other, low(2))
    assert await outbox.relay_once(inventory.db, broker, "inventory")
    await late.__aexit__(None, None, None)
    await outbox.relay_once(inventory.db, broker, "inventory")
    rows = await inventory.fetch("select seq, stream_seq from outbox order by seq")
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert rows[0]["stream_seq"] > rows[1]["stream_seq"]
    found, ours = await in_stream(inventory, broker)
    assert found == dict.fromkeys(ours, 1)


async def test_several_relays_store_each_event_once(inventory, broker, connect):
    for start in range(0, 1_000, 100):
        async with inventory.db.transaction() as tx:
            outbox.say(tx, *(low(n) for n in range(start, start + 100)))

    async def relay():
        async with connect() as own:
            while await inventory.fetch("select from outbox where published_at is null limit 1"):
                await outbox.relay_once(inventory.db, own, "inventory")

    await asyncio.gather(*(relay() for _ in range(4)))
    found, ours = await in_stream(inventory, broker)
    assert len(ours) == 1_000
    assert found == dict.fromkeys(ours, 1)


async def test_events_the_broker_lost_are_published_again(inventory, broker):
    async with inventory.db.transaction() as tx:
        outbox.say(tx, *(low(n) for n in range(10)))
    await outbox.check_broker(inventory.db, broker, "inventory")
    await outbox.relay_once(inventory.db, broker, "inventory")
    assert await outbox.check_broker(inventory.db, broker, "inventory") is False
    waiting = "select count(*) from outbox where published_at is null"
    assert (await inventory.fetch(waiting))[0][0] == 0
    async with inventory.db.transaction() as tx:  # as if the stream had ended before our last one
        await tx.execute("update broker set acked_seq = acked_seq + 1000000")
    assert await outbox.check_broker(inventory.db, broker, "inventory") is True
    assert (await inventory.fetch(waiting))[0][0] == 10
    await outbox.relay_once(inventory.db, broker, "inventory")
    assert await outbox.check_broker(inventory.db, broker, "inventory") is False
    async with inventory.db.transaction() as tx:  # another stream of the same name
        await tx.execute("update broker set created = 'once upon a time'")
    assert await outbox.check_broker(inventory.db, broker, "inventory") is True
    assert await outbox.check_broker(inventory.db, broker, "inventory") is False


@asynccontextmanager
async def relaying(inventory, url):
    async with bus.connected(url, "inventory", SOURCES) as connection:
        relay = asyncio.create_task(outbox.relay_forever(inventory.db, connection, "inventory"))
        yield connection
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


async def all_are_published(inventory):
    return not await inventory.fetch("select from outbox where published_at is null limit 1")


async def test_a_tail_the_broker_lost_is_missed_though_new_events_wait_for_it(inventory, tmp_path):
    """It dies with the last second of its disk, and is back before the relay gives a batch up."""
    port, store, image = ports.pick(None), tmp_path / "store", tmp_path / "image"
    settings = {"listen": f"127.0.0.1:{port}",
                "jetstream": {"store_dir": str(store), "sync_interval": "always"}}  # fmt: skip
    (tmp_path / "nats.conf").write_text(json.dumps(settings))
    command = [str(binaries.nats()), "--config", str(tmp_path / "nats.conf")]

    async def say(n):
        async with inventory.db.transaction() as tx:
            outbox.say(tx, *(low(i) for i in range(n)))

    server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await harness.eventually(lambda: asyncio.sleep(0, not ports.is_free(port)))
        async with relaying(inventory, f"nats://127.0.0.1:{port}") as connection:
            for n in range(2):
                await say(5)
                await harness.eventually(lambda: all_are_published(inventory))
                if n == 0:
                    server.send_signal(signal.SIGSTOP)
                    shutil.copytree(store, image)
                    server.send_signal(signal.SIGCONT)
            server.kill()
            await server.wait()
            shutil.rmtree(store)
            image.rename(store)
            await say(8)
            await asyncio.sleep(1)
            server = await asyncio.create_subprocess_exec(
                *command, stderr=asyncio.subprocess.DEVNULL
            )
            await harness.eventually(lambda: all_are_published(inventory))
            await asyncio.sleep(1)  # if something is to be published again, that is known by now
            await harness.eventually(lambda: all_are_published(inventory))
            found, ours = await in_stream(inventory, connection)
        assert len(ours) == 18
        assert {*found} == ours
    finally:
        server.kill()
        await server.wait()


OUTBOX = """
insert into outbox (id, type, key, sequence, body)
values (gen_random_uuid(), 'inventory.stock_low.v1', $1, $2, format('{"text": "%s"}', $3::text))
"""


@pytest.mark.parametrize("count", [0, 20])
async def test_what_the_broker_will_never_take_holds_up_its_key_alone(inventory, tmp_path, count):
    """Too large for the stream, or for the server: somebody else's may take less than ours."""
    port = ports.pick(None)
    settings = {"listen": f"127.0.0.1:{port}", "max_payload": 8_192,
                "jetstream": {"store_dir": str(tmp_path)}}  # fmt: skip
    (tmp_path / "nats.conf").write_text(json.dumps(settings))
    command = [str(binaries.nats()), "--config", str(tmp_path / "nats.conf")]
    server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)

    async def limit(connection, max_bytes):
        config = (await connection._api(f"STREAM.INFO.{bus.STREAM}"))["config"]
        wanted = {**config, "max_msg_size": max_bytes}
        await connection._api(f"STREAM.UPDATE.{bus.STREAM}", **wanted)

    async def waiting():
        rows = await inventory.fetch(
            "select key, sequence, refused_at is not null as refused from outbox"
            " where published_at is null order by seq"
        )
        return [tuple(row) for row in rows]

    try:
        await harness.eventually(lambda: asyncio.sleep(0, not ports.is_free(port)))
        url = f"nats://127.0.0.1:{port}"
        async with bus.connected(url, "inventory", SOURCES) as connection:
            await connection.stream()
            await limit(connection, 2_048)
            async with inventory.db.transaction() as tx:
                said = [("A", 1, 9), ("A", 2, 4_000), ("B", 1, 8_000), ("A", 3, 9), ("B", 2, 9)]
                for key, sequence, size in [*said, *(("C", n, 9) for n in range(count))]:
                    await tx.execute(OUTBOX, key, sequence, "x" * size)
            for _ in range(6):
                await outbox.relay_once(inventory.db, connection, "inventory")
            assert connection.connections == 1, "the server shuts the door on what is too large"
            assert await waiting() == [
                ("A", 2, True), ("B", 1, True), ("A", 3, False), ("B", 2, False),
            ]  # fmt: skip
            await limit(connection, 8_192)
            async with inventory.db.transaction() as tx:
                await letters.decide(tx, "retry", Filter(key="A"), "user:somebody")
                await letters.decide(tx, "discard", Filter(key="B"), "user:somebody")
            await outbox.relay_once(inventory.db, connection, "inventory")
            assert await waiting() == []
            rows = await inventory.fetch("select key, sequence, stream_seq from outbox")
            place = {(row["key"], row["sequence"]): row["stream_seq"] for row in rows}
            assert place["A", 1] < place["A", 2] < place["A", 3] < place["B", 2]
            assert place["B", 1] is None
    finally:
        server.kill()
        await server.wait()


async def test_a_broker_that_was_never_spoken_to_is_checked_again_and_again(inventory, home):
    async with Supervisor(home / "run") as supervisor:
        own = await engines_start.start(supervisor, home, SERVICES)
        url = own.nats_urls["inventory"]
        async with bus.connected(url, "inventory", SOURCES) as connection:
            for _ in range(3):  # a shop in which nothing happened for a while
                assert await outbox.check_broker(inventory.db, connection, "inventory") is False
            async with inventory.db.transaction() as tx:
                outbox.say(tx, low(1))
            assert await outbox.relay_once(inventory.db, connection, "inventory") == 1
            assert await outbox.check_broker(inventory.db, connection, "inventory") is False
