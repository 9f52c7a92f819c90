"""Work for which nobody waits goes a little at a time, and never waits for ever."""

import asyncio
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import pytest
from harness import eventually

from merkato.chassis import load
from merkato.chassis.load import Load, in_turn


@pytest.fixture(autouse=True)
def at_rest(monkeypatch):
    monkeypatch.setattr(load, "_turns", WeakKeyDictionary())
    monkeypatch.setattr(load, "TURNS", 1)
    monkeypatch.setattr(load, "TURN_S", 60.0)
    monkeypatch.setattr(load, "MOMENT_S", 60.0)
    for name in ("in_flight", "waited_s", "waiting", "cpu"):
        monkeypatch.setattr(Load, name, 0)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def one_has_its_turn(begun: list[str]):
    """Have one batch under way, for as long as this lasts; the next notes that it has begun."""
    end = asyncio.Event()

    async def first():
        async with in_turn():
            await end.wait()
            begun.append("first ended")

    async def second():
        async with in_turn():
            begun.append("second")

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await settled()
        group.create_task(second())
        await settled()
        yield
        end.set()


@pytest.mark.parametrize("_", ["a loop", "the next loop in one process"])
def test_a_batch_begins_when_the_one_before_it_ended(_):
    begun: list[str] = []

    async def run():
        async with one_has_its_turn(begun):
            assert begun == []

    asyncio.run(run())
    assert begun == ["first ended", "second"]


async def test_a_batch_that_hangs_keeps_others_for_a_while_only(monkeypatch):
    monkeypatch.setattr(load, "TURN_S", 0.001)
    begun: list[str] = []
    async with one_has_its_turn(begun):
        assert begun == ["second"]


@pytest.mark.parametrize("name", ["in_flight", "waiting"])
async def test_where_many_requests_wait_all_go_at_once(monkeypatch, name):
    begun: list[str] = []
    async with asyncio.timeout(30):
        monkeypatch.setattr(Load, name, load.WAITING_BUSY + 1)
        async with one_has_its_turn(begun):
            assert begun == ["second"]


async def test_a_batch_that_fails_or_is_cancelled_gives_its_turn_back():
    with pytest.raises(ValueError, match="wrong"):
        async with in_turn():
            raise ValueError("wrong")
    begun: list[str] = []
    async with one_has_its_turn(begun):
        third = asyncio.create_task(in_turn().__aenter__())
        await settled()
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
    assert begun == ["first ended", "second"]
    async with asyncio.timeout(30), in_turn():
        pass


async def test_a_batch_begins_in_a_moment_without_requests(monkeypatch):
    begun: list[str] = []

    async def batch():
        async with in_turn():
            begun.append("batch")

    Load.in_flight = 1
    task = asyncio.create_task(batch())
    await settled()
    assert begun == []
    Load.in_flight = 0
    await task
    assert begun == ["batch"]
    monkeypatch.setattr(load, "MOMENT_S", 0.002)
    Load.in_flight = 1
    await batch()
    assert begun == ["batch", "batch"], "one request that lasts holds nothing up for ever"


async def test_how_many_wait_on_average_is_measured(monkeypatch):
    async def busy():
        return load.is_busy()

    async def at_rest():
        return not load.is_busy()

    monkeypatch.setattr(load, "PERIOD_S", 0.01)
    watch = asyncio.create_task(load.watch_load())
    await asyncio.sleep(0)
    Load.waited_s += 1e6
    await eventually(busy, pause=0.001)
    await eventually(at_rest, pause=0.001)
    watch.cancel()
