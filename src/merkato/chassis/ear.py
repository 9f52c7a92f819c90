"""The ear of a service: one durable consumer of the stream, one open pull, batches in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from merkato.chassis.bus import BATCH_MAX, STREAM, Lost, NatsBus, heed_cancellation

HEARTBEAT_S = 5.0  # a waiting pull shows a sign of life this often
PULL_S = 30.0  # how long one pull waits


class Incoming(msgspec.Struct, frozen=True):
    """A message as it came; `reply` is where to acknowledge it."""

    message_id: str | None
    type: str
    stream_seq: int
    body: bytes
    reply: str


class Ear:
    """Hears one durable consumer; one batch at a time, in stream order."""

    def __init__(self, bus: NatsBus, consumer: str, types: Sequence[str]) -> None:
        self._bus, self._consumer, self._types = bus, consumer, types
        self._subject = ""
        self._interruptions = 0
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._subscription: Any = None
        self._open = 0  # messages the current pull may still bring
        self.started = False
        bus.wakers.append(self._wake)

    def _wake(self) -> None:
        """Stop waiting: what was asked for will not come over this connection."""
        self._queue.put_nowait(None)

    async def next_batch(self) -> list[Incoming]:
        """Wait for messages; give up to BATCH_MAX in stream order. Empty when there was nothing.

        Raises Lost and Refused; the next call begins anew.
        """
        if not self.started or self._interruptions != self._bus.interruptions:
            await self._start()
        if self._open <= 0:
            await self._pull()
        heed_cancellation()
        batch: list[Incoming] = []
        try:
            async with asyncio.timeout(2 * HEARTBEAT_S + 1):
                first = await self._queue.get()
            self._take(first, batch)
        except TimeoutError:
            self.started = False  # silent longer than its heartbeat
        while len(batch) < BATCH_MAX and not self._queue.empty():
            self._take(self._queue.get_nowait(), batch)
        return batch

    async def _start(self) -> None:
        await self.close()
        self._queue = asyncio.Queue()
        self._open = 0
        self._interruptions = self._bus.interruptions
        await self._bus.rewind(self._consumer, self._types)
        self._subject = f"{self._bus.inbox}.{self._consumer}.{uuid4().hex}"
        self._subscription = await self._bus.client.subscribe(self._subject, cb=self._queue.put)
        self.started = True

    def _take(self, message: Msg | None, batch: list[Incoming]) -> None:
        if message is None:
            return
        status = (message.headers or {}).get("Status")
        if status == "100":  # heartbeat
            return
        if status is not None:  # the pull ended: it expired, or its consumer is gone
            self._open = 0
            if status not in ("404", "408"):
                self.started = False
            return
        self._open -= 1
        tokens = message.reply.split(".")
        batch.append(
            Incoming(
                (message.headers or {}).get("Nats-Msg-Id"),
                message.subject.rsplit(".", 1)[0],
                int(tokens[5 if len(tokens) == 9 else 7]),
                message.data,
                message.reply,
            )
        )

    async def _pull(self) -> None:
        request = {
            "batch": BATCH_MAX,
            "expires": int(PULL_S * 10**9),
            "idle_heartbeat": int(HEARTBEAT_S * 10**9),
        }
        body = msgspec.json.encode(request)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer}"
        try:
            await self._bus.client.publish(subject, body, reply=self._subject)
        except NatsError as error:
            raise Lost(repr(error)) from error
        self._open = BATCH_MAX

    async def acknowledge(self, batch: Sequence[Incoming]) -> None:
        """Say that these, and all before them, were dealt with; only after the commit."""
        await self._bus.client.publish(batch[-1].reply, b"+ACK")

    async def still_working(self, batch: Sequence[Incoming]) -> None:
        """Keep the broker from offering these to others."""
        for message in batch:
            await self._bus.client.publish(message.reply, b"+WPI")

    async def close(self) -> None:
        """Stop hearing."""
        if self._subscription is not None:
            with contextlib.suppress(NatsError):
                await self._subscription.unsubscribe()
            self._subscription = None


@asynccontextmanager
async def hearing(bus: NatsBus, consumer: str, types: Sequence[str]) -> AsyncIterator[Ear]:
    """Open the ear of a durable consumer for events of these types; one reader at a time."""
    ear = Ear(bus, consumer, types)
    try:
        yield ear
    finally:
        bus.wakers.remove(ear._wake)
        await ear.close()
