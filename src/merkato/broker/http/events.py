"""The log over HTTP: read in order from any point, as JSON, as NDJSON or as a batch."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from merkato.broker.domain import topics
from merkato.broker.store import log as store
from merkato.broker.store import topics as topics_store
from merkato.broker.store.log import Looked
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import Cursor, Page, decode_cursor, encode_cursor, moment, staff
from merkato.contracts.problem import NotFound, Problem, Validation

PATH = "/api/v1/events"
READ = "events:read"
JSON = "application/json"
NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"
ONE = "application/cloudevents+json"
TOPICS_MAX = 50  # in one filter

TopicFilter = Annotated[list[str] | None, Parameter(query="topic", max_items=TOPICS_MAX)]


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent of the log; who published it may have added attributes of their own."""

    specversion: Literal["1.0"]
    id: str  # unique together with `source`
    source: str
    type: str
    time: datetime
    subject: str | UnsetType = UNSET  # the key of its order
    sequence: str | UnsetType = UNSET  # its place among those of the subject
    datacontenttype: str
    dataschema: str
    traceparent: str | UnsetType = UNSET
    causationid: str | UnsetType = UNSET  # the event that led to this one
    data: Any
    cursor: str  # its place in the log


class NotAcceptable(Problem):
    """The answer does not come in any of the forms asked for."""

    slug, status, title = "not-acceptable", 406, "Not acceptable"


@get(
    PATH, policy=staff(READ), produces=(JSON, NDJSON, BATCH),
    answers={JSON: Page[LoggedEvent], BATCH: list[LoggedEvent]},
)  # fmt: skip
async def list_events(
    request: Request[Any, Any, Any],
    db: Database,
    topic: TopicFilter = None,
    key: Annotated[str | None, Parameter(min_length=1, max_length=300)] = None,
    after: Cursor = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 20,
) -> Response[bytes]:
    """Read public events in the order of the log, each a CloudEvent with its own `cursor`.

    `after` is the cursor of the last event seen, `since` a time, and the later of them counts;
    without either the log is read from its oldest event. `until` is the time at which to end, not
    included. Times are those at which events came into the log. Asked for
    ``application/x-ndjson``, there is an event per line; for
    ``application/cloudevents-batch+json``, an array. A page of large events or of few
    topics may be short, or empty, and still have a next one: follow `next_cursor`, or the header
    ``Next-Cursor``.
    """
    form = accepted(request.headers.get("accept"))
    async with db.transaction(snapshot=True) as tx:
        types = await types_of(tx, topic)
        begin = 0 if after is None else position_of(after, "after")
        position = max(begin, await place(tx, "since", since) or 0)
        found = await look(tx, position, types, key, limit)
        end = await place(tx, "until", until)
    if end is not None:
        found = found.until(end)
    next_cursor = encode_cursor(found.upto) if found.more else None
    headers = {"Next-Cursor": next_cursor} if next_cursor else {}
    events = [with_cursor(row) for row in found.rows]
    return Response(_body(form, events, next_cursor), headers=headers, media_type=form)


async def look(tx: Tx, after: int, types: list[str] | None, key: str | None, limit: int) -> Looked:
    """Read on from a position what is wanted of the log."""
    if key is not None:
        return await store.page_of_key(tx, after, key, types, limit)
    if types is not None:
        return await store.page_of_types(tx, after, types, limit)
    return await store.page(tx, after, limit)


async def place(tx: Tx, name: str, time: datetime | None) -> int | None:
    """Give the position behind which is all that was logged since a time. Raises Validation."""
    if (at := moment(name, time)) is None:
        return None
    if not 2000 <= at.year <= 2200:  # a position has 64 bits
        raise Validation.at(f"/{name}", "A time of our days.")
    return await store.position_of(tx, at)


def position_of(cursor: str, name: str = "cursor") -> int:
    """Read the cursor of an event. Raises Validation."""
    decoded = decode_cursor(cursor, tuple[int], name)
    assert decoded is not None
    return decoded[0]


async def types_of(tx: Tx, wanted: list[str] | None, pointer: str = "/topic") -> list[str] | None:
    """Give the event types of topics, named with or without a version. Raises Validation."""
    if not wanted:
        return None
    external = {f"{row['name']}.v{row['version']}" for row in await topics_store.every(tx)}
    found = topics.types_named(wanted, external)
    if unknown := [name for name in wanted if not found[name]]:
        raise Validation.at(pointer, f"There is no topic {unknown[0][:100]!r}.")
    return sorted({one for types in found.values() for one in types})


def with_cursor(row: Row) -> bytes:
    """Give a row of the log as a CloudEvent with its cursor."""
    event: str = row["event"]
    return f'{event[:-1]},"cursor":"{encode_cursor(row["position"])}"}}'.encode()


def accepted(accept: str | None) -> Literal["application/json"] | str:
    """Choose the form of the answer. Raises NotAcceptable."""
    asked = [one.partition(";")[0].strip().lower() for one in (accept or "*/*").split(",")]
    for media_type in asked:
        if media_type in (NDJSON, BATCH, JSON):
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    raise NotAcceptable(f"Events come as {JSON}, {NDJSON} or {BATCH}.")


def _body(form: str, events: list[bytes], next_cursor: str | None) -> bytes:
    if form == NDJSON:
        return b"".join(event + b"\n" for event in events)
    array = b"[" + b",".join(events) + b"]"
    if form == BATCH:
        return array
    shown = b"null" if next_cursor is None else f'"{next_cursor}"'.encode()
    return b'{"items":' + array + b',"next_cursor":' + shown + b"}"


@get(f"{PATH}/{{cursor:str}}", policy=staff(READ), produces=(ONE,), answers=LoggedEvent)
async def show_event(cursor: str, db: Database) -> Response[bytes]:
    """Give one event by its cursor: what the `dataref` of a large one points to."""
    position = position_of(cursor)
    async with db.reading() as tx:
        row = await store.at(tx, position)
    if row is None:
        raise NotFound("There is no such event, or no longer.")
    return Response(with_cursor(row), media_type=ONE)
