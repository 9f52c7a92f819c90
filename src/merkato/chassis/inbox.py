"""Hear each event once: the handler's writes and the note that it ran commit together.

A handler hears a batch of events in stream order. A batch that fails is taken apart; what fails
alone is set aside with its reason, and later events of its key queue up behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID, uuid5

import msgspec
import structlog

from merkato.chassis.bus import ACK_WAIT_S, Lost, NatsBus, Refused
from merkato.chassis.db import Database, Row, Tx, house_is_down, timed_out
from merkato.chassis.ear import Ear, Incoming, hearing
from merkato.chassis.failpoints import reach
from merkato.chassis.ids import first_id
from merkato.chassis.load import in_turn, pause_since
from merkato.chassis.telemetry import HEARD, SET_ASIDE
from merkato.contracts.event import Event
from merkato.contracts.problem import Problem

log = structlog.get_logger()

E = TypeVar("E", bound=Event)

BATCH_S = 10.0  # deadline of one transaction over a batch; well below the broker's patience
SLOW_MAX = 5  # timeouts of one batch in a row while the database answers; then it is taken apart
SLOW_ALONE_MAX = 3  # of one event alone; then it is set aside
PAUSE_MAX_S = 5.0  # between tries of a batch
TRIES_MAX = 8  # then an event is a dead letter for people
NOT_YET_MAX = timedelta(minutes=10)  # how long an event may wait for what it speaks of
UNREADABLE = UUID("6f1c2a0e-8d0b-4c55-9c39-0f6a2f6f7c11")  # namespace of ids for what has none


class NotYet(Exception):
    """The event speaks of something that is not here yet; it will be tried again soon."""


class Heard(msgspec.Struct, Generic[E], frozen=True):
    """An event as it was heard."""

    id: UUID
    event: E
    at: datetime  # when it was said
    key: str  # what it is about
    stream_seq: int
    message: bytes  # as it came


Handler: TypeAlias = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[None]]
Hears: TypeAlias = Mapping[type[Event], Handler]


class _Envelope(msgspec.Struct):
    specversion: str
    id: UUID
    type: str
    time: datetime
    subject: str
    data: msgspec.Raw


class _Address(msgspec.Struct):
    """What an envelope tells when nothing else of an event can be read; a key has an index."""

    subject: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]{1,500}\Z")]
    id: Any = None


class Inbox:
    """A service's ear: decodes, hears once, sets aside, tries again."""

    def __init__(self, db: Database, service: str, hears: Hears) -> None:
        self.db = db
        self.service = service
        self.types = sorted(event.type for event in hears)
        self._by_type = {event.type: (event, handler) for event, handler in hears.items()}
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._decoders = {e.type: msgspec.json.Decoder(e) for e in hears}
        self.last_heard_at: datetime | None = None

    async def hear_forever(self, bus: NatsBus) -> None:
        """Hear until cancelled."""
        if not self.types:
            return
        loop = asyncio.get_running_loop()
        async with hearing(bus, self.service, self.types) as ear:
            while True:
                try:
                    batch = await ear.next_batch()
                    if batch:
                        began = loop.time()
                        await self._deal_with(ear, batch)
                        await pause_since(began)
                    self.last_heard_at = datetime.now(UTC)
                except (Lost, Refused, OSError) as error:
                    ear.started = False
                    log.warning("cannot hear", service=self.service, error=str(error))
                    await asyncio.sleep(1)

    async def _deal_with(self, ear: Ear, batch: Sequence[Incoming]) -> None:
        """Handle a batch, then ack."""
        working = asyncio.create_task(_still_working(ear, batch))
        try:
            await self.settle(batch)
        finally:
            working.cancel()
        reach(f"{self.service}-heard")
        await ear.acknowledge(batch)

    async def settle(self, batch: Sequence[Incoming]) -> None:
        """Handle a batch until it is committed, however long the house is down."""
        pause, slow = 0.1, 0
        while True:
            try:
                async with in_turn():
                    return await self.receive(batch, apart=slow >= SLOW_MAX)
            except Exception as error:
                if not house_is_down(error):
                    log.exception("a batch could not even be set aside", service=self.service)
                log.warning("batch waits", service=self.service, error=repr(error))
                slow = slow + 1 if await self._is_slow(error) else 0
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_MAX_S)

    async def _is_slow(self, error: Exception) -> bool:
        """Tell what takes too long from a house that is down, which answers nothing."""
        return timed_out(error) and await self.db.answers()

    async def receive(self, batch: Sequence[Incoming], *, apart: bool = False) -> None:
        """Handle messages once each, all together or `apart`.

        Raises only when the house is down or the batch is too slow: a repeat is harmless.
        """
        heard: list[Heard[Any]] = []
        for message in batch:
            try:
                heard.append(self._read(message))
            except (msgspec.DecodeError, KeyError, ValueError) as error:
                await self._hear(heard, apart)  # first: it would close its key for them
                heard = []
                await self._refuse(message, repr(error))
        await self._hear(heard, apart)

    async def _hear(self, heard: Sequence[Heard[Any]], apart: bool) -> None:
        if not heard:
            return
        try:
            if not apart:
                async with asyncio.timeout(BATCH_S):
                    await self._handle(heard)
        except Exception as error:
            if house_is_down(error):
                raise
            log.warning("a batch is taken apart", service=self.service, error=repr(error))
            apart = True
        for one in heard if apart else ():
            await self._handle_alone(one)
        for one in heard:
            HEARD.labels(self.service, one.event.type).inc()

    def _read(self, message: Incoming) -> Heard[Any]:
        envelope = self._envelopes.decode(message.body)
        if envelope.specversion != "1.0" or envelope.type != message.type:
            raise ValueError(f"{message.type}: not a CloudEvent 1.0 of this type")
        event = self._decoders[envelope.type].decode(envelope.data)
        if event.key != envelope.subject:
            raise ValueError(f"{message.type}: its subject is not its key")
        return Heard(
            envelope.id, event, envelope.time, envelope.subject, message.stream_seq, message.body
        )

    async def _handle(self, heard: Sequence[Heard[Any]]) -> None:
        async with self.db.transaction() as tx:
            new = await self._note(tx, heard)
            closed = await self._closed_keys(tx, new)
            behind = {one.id for one in new if one.key in closed and _queues(one.event)}
            for one in new:
                if one.id in behind:
                    await _set_aside(tx, one, "behind an event set aside", tries=0, after_s=0)
            ready = [one for one in new if one.id not in behind]
            for handler, events in self._rounds(ready):
                await handler(tx, events)
        reach(f"{self.service}-handled")

    async def _handle_alone(self, one: Heard[Any], tries: int = 1) -> None:
        try:
            async with asyncio.timeout(BATCH_S):
                await self._handle([one])
        except Exception as error:
            slow = await self._is_slow(error)
            if house_is_down(error) and not slow:
                raise
            if slow and tries < SLOW_ALONE_MAX:
                return await self._handle_alone(one, tries + 1)
            why = repr(error)
            async with self.db.transaction() as tx:
                if await self._note(tx, [one]):
                    log.error("event set aside", service=self.service, id=one.id, why=why)
                    await _set_aside(tx, one, why, tries=tries, after_s=_pause(tries, error))
            SET_ASIDE.labels(self.service).inc()

    async def _note(self, tx: Tx, heard: Sequence[Heard[Any]]) -> list[Heard[Any]]:
        """Write down that these are heard; give those that are new, in stream order."""
        rows = await tx.fetch(NOTE, sorted({one.id for one in heard}))
        new = {row["event_id"] for row in rows}
        first: dict[UUID, Heard[Any]] = {}
        for one in heard:
            if one.id in new:
                first.setdefault(one.id, one)
        return list(first.values())

    async def _closed_keys(self, tx: Tx, heard: Sequence[Heard[Any]]) -> set[str]:
        rows = await tx.fetch(CLOSED, list({one.key for one in heard}))
        return {row["key"] for row in rows}

    def _rounds(self, heard: Sequence[Heard[Any]]) -> list[tuple[Handler, list[Heard[Any]]]]:
        """Group events by handler; a key that changes handlers starts a later round."""
        rounds: dict[tuple[int, Handler], list[Heard[Any]]] = {}
        last: dict[str, tuple[int, Handler]] = {}
        for one in heard:
            handler = self._by_type[one.event.type][1]
            before = last.get(one.key)
            level = 0 if before is None else before[0] + (before[1] is not handler)
            last[one.key] = (level, handler)
            rounds.setdefault((level, handler), []).append(one)
        ordered = sorted(rounds.items(), key=lambda item: item[0][0])
        return [(handler, events) for (_, handler), events in ordered]

    async def _refuse(self, message: Incoming, why: str) -> None:
        """Put what cannot be read where people see it, in its place among the events of its key."""
        event_id, key = _address(message)
        text = message.body.decode(errors="replace").replace("\x00", "�")
        async with self.db.transaction() as tx:
            if not await tx.fetch(NOTE, [event_id]):
                return
            log.error("unreadable event", service=self.service, seq=message.stream_seq, why=why)
            await tx.execute(
                PUT_ASIDE, event_id, message.type, key, message.stream_seq, text, why, 0, None,
                "dead",
            )  # fmt: skip
        SET_ASIDE.labels(self.service).inc()

    async def retry_set_aside(self, db: Database) -> int:
        """Try the oldest event of each closed key again, and then those behind it."""
        async with db.reading() as tx:
            heads = await tx.fetch(HEADS)
        done = 0
        for head in heads:
            while await self._retry(head["key"]):
                done += 1
        return done

    async def _retry(self, key: str) -> bool:
        """Run the head of a key's queue; True when it went well and another may follow."""
        try:
            async with asyncio.timeout(BATCH_S), self.db.transaction() as tx:
                row = await tx.fetchrow(LOCK_HEAD, key)
                if row is None or not _is_due(row):
                    return False
                body = row["message"].encode()
                one = self._read(Incoming(None, row["type"], row["stream_seq"], body, ""))
                await self._by_type[one.event.type][1](tx, [one])
                await tx.execute(END, row["event_id"], "done")
            return True
        except Exception as error:
            if house_is_down(error) and not await self._is_slow(error):
                raise
            async with self.db.transaction() as tx:
                row = await tx.fetchrow(LOCK_HEAD, key)
                if row is not None:
                    await _count_failure(tx, row, error)
            return False


def _address(message: Incoming) -> tuple[UUID, str]:
    """Give id and key of what cannot be read: its own, as far as its envelope tells them."""
    event_id = uuid5(UNREADABLE, message.message_id or str(message.stream_seq))
    try:
        envelope = msgspec.json.decode(message.body, type=_Address)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return event_id, f"unreadable:{event_id}"
    with suppress(ValueError):
        event_id = UUID(str(envelope.id))
    return event_id, envelope.subject


def _queues(event: Event) -> bool:
    """Tell whether an event waits behind those of its key that are set aside."""
    return not event.last_value and not event.urgent


def _is_due(row: Row) -> bool:
    return bool(row["state"] == "waiting" and row["next_try_at"] <= datetime.now(UTC))


def _pause(tries: int, error: BaseException) -> float:
    """Seconds until the next try: soon for what is not there yet, growing for the rest."""
    return 1.0 if isinstance(error, NotYet) else min(2.0**tries, 600.0)


async def _count_failure(tx: Tx, row: Row, error: Exception) -> None:
    tries = row["tries"] + 1
    waited = datetime.now(UTC) - row["set_aside_at"]
    early = isinstance(error, NotYet) and waited < NOT_YET_MAX
    given_up = isinstance(error, Problem) or (tries >= TRIES_MAX and not early)
    state = "dead" if given_up else "waiting"
    await tx.execute(FAILED, row["event_id"], repr(error), tries, _pause(tries, error), state)


async def _set_aside(tx: Tx, one: Heard[Any], why: str, *, tries: int, after_s: float) -> None:
    next_try_at = datetime.now(UTC) + timedelta(seconds=after_s)
    await tx.execute(
        PUT_ASIDE, one.id, one.event.type, one.key, one.stream_seq, one.message.decode(), why,
        tries, next_try_at, "waiting",
    )  # fmt: skip


async def _still_working(ear: Ear, batch: Sequence[Incoming]) -> None:
    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        await ear.still_working(batch)


NOTE = """
insert into inbox (event_id) select unnest($1::uuid[])
on conflict do nothing returning event_id
"""
CLOSED = """
select distinct key from set_aside where key = any($1) and state in ('waiting', 'dead')
"""
PUT_ASIDE = """
insert into set_aside (event_id, type, key, stream_seq, message, reason, tries, next_try_at, state,
                       died_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, case $9 when 'dead' then clock_timestamp() end)
on conflict do nothing
"""
HEADS = """
select key from (select distinct on (key) key, state, next_try_at from set_aside
                  where state in ('waiting', 'dead') order by key, place) heads
 where state = 'waiting' and next_try_at <= clock_timestamp() limit 100
"""
LOCK_HEAD = """
select event_id, type, key, stream_seq, message, tries, next_try_at, state, set_aside_at
  from set_aside where key = $1 and state in ('waiting', 'dead')
 order by place limit 1 for update
"""
END = "update set_aside set state = $2, ended_at = clock_timestamp() where event_id = $1"
FAILED = """
update set_aside set reason = $2, tries = $3, state = $5,
       died_at = case $5 when 'dead' then clock_timestamp() else died_at end,
       next_try_at = clock_timestamp() + make_interval(secs => $4) where event_id = $1
"""
PRUNE = """
delete from inbox where event_id in (
    select event_id from inbox where event_id < $1 order by event_id limit 5000)
"""
KEEP_DAYS = 30  # at least as long as any outbox may publish again
PRUNE_ENDED = """
delete from set_aside where event_id in (
    select event_id from set_aside
     where ended_at < clock_timestamp() - make_interval(days => $1) limit 5000)
"""
KEEP_ENDED_DAYS = 14  # events that were set aside and are done, or were discarded


async def prune(db: Database) -> int:
    """Forget that events were heard which nobody can say again, and those once set aside."""
    async with db.transaction() as tx:
        heard = await tx.execute(PRUNE, first_id(datetime.now(UTC) - timedelta(days=KEEP_DAYS)))
        return heard + await tx.execute(PRUNE_ENDED, KEEP_ENDED_DAYS)
