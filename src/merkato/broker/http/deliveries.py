"""Deliveries of webhooks over HTTP: what became of each, and sending again."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from merkato.broker.actions import webhooks as actions
from merkato.broker.http.events import TopicFilter, place, types_of
from merkato.broker.http.webhooks import PATH as WEBHOOKS_PATH
from merkato.broker.http.webhooks import READ, WRITE
from merkato.broker.store import deliveries as store
from merkato.broker.store import webhooks as webhook_store
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound, Validation

PATH = "/api/v1/deliveries"
State = Literal["pending", "delivered", "failed"]
StateFilter = Annotated[State | None, Parameter(query="state")]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint."""

    id: UUID
    subscription_id: UUID
    event_id: UUID  # the webhook-id
    cursor: str | None  # of the event in the log; None for a ping
    type: str
    key: str
    state: str  # pending | delivered | failed
    attempts: int
    last_status: int | None  # what was answered last; None: nothing was
    last_duration_ms: int | None
    reason: str | None  # why the last try failed
    due_at: datetime | None  # when it is tried next
    created_at: datetime
    ended_at: datetime | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try."""

    n: int
    at: datetime
    status: int | None
    error: str | None
    duration_ms: int


class Told(Delivery, frozen=True, kw_only=True):
    """A delivery with all its tries."""

    tries: list[Attempt]


class Again(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries to send again: all that failed, or all of a span of time."""

    state: Literal["failed", "delivered"] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many will be sent again; there may be more when it is as many as at most at once."""

    count: int


def _shown(row: Row) -> dict[str, object]:
    known = {name: row[name] for name in Delivery.__struct_fields__ if name in row}
    known["cursor"] = encode_cursor(row["position"]) if row["position"] > 0 else None
    if row["state"] != "pending":
        known["due_at"] = None
    return known


async def _wanted(
    tx: Tx, state: State | None, topic: list[str] | None, since: datetime | None,
    until: datetime | None,
) -> store.Wanted:  # fmt: skip
    """Read the filters of a list. Raises Validation."""
    return store.Wanted(
        state=state,
        types=await types_of(tx, topic),
        since=await place(tx, "since", since),
        until=await place(tx, "until", until),
    )


def _page(rows: list[Row], limit: int) -> Page[Delivery]:
    page, more = rows[:limit], len(rows) > limit
    return Page(
        items=[msgspec.convert(_shown(row), Delivery) for row in page],
        next_cursor=encode_cursor(page[-1]["position"], page[-1]["id"]) if more else None,
    )


@get(f"{WEBHOOKS_PATH}/{{id:uuid}}/deliveries", policy=staff(READ))
async def list_of_webhook(
    id: UUID,
    db: Database,
    delivery_state: StateFilter = None,
    topic: TopicFilter = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[Delivery]:
    """List what was, is and will be sent to an endpoint, newest events first.

    `since` and `until` (not included) are times at which events came into the log.
    """
    after = decode_cursor(cursor, tuple[int, UUID])
    async with db.reading() as tx:
        if await webhook_store.find(tx, id) is None:
            raise NotFound("There is no such webhook.")
        wanted = await _wanted(tx, delivery_state, topic, since, until)
        rows = await store.every(tx, id, wanted, after, limit + 1)
    return _page(rows, limit)


@get(PATH, policy=staff(READ))
async def list_deliveries(
    db: Database,
    delivery_state: StateFilter = None,
    topic: TopicFilter = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[Delivery]:
    """List deliveries of all endpoints; with ``state=failed`` those that were given up.

    `since` and `until` (not included) are times at which events came into the log.
    """
    after = decode_cursor(cursor, tuple[int, UUID])
    async with db.reading() as tx:
        wanted = await _wanted(tx, delivery_state, topic, since, until)
        rows = await store.every(tx, None, wanted, after, limit + 1)
    return _page(rows, limit)


@get(f"{PATH}/{{id:uuid}}", policy=staff(READ))
async def show_delivery(id: UUID, db: Database) -> Told:
    """Give a delivery with all its tries."""
    async with db.reading() as tx:
        row = await store.find(tx, id)
        tries = await store.attempts(tx, id)
    if row is None:
        raise NotFound("There is no such delivery.")
    attempts = [Attempt(**dict(one)) for one in tries]
    return msgspec.convert(_shown(row) | {"tries": attempts}, Told)


@post(f"{PATH}/{{id:uuid}}/redelivery", policy=staff(WRITE), status_code=202, answers=Delivery)
async def redeliver(
    id: UUID, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Send it again, under the webhook-id it had.

    It is sent at once, even where failures or a Retry-After hold the endpoint back; if it arrives,
    the endpoint is held back no more. An ordered endpoint gets what came before of its key first,
    a paused one gets it when it goes on.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        await actions.redeliver(tx, caller, id)
        row = await store.find(tx, id)
        return answer(202, msgspec.convert(_shown(row), Delivery))

    scope = (caller.principal, f"POST {PATH}/{id}/redelivery", key)
    return respond(await once(db, scope, {"id": str(id)}, work))


@post(
    f"{WEBHOOKS_PATH}/{{id:uuid}}/redeliveries", policy=staff(WRITE), status_code=202,
    answers=Count, example={"state": "failed"},
)  # fmt: skip
async def redeliver_all(
    id: UUID, data: Again, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Send an endpoint again all that failed, or all that happened in a span of time.

    Of what is held back by failures or a Retry-After one is sent at once; if it arrives, the
    others follow, else they wait with the endpoint.
    """
    key = parse_key(idempotency_key, required=False)
    if data.state is None and data.since is None:
        raise Validation.at("/state", "Name a state or a time since when.")

    async def work(tx: Tx) -> Answer:
        low, high = await place(tx, "since", data.since), await place(tx, "until", data.until)
        count = await actions.redeliver_all(tx, caller, id, data.state, low, high)
        return answer(202, Count(count=count))

    scope = (caller.principal, f"POST {WEBHOOKS_PATH}/{id}/redeliveries", key)
    return respond(await once(db, scope, data, work))


@post(f"{WEBHOOKS_PATH}/{{id:uuid}}/ping", policy=staff(WRITE), status_code=202, answers=Delivery)
async def ping(
    id: UUID, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Send a ping, once. The delivery in the answer tells later whether it arrived.

    It is sent at once, to a paused endpoint too, and where failures or a Retry-After hold it back;
    if it arrives, the endpoint is held back no more.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        row = await store.find(tx, await actions.ping(tx, caller, id))
        return answer(202, msgspec.convert(_shown(row), Delivery))

    scope = (caller.principal, f"POST {WEBHOOKS_PATH}/{id}/ping", key)
    return respond(await once(db, scope, {"id": str(id)}, work))
