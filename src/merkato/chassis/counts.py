"""What replicas of one thing tell each other once a second; worth nothing if it is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from merkato.chassis.bus import connected

EVERY_S = 1.0


@asynccontextmanager
async def told(
    url: str, name: str, mine: Callable[[], bytes], theirs: Callable[[bytes], None]
) -> AsyncIterator[None]:
    """Say `mine()` to the others of `name`, unless it is empty, and hand to `theirs` what they say.

    What is said comes back to whoever said it too.
    """
    subject = f"_WAKE.{name}.counts"

    async def hear(message: Any) -> None:
        theirs(message.data)

    async def tell() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if said := mine():
                await bus.client.publish(subject, said)

    async with connected(url, name, ()) as bus:
        await bus.client.subscribe(subject, cb=hear)
        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
