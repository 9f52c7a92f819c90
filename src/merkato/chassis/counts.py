"""What replicas of one thing tell each other once a second; worth nothing if it is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import structlog

from merkato.chassis.bus import connected

log = structlog.get_logger()

EVERY_S = 1.0


@asynccontextmanager
async def told(
    url: str, name: str, mine: Callable[[], bytes], theirs: Callable[[bytes], None]
) -> AsyncIterator[None]:
    """Say `mine()` to the others of `name`, unless it is empty, and hand to `theirs` what they say.

    What was counted while the bus was away is said to nobody. Of what comes from one of them faster
    than it is said, the first is handed on: the rest was held up on the way, and is old.
    """
    subject, us = f"_WAKE.{name}.counts", uuid4().bytes
    heard_at: dict[bytes, float] = {}

    async def hear(message: Any) -> None:
        who, said = message.data[: len(us)], message.data[len(us) :]
        now = time.monotonic()
        if who != us and now - heard_at.get(who, 0.0) > EVERY_S / 2:
            heard_at[who] = now
            theirs(said)

    async def tell() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            said = mine()
            if not said or not bus.client.is_connected:
                continue
            try:
                await bus.client.publish(subject, us + said)
            except Exception as error:
                log.warning("counts are not told", name=name, error=repr(error))

    async with connected(url, name, ()) as bus:
        await bus.client.subscribe(subject, cb=hear)
        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
