"""Mails that came back, told by whoever sends our mail; and the addresses suppressed by it."""

import time
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post
from litestar.params import Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import (
    SIGNED,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    staff,
)
from merkato.chassis.signatures import verify
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound
from merkato.notifications.actions import bounces as actions
from merkato.notifications.actions.bounces import Bounce
from merkato.notifications.store import suppressed as store

PATH = "/api/v1/notifications"


class Bounces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /notifications/bounces``."""

    events: Annotated[tuple[Bounce, ...], msgspec.Meta(min_length=1, max_length=1_000)]


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the bounces were of mails of ours."""

    noted: int


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """An address that gets no more than what an order or account needs."""

    id: UUID
    address: str
    reason: str
    message_id: UUID | None
    since: datetime


@post(f"{PATH}/bounces", policy=SIGNED, status_code=200)
async def take_bounces(
    request: Request[Any, Any, Any],
    data: Bounces,
    db: Database,
    mail_domain: str,
    bounce_secret: str,
) -> Noted:
    """Note bounces, signed as Standard Webhooks are with `notifications.bounce_secret`.

    A hard bounce or a complaint suppresses the address. The same again is harmless.
    """
    if not bounce_secret:
        raise NotFound("There is nothing here.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    verify(bounce_secret, headers, await request.body(), time.time())
    async with db.transaction() as tx:
        return Noted(noted=await actions.take(tx, data.events, mail_domain))


@get(f"{PATH}/suppressions", policy=staff("notifications:read"))
async def list_suppressions(
    db: Database,
    recipient: Annotated[str | None, Parameter(max_length=254)] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[Suppression]:
    """List addresses that mail did not reach, newest first; of one `recipient` if it is given."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        rows = await store.page(tx, recipient, after, limit + 1)
    items = [Suppression(**dict(row)) for row in rows[:limit]]
    more = encode_cursor(items[-1].since, items[-1].id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


@delete(f"{PATH}/suppressions/{{id:uuid}}", policy=staff("notifications:write"), status_code=204)
async def lift_suppression(id: UUID, caller: Caller, db: Database) -> None:
    """Let an address have everything again."""
    async with db.transaction() as tx:
        await actions.lift(tx, caller, id)


ROUTES: tuple[Any, ...] = (take_bounces, list_suppressions, lift_suppression)
