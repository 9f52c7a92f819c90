"""Say what happened, in the transaction in which it happened; a relay carries it to the bus.

The relay reads committed rows that are not published, publishes them outside any transaction and
marks exactly those rows. Rows stay after publishing: a broker that lost them is filled again.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from structlog.contextvars import get_contextvars

from merkato.chassis.bus import Bus, Lost, Message, Refused
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.failpoints import reach
from merkato.chassis.ids import new_id
from merkato.chassis.load import in_turn, pause_since
from merkato.chassis.telemetry import RELAYED
from merkato.contracts.event import Event

log = structlog.get_logger()

BATCH_MAX = 500  # events carried per turn
BATCH_MAX_BYTES = 4 * 1024 * 1024  # and so many bytes
POLL_S = 0.2  # how soon events of other processes are seen
CHECK_S = 30.0  # how often the broker is asked whether it has what it acknowledged
PUBLISH_AGAIN_DAYS = 7  # events older than this are never published again; the inbox keeps longer
BELL = "outbox"


class Said(msgspec.Struct, frozen=True):
    """An event on its way into the outbox."""

    id: UUID
    event: Event
    cause: UUID | None


def say(tx: Tx, *events: Event, cause: UUID | None = None) -> list[UUID]:
    """Queue events for delivery if and only if `tx` commits. Gives their ids.

    Whoever speaks of a key holds the lock of that thing's row, so that sequence is commit order.
    """
    said = [Said(new_id(), event, cause) for event in events]
    tx.outgoing += said
    if said:
        tx.before_commit = flush
        tx.wake(BELL)
    return [one.id for one in said]


ADD = """
insert into outbox (id, type, key, sequence, body, hidden, cause, request_id)
select e.id, e.type, e.key,
       coalesce((select max(o.sequence) from outbox o where o.key = e.key), 0)
         + row_number() over (partition by e.key order by e.n),
       e.body, e.hidden, e.cause, $7
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[])
       with ordinality e(id, type, key, body, hidden, cause, n)
 order by e.n
"""


async def flush(tx: Tx) -> None:
    """Write what was said so far, in one statement."""
    said: list[Said] = tx.outgoing
    if not said:
        return
    tx.outgoing = []
    parts = [_split(one.event) for one in said]
    await tx.execute(
        ADD,
        [one.id for one in said],
        [one.event.type for one in said],
        [one.event.key for one in said],
        [body for body, _ in parts],
        [hidden for _, hidden in parts],
        [one.cause for one in said],
        get_contextvars().get("request_id"),
    )


_hidden_fields: dict[type[Event], tuple[frozenset[str], tuple[str, ...]]] = {}


def _split(event: Event) -> tuple[str, str | None]:
    """Encode what may be kept and, apart from it, what must be forgotten one day."""
    kind = type(event)
    if kind not in _hidden_fields:
        hidden = kind.hidden_fields()
        _hidden_fields[kind] = hidden, tuple(f for f in kind.__struct_fields__ if f not in hidden)
    hidden, shown = _hidden_fields[kind]
    if not hidden:
        return msgspec.json.encode(event).decode(), None
    body: dict[str, Any] = {name: getattr(event, name) for name in shown}
    rest: dict[str, Any] = {name: getattr(event, name) for name in hidden}
    return msgspec.json.encode(body).decode(), msgspec.json.encode(rest).decode()


NEXT = """
select seq, id, type, key, sequence, body, hidden, cause, request_id, said_at, tries
  from outbox where published_at is null
   and key <> all (select key from outbox where refused_at is not null and published_at is null)
 order by seq limit $1
"""
PUBLISHED = """
with acked as (update broker set acked_seq = $3, acked_id = $4
                where $3 > coalesce(acked_seq, 0))
update outbox set published_at = clock_timestamp(), stream_seq = p.stream_seq
  from unnest($1::bigint[], $2::bigint[]) p(seq, stream_seq),
       set_config('synchronous_commit', 'off', true)  -- a mark that is lost publishes once more
 where outbox.seq = p.seq
"""
WAITING = "select count(*) from (select from outbox where published_at is null limit $1) waiting"
REFUSED = "update outbox set refused_at = clock_timestamp(), refusal = $2 where seq = $1"


async def relay_once(db: Database, bus: Bus, source: str) -> int:
    """Carry one batch, oldest first. Gives how many; a crash carries some twice, with one id.

    Raises Lost when the connection was lost meanwhile. What waited for the next one was sent before
    anybody asked whether the broker still has what it acknowledged, and a mark would hide the gap.
    """
    connection = bus.connections
    async with db.reading() as tx:
        rows = await tx.fetch(NEXT, BATCH_MAX)
    if not rows:
        return 0
    rows = _of_bounded_size(rows)
    reach("relay-selected")
    outcome = await bus.publish([_message(row, source) for row in rows])
    reach("relay-published")
    if bus.connections != connection:
        raise Lost("the connection was lost while events were on their way")
    taken = [(n, row["id"]) for n, row in zip(outcome.stream_seqs, rows, strict=False)]
    seqs = [row["seq"] for row in rows[: len(taken)]]
    async with db.reading() as tx:
        if taken:
            await tx.execute(PUBLISHED, seqs, outcome.stream_seqs, *max(taken))
        if outcome.refusal is not None:
            refused = rows[len(seqs)]
            log.error("event refused by the broker", id=refused["id"], why=outcome.refusal)
            await tx.execute(REFUSED, refused["seq"], outcome.refusal)
    RELAYED.labels(source).inc(len(seqs))
    return len(seqs)


def _of_bounded_size(rows: list[Row]) -> list[Row]:
    """Take rows from the front while they are small enough together; one at least."""
    size = 0
    for n, row in enumerate(rows):
        size += len(row["body"]) + len(row["hidden"] or "")
        if size > BATCH_MAX_BYTES and n:
            return rows[:n]
    return rows


def _message(row: Row, source: str) -> Message:
    data = row["body"]
    if row["hidden"]:
        data = f"{data[:-1]},{row['hidden'][1:]}" if data != "{}" else row["hidden"]
    envelope = {
        "specversion": "1.0",
        "id": str(row["id"]),
        "source": f"/merkato/{source}",
        "type": row["type"],
        "time": row["said_at"],
        "subject": row["key"],
        "sequence": str(row["sequence"]),
        "datacontenttype": "application/json",
        "dataschema": f"/api/v1/topics/{row['type']}",
        "causationid": str(row["cause"]) if row["cause"] else None,
        "requestid": row["request_id"],
        "data": msgspec.Raw(data.encode()),
    }
    envelope = {name: value for name, value in envelope.items() if value is not None}
    return Message(
        id=str(row["id"]) + (f".r{row['tries']}" if row["tries"] else ""),
        type=row["type"],
        key=row["key"],
        body=msgspec.json.encode(envelope),
    )


async def relay_forever(db: Database, bus: Bus, source: str) -> None:
    """Carry events as they are committed, and make sure the broker keeps what it took."""
    bell = db.bell(BELL)
    checked: tuple[int, float] | None = None  # connection and time of the last check
    loop = asyncio.get_running_loop()
    while True:
        try:
            now = loop.time()
            if checked is None or checked[0] != bus.connections or now - checked[1] > CHECK_S:
                connections = bus.connections
                await check_broker(db, bus, source)
                checked = (connections, now)
            bell.clear()
            began = loop.time()
            async with in_turn():
                carried = await relay_once(db, bus, source)
            if carried:
                await pause_since(began)
                continue
        except (Lost, Refused) as error:
            log.warning("relay waits for the broker", error=str(error))
            checked = None
            await asyncio.sleep(1)
        except Exception as error:
            log.warning("relay will try again", error=repr(error))
            await asyncio.sleep(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await bell.wait()


async def waiting(tx: Tx, most: int) -> int:
    """Count the events that are not published yet, up to `most`."""
    return int(await tx.fetchval(WAITING, most))


KNOWN = "select created, acked_seq, acked_id from broker"
REMEMBER = """
insert into broker (created) values ($1)
on conflict (one) do update
   set created = excluded.created, acked_seq = null, acked_id = null, checked_at = clock_timestamp()
"""
PUBLISH_AGAIN = """
update outbox set published_at = null, stream_seq = null
 where published_at is not null and refused_at is null
   and said_at > clock_timestamp() - make_interval(days => $1)
"""


async def check_broker(db: Database, bus: Bus, source: str) -> bool:
    """See whether the broker has what it acknowledged; if not, publish it all again.

    Gives True when the broker had lost something. Its copies die in the inboxes.
    """
    stream = await bus.stream()
    async with db.reading() as tx:
        known = await tx.fetchrow(KNOWN)
    lost = known is not None and known["created"] != stream.created
    acked = known["acked_seq"] if known is not None else None  # None: nothing was published yet
    if known is not None and not lost and acked is not None and acked >= stream.first_seq:
        found = await bus.message_id(known["acked_seq"])
        lost = found is None or found.split(".r")[0] != str(known["acked_id"])
    if lost:
        log.error("the broker lost what it had acknowledged", service=source, epoch=stream.created)
        await bus.begin_anew(source)  # first: should we crash in between, the loss is seen again
        async with db.transaction() as tx:
            await tx.execute("set local statement_timeout = '10min'")
            await tx.execute("set local transaction_timeout = '10min'")
            again = await tx.execute(PUBLISH_AGAIN, PUBLISH_AGAIN_DAYS)
            await tx.execute(REMEMBER, stream.created)
        log.warning("publishing again", service=source, events=again)
    elif known is None:
        async with db.transaction() as tx:
            await tx.execute(REMEMBER, stream.created)
    return lost


ASK_AGAIN = """
update outbox set published_at = null, tries = tries + 1
 where key = $1 and type = $2 and published_at < $3 and refused_at is null returning seq
"""


async def ask_again(tx: Tx, key: str, event_type: str, before: datetime | None = None) -> int:
    """Publish an event of the past once more, with its own id: it may have been lost."""
    tx.wake(BELL)
    rows = await tx.fetch(ASK_AGAIN, key, event_type, before or datetime.now(UTC))
    return len(rows)


PRUNE = """
delete from outbox where seq in (
    select o.seq from outbox o where o.published_at < clock_timestamp() - make_interval(days => $1)
       and exists (select from outbox l where l.key = o.key and l.sequence > o.sequence)
     order by o.seq limit 5000)
"""
KEEP_DAYS = 14  # longer than the broker keeps messages; the last of each key stays for its number


async def prune(db: Database) -> int:
    """Forget published events that nobody can ask for any more."""
    async with db.transaction() as tx:
        return await tx.execute(PRUNE, KEEP_DAYS)
