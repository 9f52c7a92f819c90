"""Webhooks over HTTP: endpoints, their secrets, and what can be sent to them again."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from msgspec import UNSET, UnsetType

from merkato.broker.actions import webhooks as actions
from merkato.broker.http.events import place, position_of, types_of
from merkato.broker.store import log
from merkato.broker.store import webhooks as store
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    etag,
    expected_version,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.vault import Vault
from merkato.contracts.problem import DependencyUnavailable, NotFound, Validation
from merkato.contracts.values import Line, Text

PATH = "/api/v1/subscriptions"
READ, WRITE = "webhooks:read", "webhooks:write"
Doorman = Callable[[str], Awaitable[None]]  # judges an address; raises Validation
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=2_000)]
Topics = Annotated[list[Line], msgspec.Meta(max_length=50)]


class From(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A point in the log: behind an event's `cursor`, or since a `time`."""

    cursor: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    time: datetime | None = None


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint of yours. Without `topics` it gets every public event.

    `ordered`: events about one key are sent one after the other. `begin`: a point of the past;
    otherwise it gets what comes.
    """

    url: Url
    topics: Topics = []
    description: Text = ""
    ordered: bool = False
    begin: From | None = None


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different. A paused endpoint keeps its place; an active one goes on."""

    url: Url | UnsetType = UNSET
    topics: Topics | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    ordered: bool | UnsetType = UNSET
    state: Literal["active", "paused"] | UnsetType = UNSET


class Webhook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint, and how it fares."""

    id: UUID
    url: str
    topics: list[str]
    description: str
    ordered: bool
    state: str  # active | paused | disabled
    reason: str | None  # why it was disabled: gone (it answered 410) | failing (for five days)
    cursor: str  # deliveries were made of all events up to this one
    failures: int  # tries in a row that failed
    open_until: datetime | None  # nothing is sent before, because of those
    version: int
    created_by: str
    created_at: datetime
    changed_at: datetime
    secret: str | UnsetType = UNSET  # shown once, when it is made


class Overlap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old secret signs beside the new one; with 0 only the new one signs from now."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=7 * 86_400)] = 86_400


EXAMPLE = {
    "url": "https://erp.merkato.example/hook",
    "topics": ["orders.order_confirmed", "orders.order_cancelled"],
    "description": "bookkeeping",
    "ordered": True,
}


def _webhook(row: Row, secret: str | UnsetType = UNSET) -> Webhook:
    known = {name: row[name] for name in Webhook.__struct_fields__ if name in row}
    known["cursor"] = encode_cursor(row["position"])
    return Webhook(**(known | {"secret": secret}))


async def _position(tx: Tx, begin: From) -> int:
    """Read a point of the log. Raises Validation."""
    if (begin.cursor is None) == (begin.time is None):
        raise Validation.at("/begin", "Name a cursor or a time.")
    if begin.cursor is not None:
        return min(position_of(begin.cursor), await log.head(tx))
    at = await place(tx, "begin/time", begin.time)
    assert at is not None  # checked above
    return min(at, await log.head(tx))


async def _once(
    db: Database,
    vault: Vault,
    scope: tuple[str, str, str | None],
    request: object,
    work: Callable[[Tx], Awaitable[Answer]],
) -> Response[bytes]:
    """Do what is answered with a secret once per key; the answer is kept sealed, like secrets."""

    async def sealed(tx: Tx) -> Answer:
        done = await work(tx)
        return msgspec.structs.replace(done, body=vault.seal(done.body))

    kept = await once(db, scope, request, sealed)
    body = vault.open(kept.body)
    if body is None:
        raise DependencyUnavailable("The answer was kept under a key that is no longer configured.")
    return respond(msgspec.structs.replace(kept, body=body))


@post(PATH, policy=staff(WRITE), status_code=201, answers=Webhook, example=EXAMPLE)
async def create_webhook(
    data: NewWebhook,
    caller: Caller,
    db: Database,
    vault: Vault,
    doorman: Doorman,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Add an endpoint. Its secret is in this answer and never shown again.

    Repeated with its Idempotency-Key within a day, the answer is the same, secret included.
    """
    key = parse_key(idempotency_key, required=False)
    await doorman(data.url)

    async def work(tx: Tx) -> Answer:
        await types_of(tx, data.topics, "/topics")
        position = None if data.begin is None else await _position(tx, data.begin)
        row, secret = await actions.subscribe(
            tx, vault, caller, url=data.url, description=data.description, topics=data.topics,
            ordered=data.ordered, position=position,
        )  # fmt: skip
        where = f"{PATH}/{row['id']}"
        return answer(201, _webhook(row, secret), location=where, etag=etag(row["version"]))

    return await _once(db, vault, (caller.principal, f"POST {PATH}", key), data, work)


@get(PATH, policy=staff(READ))
async def list_webhooks(db: Database, cursor: Cursor = None, limit: Limit = 20) -> Page[Webhook]:
    """List endpoints, newest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        rows = await store.every(tx, after, limit + 1)
    page = rows[:limit]
    more = len(rows) > limit
    next_cursor = encode_cursor(page[-1]["created_at"], page[-1]["id"]) if more else None
    return Page(items=[_webhook(row) for row in page], next_cursor=next_cursor)


@get(f"{PATH}/{{id:uuid}}", policy=staff(READ))
async def show_webhook(id: UUID, db: Database) -> Response[Webhook]:
    """Give an endpoint, without its secret."""
    async with db.reading() as tx:
        row = await store.find(tx, id)
    if row is None:
        raise NotFound("There is no such webhook.")
    return Response(_webhook(row), headers={"ETag": etag(row["version"])})


@patch(f"{PATH}/{{id:uuid}}", policy=staff(WRITE))
async def change_webhook(
    id: UUID,
    data: WebhookChange,
    caller: Caller,
    db: Database,
    doorman: Doorman,
    if_match: IfMatch = None,
) -> Response[Webhook]:
    """Change an endpoint; with If-Match only the version that was seen.

    Set to active again, a disabled one gets what comes from now on. Whatever is changed, failures
    and a Retry-After of before hold nothing back any more.
    """
    version = None if if_match is None else expected_version(if_match)
    wanted: dict[str, Any] = {
        name: value
        for name in data.__struct_fields__
        if (value := getattr(data, name)) is not UNSET
    }
    if "url" in wanted:
        await doorman(wanted["url"])
    async with db.transaction() as tx:
        await types_of(tx, wanted.get("topics"), "/topics")
        row = await actions.change(tx, caller, id, wanted, version)
    return Response(_webhook(row), headers={"ETag": etag(row["version"])})


@delete(f"{PATH}/{{id:uuid}}", policy=staff(WRITE))
async def delete_webhook(id: UUID, caller: Caller, db: Database) -> None:
    """Remove an endpoint with its deliveries."""
    async with db.transaction() as tx:
        await actions.delete(tx, caller, id)


@post(f"{PATH}/{{id:uuid}}/secret", policy=staff(WRITE), status_code=200, answers=Webhook)
async def rotate_secret(
    id: UUID,
    data: Overlap,
    caller: Caller,
    db: Database,
    vault: Vault,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Make a new secret, shown in this answer only; the old one signs too for a while.

    Old ones that sign still go on until their own end; five sign at most, else 409. Repeated with
    its Idempotency-Key within a day, the answer is the same.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        row, secret = await actions.rotate(tx, vault, caller, id, data.overlap_s)
        return answer(200, _webhook(row, secret))

    scope = (caller.principal, f"POST {PATH}/{id}/secret", key)
    return await _once(db, vault, scope, data, work)


@post(
    f"{PATH}/{{id:uuid}}/replay",
    policy=staff(WRITE),
    status_code=202,
    example={"time": "2026-01-31T12:00:00Z"},
)
async def replay_webhook(id: UUID, data: From, caller: Caller, db: Database) -> Webhook:
    """Send an endpoint everything it wants from a point of the past on, once more.

    Each event keeps the webhook-id it had. Other endpoints are not touched.
    """
    async with db.transaction() as tx:
        await actions.replay(tx, caller, id, await _position(tx, data))
        row = await store.find(tx, id)
    return _webhook(row)
