"""What replicas tell each other through a real NATS that dies, comes back or stands still."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
from harness import eventually

from merkato.chassis import counts
from merkato.chassis.engines import nats
from merkato.chassis.engines.home import Home
from merkato.chassis.tokens import Tokens
from merkato.config import Gateway
from merkato.contracts.problem import RateLimited
from merkato.gateway.limits import Limits

SPELL_S = 3.0  # how long NATS is away, or stands still


class Broker:
    """NATS as a process of the test's own, at one address for ever."""

    def __init__(self, home):
        self._home = Home(home)
        self._home.open()
        self._kept = self._home.secrets(("orders",))

    async def start(self):
        child = nats.child(self._home, self._kept, ("orders",))
        with child.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *child.command, stdout=log, stderr=log
            )
        self.url = nats.url(self._home, self._kept, "gateway")
        await eventually(child.ready)

    async def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@pytest.fixture
async def broker(home):
    one = Broker(home)
    await one.start()
    yield one
    await one.kill()


class Teller:
    """Says numbers, and notes what it hears of the other's."""

    def __init__(self):
        self.said, self.heard, self.prefix = 0, [], ""

    def mine(self):
        self.said += 1
        return f"{self.prefix}{self.said}".encode()

    def theirs(self, told):
        self.heard.append(int(told))


@pytest.fixture
async def two(broker, monkeypatch):
    """Two who tell each other, ten times as often as replicas do."""
    monkeypatch.setattr(counts, "EVERY_S", 0.1)
    one, other = Teller(), Teller()
    async with (
        counts.told(broker.url, "gateway", one.mine, one.theirs),
        counts.told(broker.url, "gateway", other.mine, other.theirs),
    ):
        await heard_more(other)
        yield one, other


async def heard_more(teller):
    before = len(teller.heard)

    async def more():
        return len(teller.heard) >= before + 3

    await eventually(more)


async def test_each_hears_the_other_and_not_itself(two):
    one, other = two
    one.said += 1_000
    await heard_more(other)
    assert max(other.heard) > 1_000 > max(one.heard)


async def test_what_was_counted_while_nats_was_away_is_not_told(two, broker):
    one, other = two
    await broker.kill()
    begun, before = one.said, len(other.heard)
    await asyncio.sleep(SPELL_S)
    away = one.said
    assert away - begun > 20
    await broker.start()
    await heard_more(other)
    assert [number for number in other.heard[before:] if begun < number <= away] == []


async def test_what_was_held_up_on_the_way_is_not_heard_as_if_it_were_new(two, broker):
    one, other = two
    os.kill(broker.process.pid, signal.SIGSTOP)
    begun, before = one.said, len(other.heard)
    await asyncio.sleep(SPELL_S)
    late = one.said
    os.kill(broker.process.pid, signal.SIGCONT)
    await heard_more(other)
    assert len([number for number in other.heard[before:] if begun < number <= late]) <= 2


async def test_it_goes_on_after_what_cannot_be_told(two):
    one, other = two
    one.prefix = "0" * 2_000_000  # more than a message may be
    await asyncio.sleep(0.5)
    one.prefix = ""
    await heard_more(other)


async def test_replicas_let_through_at_most_one_seconds_worth_too_much(broker):
    few = Gateway(unlimited=(), address_per_s=20.0, address_burst=20)
    tokens, seconds = Tokens("gateway", None, {}), 6
    replicas, passed = [Limits(few, tokens) for _ in range(2)], [0, 0]
    scope = {"method": "GET", "path": "/", "headers": []}

    async def ask(n):
        for _ in range(seconds * 30):
            with contextlib.suppress(RateLimited):
                replicas[n].take(scope, "192.0.2.1")
                passed[n] += 1
            await asyncio.sleep(1 / 30)

    async with (
        counts.told(broker.url, "gateway", replicas[0].tell, replicas[0].hear),
        counts.told(broker.url, "gateway", replicas[1].tell, replicas[1].hear),
    ):
        began = time.monotonic()
        await asyncio.gather(ask(0), ask(1))
        took_s = time.monotonic() - began  # longer where the machine stood still
    least, most = 20 + 20 * seconds, 20 + 20 * took_s
    assert least * 0.7 < sum(passed) <= most + 30, passed
