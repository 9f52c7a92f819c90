"""Bells that ring in every process of a service: a hint on the bus, worth nothing if it is lost.

Whoever waits for such a bell also looks by itself now and then.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from nats.errors import Error as NatsError

from merkato.chassis.bus import NatsBus
from merkato.chassis.db import Database

LEAST_S = 0.02  # several rings within this are one


@asynccontextmanager
async def shared(
    db: Database, bus: NatsBus, service: str, names: Sequence[str]
) -> AsyncIterator[None]:
    """Carry what rings here to the other processes of this service, and theirs to here."""
    us = uuid4().bytes
    tasks, heard = [], []
    for name in names:
        subject = f"_WAKE.{service}.{name}"
        own = asyncio.Event()

        async def ring(message: Any, name: str = name, own: asyncio.Event = own) -> None:
            if message.data != us:
                db.ring(name, but=own)

        heard.append(await bus.client.subscribe(subject, cb=ring))
        tasks.append(asyncio.create_task(_tell(db, bus, name, own, subject, us)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for subscription in heard:
            with suppress(NatsError):
                await subscription.unsubscribe()


async def _tell(
    db: Database, bus: NatsBus, name: str, own: asyncio.Event, subject: str, us: bytes
) -> None:
    with db.listening(name, own):
        while True:
            await own.wait()
            own.clear()
            with suppress(NatsError):
                await bus.client.publish(subject, us)
            await asyncio.sleep(LEAST_S)
