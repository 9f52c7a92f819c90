"""The route of the audit trail: what staff and their programs did, in all services."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from merkato.chassis.db import Database, Row
from merkato.chassis.http import (
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    moment,
    staff,
)
from merkato.contracts.trail import ActionNoted
from merkato.users.http.me import private
from merkato.users.store import trail as store

Filter = Annotated[str | None, Parameter(min_length=1, max_length=200)]


class TrailEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the audit trail; `before` and `after` hold the fields that differ.

    `n` counts the entries; `hash` is SHA-256, in hex, over the hash of the entry before and the
    text of this one, so whoever keeps a hash can tell later that nothing before it was changed.
    """

    n: int
    id: UUID
    at: datetime
    actor: str
    role: str | None
    action: str
    subject: str
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    hash: str


def view(row: Row) -> TrailEntry:
    """Show an entry."""
    entry = msgspec.json.decode(row["body"], type=ActionNoted)
    return TrailEntry(
        n=row["n"], id=entry.entry_id, at=entry.at, actor=entry.actor, role=entry.role,
        action=entry.action, subject=entry.subject, request_id=entry.request_id,
        before=entry.before, after=entry.after, hash=row["hash"].hex(),
    )  # fmt: skip


@get("/api/v1/audit-trail", policy=staff("audit-trail:read"))
async def list_trail(
    db: Database,
    actor: Filter = None,
    action: Filter = None,
    subject: Filter = None,
    service: Filter = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response[Page[TrailEntry]]:
    """Give what was done by staff and API keys in all services, newest first.

    `actor` is ``user:<id>`` or ``key:<id>``, `action` ``<service>.<what was done>``, `subject`
    ``<kind>:<id>``; `since` and `until` (exclusive) are RFC 3339 times. An entry is here a moment
    after it was made.
    """
    wanted = store.Wanted(
        actor, action, subject, service, moment("since", since), moment("until", until)
    )
    before = decode_cursor(cursor, tuple[int])
    async with db.reading() as tx:
        found = await store.page(tx, wanted, before[0] if before else None, limit + 1)
    shown = [view(row) for row in found[:limit]]
    more = encode_cursor(shown[-1].n) if len(found) > limit else None
    return private(Page(items=shown, next_cursor=more))


ROUTES: tuple[Any, ...] = (list_trail,)
