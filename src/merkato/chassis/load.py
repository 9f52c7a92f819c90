"""How busy this process is, and how work that can wait stands back for whoever waits for an answer.

Events, claims and settlements go a few at a time, each begun in a moment without requests. While
there is more to do than can be done, nothing stands back: then it counts how much gets done.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakKeyDictionary

from merkato.chassis.telemetry import LOOP_LAG

PERIOD_S = 0.5  # over which load is measured
WAITING_BUSY = 8  # requests that wait at once, counted at each door here: above it, busy
TURNS = 2  # batches under way at once in a process that has room
TURN_S = 0.2  # how long a batch waits for its turn, and …
MOMENT_S = 0.01  # … for a moment without requests …
LOOK_S = 0.001  # … for which it looks so often
PACE_S = 0.01  # least time from one batch of events to the next in a process at rest, …
PACE_LONG_S = 0.1  # … in one that takes …
CPU_LONG = 0.4  # … so much of a processor, or more, …
PACE_BUSY_S = 0.05  # … and in a busy one, where larger batches would stand in the requests' way
GIVE_WAY_S = 0.05  # how long work that can wait then waits

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Load:
    """How busy this process is."""

    in_flight = 0  # requests that wait for their answer
    waited_s = 0.0  # for how long those waited that were answered, in all …
    waiting = 0.0  # … and how many waited at once of late, on average (Little's law)
    cpu = 0.0  # of a processor's time, taken of late


def is_busy() -> bool:
    """Tell whether so many wait for an answer, now or of late, that there is no room left."""
    return max(Load.in_flight, Load.waiting) > WAITING_BUSY


async def watch_load() -> None:
    """Measure for ever how late the event loop wakes us, and how busy this process is."""
    loop = asyncio.get_running_loop()
    while True:
        began, used, waited_s = loop.time(), time.process_time(), Load.waited_s
        await asyncio.sleep(PERIOD_S)
        took = loop.time() - began
        LOOP_LAG.set(max(0.0, took - PERIOD_S))
        Load.cpu = (time.process_time() - used) / took
        Load.waiting = (Load.waited_s - waited_s) / took


async def pause_since(began: float) -> None:
    """Rest after a batch begun at `began` (loop time): the more work there is, the larger a batch.

    Fifty orders a second in batches of 10 ms took 1.8 processors, in batches of 100 ms 1.0.
    """
    least = PACE_S + (PACE_LONG_S - PACE_S) * min(1.0, Load.cpu / CPU_LONG)
    if is_busy():
        least = PACE_BUSY_S
    await asyncio.sleep(max(0.0, began + least - asyncio.get_running_loop().time()))


@asynccontextmanager
async def in_turn() -> AsyncIterator[None]:
    """Do a batch of work for which nobody waits when it is its turn, or after `TURN_S`.

    A request is answered in a dozen steps, and each waits for all that is ready to run here before
    it: when ten services hear of one order at once, a step takes four times as long.
    """
    if is_busy():
        yield
        return
    turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(TURNS))
    taken = False
    with suppress(TimeoutError):
        async with asyncio.timeout(TURN_S):
            taken = await turns.acquire()
    try:
        await a_moment(MOMENT_S)
        yield
    finally:
        if taken:
            turns.release()


async def a_moment(most_s: float) -> None:
    """Wait until no request is under way in this process, `most_s` at most."""
    for _ in range(round(most_s / LOOK_S)):
        if not Load.in_flight:
            return
        await asyncio.sleep(LOOK_S)


async def give_way() -> None:
    """Let requests go first: work that can wait pauses here while many are waiting."""
    if is_busy():
        await asyncio.sleep(GIVE_WAY_S)
