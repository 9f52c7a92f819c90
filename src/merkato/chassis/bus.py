"""The bus: one JetStream stream that all services speak to and hear from, in order per key.

A thin hot path over the NATS client: atomic batches to publish (one fsync each at the broker), a
few messages one by one, and one pull that stays open to hear.
"""

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol
from uuid import uuid4
from zlib import crc32

import msgspec
import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

log = structlog.get_logger()

STREAM = "MERKATO"
PARTITIONS = 16  # of every event type, by key; fixed for ever
API_S = 5.0  # longest wait for an answer of the broker
ACK_WAIT_S = 30  # a message not acknowledged by then is offered again
BATCH_MAX = 200  # messages handed over at once
ATOMIC_FROM = 5  # fewer are faster one by one: the broker makes a folder for each atomic batch
MESSAGE_MAX_BYTES = 1_048_576
HEADERS_MAX_BYTES = 512  # of a message; the server counts them with its body
TOO_LARGE = "larger than the server's max_payload"
STREAM_MAX_BYTES = 8 * 1024**3
STREAM_MAX_AGE_S = 7 * 86_400  # personal data live in the stream no longer than this
DUPLICATES_S = 600  # the broker drops a second message with one id within this
SAME_ID_IN_BATCH = 10201  # a batch with an id the broker knows is refused whole
NO_MESSAGE = 10037  # nothing is stored at that place
NOT_MADE = {10012, 10104}  # a consumer's files: those of one just deleted may be in the way
MAKE_TRIES = 8  # to make a consumer, with growing pauses: 6 s in all
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


class Bus(Protocol):
    """What the outbox needs of a bus."""

    connections: (
        int  # grows as soon as the connection is lost, before what waits is sent by the next
    )

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
        self.client = client
        self._sources = sources
        self.inbox = inbox
        self.connections = 1
        self.interruptions = 0
        self.wakers: list[Callable[[], None]] = []  # of ears that wait for messages

    async def publish(self, messages: Sequence[Message]) -> Outcome:
        """See Bus. One atomic batch; few, or if the broker knows an id, one after another."""
        most = self.client.max_payload - HEADERS_MAX_BYTES
        for n, message in enumerate(messages):
            if len(message.body) > most:  # the server would shut the door on it
                outcome = await self.publish(messages[:n])
                return Outcome(outcome.stream_seqs, outcome.refusal or TOO_LARGE)
        if len(messages) >= ATOMIC_FROM:
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
            await self.client.publish(message.subject, message.body, headers=headers)
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
            answer = await self.client.request(subject, body, timeout=API_S, headers=headers)
        except (NatsError, TimeoutError, OSError) as error:
            raise Lost(f"{subject}: {error!r}") from error
        heed_cancellation()
        decoded: dict[str, Any] = msgspec.json.decode(answer.data)
        if refusal := decoded.get("error"):
            raise Refused(refusal.get("err_code", 0), refusal.get("description", "refused"))
        return decoded

    async def _api(self, call: str, **body: Any) -> dict[str, Any]:
        return await self._request(f"$JS.API.{call}", msgspec.json.encode(body) if body else b"")

    async def stream(self) -> StreamState:
        """See Bus. A stream of an older version is told of sources it does not know."""
        subjects = [f"{source}.>" for source in self._sources]
        try:
            info = await self._api(f"STREAM.INFO.{STREAM}")
            if new := sorted({*subjects} - {*info["config"]["subjects"]}):
                wider = {**info["config"], "subjects": [*info["config"]["subjects"], *new]}
                info = await self._api(f"STREAM.UPDATE.{STREAM}", **wider)
        except Refused as refused:
            if "not found" not in str(refused):
                raise
            info = await self._api(
                f"STREAM.CREATE.{STREAM}",
                name=STREAM,
                subjects=subjects,
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
        except Refused as refused:
            if refused.code != NO_MESSAGE:
                raise
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
        self.interruptions += 1
        for wake in self.wakers:
            wake()

    async def rewind(self, consumer: str, types: Sequence[str]) -> None:
        """Place a durable consumer right behind what was acknowledged without a gap.

        Messages that were handed out and not acknowledged would come again only after ACK_WAIT_S,
        behind later ones of their key; so the consumer is made anew. Its only reader calls this.
        """
        stream = await self.stream()
        floor = 0
        with _if_there():
            info = await self._api(f"CONSUMER.INFO.{STREAM}.{consumer}")
            floor = info["ack_floor"]["stream_seq"]
        if floor > stream.last_seq:
            floor = 0  # the stream fell back behind us
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": floor + 1}
        config = {
            "durable_name": consumer,
            "filter_subjects": [f"{name}.*" for name in sorted(types)],
            "ack_policy": "all",  # one reader, in order: the last one speaks for all before it
            "ack_wait": ACK_WAIT_S * 10**9,
            **(start if floor else {"deliver_policy": "all"}),
            "max_deliver": -1,
            "max_ack_pending": 4 * BATCH_MAX,
        }
        create = f"CONSUMER.DURABLE.CREATE.{STREAM}.{consumer}"
        for n in range(1, MAKE_TRIES + 1):  # giving up here would forget the floor
            with _if_there():
                await self._api(f"CONSUMER.DELETE.{STREAM}.{consumer}")
            try:
                await self._api(create, stream_name=STREAM, config=config)
                return
            except Refused as refused:
                if refused.code not in NOT_MADE or n == MAKE_TRIES:
                    raise
                log.warning("consumer could not be made", consumer=consumer, error=str(refused))
            await asyncio.sleep(0.05 * 2 ** (n - 1))

    def healthy(self) -> bool:
        """Tell whether the connection stands."""
        return bool(self.client.is_connected)


def heed_cancellation() -> None:
    """Raise what the client may have swallowed: on Python 3.11 it waits by asyncio.wait_for."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def _if_there() -> Iterator[None]:
    """Do something with what may not exist."""
    try:
        yield
    except Refused as refused:
        if "not found" not in str(refused):
            raise


@asynccontextmanager
async def connected(url: str, name: str, sources: Sequence[str]) -> AsyncIterator[NatsBus]:
    """Connect to the broker at `url` as service `name`, for ever; `sources` may be heard."""
    inbox = f"_INBOX_{name}"
    holder: list[NatsBus] = []

    async def on_disconnected() -> None:
        for bus in holder:
            bus.connections += 1

    async def on_reconnected() -> None:
        for bus in holder:
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
        disconnected_cb=on_disconnected,
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
            async with asyncio.timeout(5):
                await client.close()
