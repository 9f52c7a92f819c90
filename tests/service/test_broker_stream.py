"""The live stream: what it sends, when it rings, and what happens to readers that do not read."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import harness
import pytest
from harness import eventually
from service.test_broker_log import ADMIN, service, stock, walked

from merkato.chassis import bus, edge, keys, wake
from merkato.chassis.db import connected as db_connected
from merkato.config import SERVICES

PATH = "/api/v1/events/stream"


class Reading:
    """One reader of a stream, and all it was sent."""

    def __init__(self):
        self.status, self.text, self.stuck, self.ended = None, "", asyncio.Event(), False
        self.left = asyncio.Event()

    @property
    def events(self):
        frames = [frame for frame in self.text.split("\n\n") if "data: " in frame]
        return [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]

    async def have(self, n):
        async def there():
            return len(self.events) >= n

        await eventually(there, seconds=10)
        return self.events

    async def until_it_ends(self):
        async def ended():
            return self.ended

        await eventually(ended, seconds=5)


@asynccontextmanager
async def reading(broker, query="", last=None, reads=True, token=ADMIN):
    """Open a stream; with `reads` False nothing is ever taken of its body."""
    one = Reading()
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if last:
        headers.append((b"last-event-id", last.encode()))
    scope = {
        "type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(),
        "query_string": query.encode(), "headers": headers, "http_version": "1.1",
        "scheme": "http", "root_path": "", "client": None, "server": None, "state": {},
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    begun = False

    async def receive():
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await one.left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            one.status = message["status"]
            return
        if not reads:
            await asyncio.Event().wait()
        one.text += message.get("body", b"").decode()

    async def run():
        await broker.request.app(scope, receive, send)
        one.ended = True

    task = asyncio.create_task(run())

    async def answered():
        return one.status

    await eventually(answered)
    yield one
    one.left.set()
    await asyncio.wait_for(task, 10)


@pytest.fixture
async def broker(new_database):
    async with harness.alone(service(streams_max=3), new_database) as alone:
        yield alone


async def test_it_sends_what_is_logged_from_now_on(broker):
    await broker.hear(stock(1))
    async with reading(broker, "topic=inventory.stock_changed") as one:
        await asyncio.sleep(0.1)
        await broker.hear(stock(2), stock(3))
        events = await one.have(2)
        await broker.hear(stock(4))
        await one.have(3)
    assert [event["event"] for event in events] == ["inventory.stock_changed.v1"] * 2
    logged = await walked(broker)
    assert [event["id"] for event in one.events] == [entry["cursor"] for entry in logged[1:]]


async def test_it_goes_on_behind_the_last_event_seen(broker):
    await broker.hear(*(stock(n) for n in range(250)))
    logged = await walked(broker, "limit=1000")
    for query in ("", "topic=inventory.stock_changed"):
        async with reading(broker, query, last=logged[9]["cursor"]) as one:
            await one.have(240)
        assert [event["id"] for event in one.events] == [e["cursor"] for e in logged[10:]]


async def test_a_silent_stream_shows_that_it_lives(broker, monkeypatch):
    monkeypatch.setattr("merkato.broker.http.stream.LOOK_S", 0.1)
    monkeypatch.setattr("merkato.broker.http.stream.HEARTBEAT_S", 0.3)
    async with reading(broker) as one:

        async def alive():
            return one.text.count(": still here") >= 2

        await eventually(alive)


async def test_a_reader_that_takes_nothing_is_cut_off_and_hurts_nobody(broker, monkeypatch):
    monkeypatch.setattr(edge, "SLOW_S", 0.3)
    async with reading(broker, reads=False) as stuck, reading(broker) as fine:
        await asyncio.sleep(0.1)
        await broker.hear(*(stock(n) for n in range(20)))
        await fine.have(20)
        await stuck.until_it_ends()
        await broker.hear(stock(99))
        await fine.have(21)
        assert not fine.ended


async def test_a_stream_ends_in_time_and_only_so_many_are_open(broker, monkeypatch):
    async with reading(broker), reading(broker), reading(broker), reading(broker) as fourth:
        assert fourth.status == 503
    monkeypatch.setattr("merkato.broker.http.stream.LIFE_S", 0.2)
    monkeypatch.setattr("merkato.broker.http.stream.LOOK_S", 0.1)
    async with reading(broker) as one:
        await one.until_it_ends()


async def test_so_many_are_open_however_many_are_opened_at_once(broker):
    async with AsyncExitStack() as stack:
        opening = [stack.enter_async_context(reading(broker)) for _ in range(12)]
        opened = await asyncio.gather(*opening)
        assert sorted(one.status for one in opened) == [200] * 3 + [503] * 9
    async with reading(broker, last="nonsense") as refused:
        assert refused.status == 422
    for _ in range(4):
        async with reading(broker) as one:
            assert one.status == 200


async def test_a_stream_ends_when_its_reader_may_read_no_longer(broker, monkeypatch):
    monkeypatch.setattr("merkato.broker.http.stream.JUDGE_S", 0.1)
    monkeypatch.setattr("merkato.broker.http.stream.LOOK_S", 0.05)
    monkeypatch.setattr(keys, "FRESH_S", 0.1)
    tokens, person = broker.resources.tokens, uuid4()
    key, _ = harness.api_key("events:read")
    of_person = harness.user_token(person, role="admin")
    tokens.know_roles({"watcher": frozenset({"events:read"})})
    watcher = harness.user_token(role="watcher")
    async with (
        reading(broker) as fine,
        reading(broker, token=key) as program,
        reading(broker, token=of_person) as somebody,
    ):
        harness.end_api_key(key)
        await program.until_it_ends()
        assert not somebody.ended
        tokens.refuse({person: None})
        await somebody.until_it_ends()
        async with reading(broker, token=watcher) as less:
            assert less.status == 200
            tokens.know_roles({"watcher": frozenset()})
            await less.until_it_ends()
        await broker.hear(stock(1))
        await fine.have(1)
        assert program.events == somebody.events == less.events == []


async def test_bells_ring_in_every_process(broker, nats_urls):
    url, sources = nats_urls["broker"], (*SERVICES, "external")
    async with (
        db_connected(broker.db._dsn) as other,
        bus.connected(url, "broker", sources) as here,
        bus.connected(url, "broker", sources) as there,
        wake.shared(broker.db, here, "broker", ("log",)),
        wake.shared(other, there, "broker", ("log",)),
    ):
        await asyncio.sleep(0.1)
        with other.listening("log") as bell, broker.db.listening("log") as own:
            await broker.hear(stock(1))
            await asyncio.wait_for(bell.wait(), 5)
            own.clear()
            bell.clear()
            await asyncio.sleep(0.3)
            assert not own.is_set()  # a ring from elsewhere is not carried back
            assert not bell.is_set()
