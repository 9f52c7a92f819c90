"""The bus: one JetStream stream that all services speak to and hear from, in order per key.

A thin hot path over the NATS client: atomic batches to publish (one fsync each at the broker),
one pull that stays open to hear.
"""

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4
from zlib import crc32

import msgspec
import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

log = structlog.get_logger()

STREAM = "MERKATO"
PARTITIONS = 16  # of every event type, by key; fixed for ever
API_S = 5.0  # longest wait for an answer of the broker
ACK_WAIT_S = 30  # a message not acknowledged by then is offered again
HEARTBEAT_S = 5.0  # a waiting pull shows a sign of life this often
PULL_S = 30.0  # how long one pull waits
BATCH_MAX = 200  # messages handed over at once
MESSAGE_MAX_BYTES = 1_048_576
STREAM_MAX_BYTES = 8 * 1024**3
STREAM_MAX_AGE_S = 7 * 86_400  # personal data live in the stream no longer than this
DUPLICATES_S = 600  # the broker drops a second message with one id within this
SAME_ID_IN_BATCH = 10201  # a batch with an id the broker knows is refused whole
REFUSED_FOR_GOOD = {10054, 10060, 10071}  # too large, wrong subject or expectation


class Lost(Exception):
    """The broker did not answer: what was asked may or may not have happened."""


class Refused(Exception):
    """The broker answered no. `code` is JetStream's err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An event to publish. Two messages with one `id` are copies of each other."""

    id: str
    type: str
    key: str
    body: bytes

    @property
    def subject(self) -> str:
        """Give ``<type>.<partition>``."""
        return f"{self.type}.{crc32(self.key.encode()) % PARTITIONS}"


class Outcome(msgspec.Struct, frozen=True):
    """How far a publication came: the first messages were stored, at these places.

    With a `refusal`, the next one will never be taken.
    """

    stream_seqs: list[int]
    refusal: str | None = None


class StreamState(msgspec.Struct, frozen=True):
    """What the broker says of its stream."""

    created: str
    first_seq: int
    last_seq: int
    messages: int
    size_bytes: int


class Incoming(msgspec.Struct, frozen=True):
    """A message as it came; `reply` is where to acknowledge it."""

    message_id: str | None
    type: str
    stream_seq: int
    body: bytes
    reply: str


class Bus(Protocol):
    """What the outbox needs of a bus."""

    connections: int  # grows each time the connection was made anew

    async def publish(self, messages: Sequence[Message]) -> Outcome:
        """Store messages in order. Raises Lost when the answer did not come."""

    async def stream(self) -> StreamState:
        """Look at the stream, making it if it is missing."""

    async def message_id(self, stream_seq: int) -> str | None:
        """Give the id of the message stored there, None if there is none."""

    async def begin_anew(self, consumer: str) -> None:
        """Have a consumer hear everything again."""


class NatsBus:
    """One service's connection to the broker."""

    def __init__(self, client: Client, sources: Sequence[str], inbox: str) -> None:
        self._client = client
        self._sources = sources
        self._inbox = inbox
        self._ears: list[Ear] = []
        self.connections = 1

    async def publish(self, messages: Sequence[Message]) -> Outcome:
        """See Bus. One atomic batch; if the broker knows one of the ids, one after another."""
        if len(messages) > 1:
            try:
                return await self._publish_batch(messages)
            except Refused as refused:
                if refused.code != SAME_ID_IN_BATCH and refused.code not in REFUSED_FOR_GOOD:
                    raise
        stored: list[int] = []
        for message in messages:
            try:
                ack = await self._publish_one(message, {"Nats-Msg-Id": message.id})
            except Refused as refused:
                if refused.code in REFUSED_FOR_GOOD:
                    return Outcome(stored, str(refused))
                raise
            stored.append(ack["seq"])
        return Outcome(stored)

    async def _publish_batch(self, messages: Sequence[Message]) -> Outcome:
        batch = uuid4().hex
        for n, message in enumerate(messages[:-1], start=1):
            headers = {
                "Nats-Msg-Id": message.id,
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(n),
            }
            await self._client.publish(message.subject, message.body, headers=headers)
        headers = {
            "Nats-Msg-Id": messages[-1].id,
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(len(messages)),
            "Nats-Batch-Commit": "1",
        }
        ack = await self._publish_one(messages[-1], headers)
        last = ack["seq"]
        return Outcome(list(range(last - len(messages) + 1, last + 1)))

    async def _publish_one(self, message: Message, headers: dict[str, str]) -> dict[str, Any]:
        return await self._request(message.subject, message.body, headers)

    async def _request(
        self, subject: str, body: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self._client.request(subject, body, timeout=API_S, headers=headers)
        except (NatsError, TimeoutError, OSError) as error:
            raise Lost(f"{subject}: {error!r}") from error
        decoded: dict[str, Any] = msgspec.json.decode(answer.data)
        if refusal := decoded.get("error"):
            raise Refused(refusal.get("err_code", 0), refusal.get("description", "refused"))
        return decoded

    async def _api(self, call: str, **body: Any) -> dict[str, Any]:
        return await self._request(f"$JS.API.{call}", msgspec.json.encode(body) if body else b"")

    async def stream(self) -> StreamState:
        """See Bus."""
        try:
            info = await self._api(f"STREAM.INFO.{STREAM}")
        except Refused as refused:
            if "not found" not in str(refused):
                raise
            info = await self._api(
                f"STREAM.CREATE.{STREAM}",
                name=STREAM,
                subjects=[f"{source}.>" for source in self._sources],
                storage="file",
                retention="limits",
                discard="new",
                max_bytes=STREAM_MAX_BYTES,
                max_age=STREAM_MAX_AGE_S * 10**9,
                max_msg_size=MESSAGE_MAX_BYTES,
                duplicate_window=DUPLICATES_S * 10**9,
                num_replicas=1,
                deny_delete=True,
                deny_purge=True,
                allow_atomic=True,
                allow_direct=True,
            )
        state = info["state"]
        return StreamState(
            created=info["created"],
            first_seq=state["first_seq"],
            last_seq=state["last_seq"],
            messages=state["messages"],
            size_bytes=state["bytes"],
        )

    async def message_id(self, stream_seq: int) -> str | None:
        """See Bus."""
        try:
            answer = await self._api(f"STREAM.MSG.GET.{STREAM}", seq=stream_seq)
        except Refused:
            return None
        for line in b64decode(answer["message"].get("hdrs", "")).decode().split("\r\n"):
            name, _, value = line.partition(":")
            if name == "Nats-Msg-Id":
                return value.strip()
        return ""

    async def begin_anew(self, consumer: str) -> None:
        """See Bus."""
        with contextlib.suppress(Refused):
            await self._api(f"CONSUMER.DELETE.{STREAM}.{consumer}")
        self.interrupt()

    def interrupt(self) -> None:
        """Have every ear start over from what was acknowledged last."""
        for ear in self._ears:
            ear.started = False

    async def rewind(self, consumer: str, types: Sequence[str]) -> None:
        """Place a durable consumer right behind what was acknowledged without a gap.

        Messages that were handed out and not acknowledged would come again only after ACK_WAIT_S,
        behind later ones of their key; so the consumer is made anew. Its only reader calls this.
        """
        stream = await self.stream()
        floor = 0
        try:
            info = await self._api(f"CONSUMER.INFO.{STREAM}.{consumer}")
            floor = info["ack_floor"]["stream_seq"]
            if floor > stream.last_seq:
                floor = 0  # the stream fell back behind us
            await self._api(f"CONSUMER.DELETE.{STREAM}.{consumer}")
        except Refused as refused:
            if "not found" not in str(refused):
                raise
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": floor + 1}
        await self._api(
            f"CONSUMER.DURABLE.CREATE.{STREAM}.{consumer}",
            stream_name=STREAM,
            config={
                "durable_name": consumer,
                "filter_subjects": [f"{name}.*" for name in sorted(types)],
                "ack_policy": "explicit",
                "ack_wait": ACK_WAIT_S * 10**9,
                **(start if floor else {"deliver_policy": "all"}),
                "max_deliver": -1,
                "max_ack_pending": 4 * BATCH_MAX,
            },
        )

    @asynccontextmanager
    async def hearing(self, consumer: str, types: Sequence[str]) -> AsyncIterator["Ear"]:
        """Open the ear of a durable consumer for events of these types."""
        ear = Ear(self, self._client, consumer, types, self._inbox)
        self._ears.append(ear)
        try:
            yield ear
        finally:
            self._ears.remove(ear)
            await ear.close()

    def healthy(self) -> bool:
        """Tell whether the connection stands."""
        return bool(self._client.is_connected)


class Ear:
    """Hears one durable consumer; one batch at a time, in stream order."""

    def __init__(
        self, bus: NatsBus, client: Client, consumer: str, types: Sequence[str], inbox: str
    ) -> None:
        self._bus, self._client, self._consumer, self._types = bus, client, consumer, types
        self._inbox = inbox
        self._subject = ""
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Any = None
        self._open = 0  # messages the current pull may still bring
        self.started = False

    async def next_batch(self) -> list[Incoming]:
        """Wait for messages; give up to BATCH_MAX in stream order. Empty when there was nothing.

        Raises Lost and Refused; the next call begins anew.
        """
        if not self.started:
            await self._start()
        if self._open <= 0:
            await self._pull()
        batch: list[Incoming] = []
        try:
            self._take(await asyncio.wait_for(self._queue.get(), 2 * HEARTBEAT_S + 1), batch)
        except TimeoutError:
            self.started = False  # silent longer than its heartbeat
        while len(batch) < BATCH_MAX and not self._queue.empty():
            self._take(self._queue.get_nowait(), batch)
        return batch

    async def _start(self) -> None:
        await self.close()
        self._queue = asyncio.Queue()
        self._open = 0
        await self._bus.rewind(self._consumer, self._types)
        self._subject = f"{self._inbox}.{self._consumer}.{uuid4().hex}"
        self._subscription = await self._client.subscribe(self._subject, cb=self._queue.put)
        self.started = True

    def _take(self, message: Msg, batch: list[Incoming]) -> None:
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
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer}"
        try:
            await self._client.publish(subject, msgspec.json.encode(request), reply=self._subject)
        except NatsError as error:
            raise Lost(repr(error)) from error
        self._open = BATCH_MAX

    async def acknowledge(self, batch: Sequence[Incoming]) -> None:
        """Say that these were dealt with; only after the commit."""
        for message in batch:
            await self._client.publish(message.reply, b"+ACK")

    async def still_working(self, batch: Sequence[Incoming]) -> None:
        """Keep the broker from offering these to others."""
        for message in batch:
            await self._client.publish(message.reply, b"+WPI")

    async def close(self) -> None:
        """Stop hearing."""
        if self._subscription is not None:
            with contextlib.suppress(NatsError):
                await self._subscription.unsubscribe()
            self._subscription = None


@asynccontextmanager
async def connected(url: str, name: str, sources: Sequence[str]) -> AsyncIterator[NatsBus]:
    """Connect to the broker at `url` as service `name`, for ever; `sources` may be heard."""
    inbox = f"_INBOX_{name}"
    holder: list[NatsBus] = []

    async def on_reconnected() -> None:
        for bus in holder:
            bus.connections += 1
            bus.interrupt()
        log.info("broker is back", service=name)

    async def on_error(error: Exception) -> None:
        log.warning("broker connection", service=name, error=repr(error))

    client = await nats.connect(
        url,
        name=name,
        inbox_prefix=inbox,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,
        ping_interval=5,
        max_outstanding_pings=2,
        reconnected_cb=on_reconnected,
        error_cb=on_error,
        pending_size=16 * 1024 * 1024,
    )
    bus = NatsBus(client, sources, inbox)
    holder.append(bus)
    try:
        yield bus
    finally:
        with contextlib.suppress(NatsError, asyncio.TimeoutError, OSError):
            await asyncio.wait_for(client.close(), 5)
