"""Whatever waits for ever ends when it is told to, also when what it waits for comes just then."""

import asyncio
from contextlib import asynccontextmanager

import harness
import pytest

from merkato.chassis import access, bus, ear, outbox, service
from merkato.config import SERVICES, Config
from merkato.inventory import service as inventory

TURNS = 12  # of the event loop, between what is waited for and the cancellation


@pytest.fixture
async def alone(new_database):
    async with harness.alone(inventory.service(Config()), new_database) as one:
        yield one


@pytest.fixture
async def broker(nats_urls):
    async with bus.connected(nats_urls["inventory"], "inventory", SERVICES) as connection:
        await connection.stream()
        yield connection


async def nothing(_):
    return 0


@asynccontextmanager
async def jobs(alone, broker):
    every = service.Every("a-job", 60, nothing)
    yield service._repeat(every, alone.resources), lambda: alone.db.ring("a-job")


@asynccontextmanager
async def relay(alone, broker):
    yield outbox.relay_forever(alone.db, broker, "inventory"), lambda: alone.db.ring(outbox.BELL)


@asynccontextmanager
async def follower(alone, broker):
    follow = access.follow(alone.db, alone.resources.tokens)
    yield follow, lambda: alone.db.ring(access.BELL)


@asynccontextmanager
async def listener(alone, broker):
    async with ear.hearing(broker, "inventory", ["inventory.test_ends.v1"]) as opened:

        async def hear():
            while True:
                await opened.next_batch()

        yield hear(), broker.interrupt


@pytest.mark.parametrize("waiting", [jobs, relay, follower, listener])
async def test_a_cancellation_is_never_swallowed(alone, broker, waiting):
    for turns in range(TURNS):
        async with waiting(alone, broker) as (work, ring):
            task = asyncio.create_task(work)
            await asyncio.sleep(0.15)
            ring()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=2)
            assert done, f"it went on, cancelled after {turns} turns"
