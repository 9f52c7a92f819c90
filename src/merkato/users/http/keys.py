"""Routes of API keys, by which programs call."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post

from merkato.chassis.db import Database
from merkato.chassis.http import (
    SERVICE,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    moment,
    staff,
)
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound
from merkato.contracts.users import KeyGrant
from merkato.contracts.values import Line
from merkato.users.actions import keys
from merkato.users.actions.keys import NewKey
from merkato.users.domain.keys import ApiKey
from merkato.users.http.auth import NO_STORE
from merkato.users.http.me import private
from merkato.users.store import keys as store

Scope = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class KeyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /api-keys``; scopes are names of permissions."""

    name: Line
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=100)]
    expires_at: datetime | None = None


@post("/api/v1/api-keys", policy=staff("api-keys:write"))
async def make_key(data: KeyWish, caller: Caller, db: Database) -> Response[NewKey]:
    """Make a key for a program. `key` is shown in this answer and never again.

    It is sent as ``Authorization: Bearer mk_…``. 422 for a scope that does not exist, 403 for one
    that the caller does not have. No Idempotency-Key: an answer that holds a secret is not stored,
    so a repeat makes another key.
    """
    expires_at = moment("expires_at", data.expires_at)
    async with db.transaction() as tx:
        made = await keys.make(tx, caller, data.name, data.scopes, expires_at)
    headers = {**NO_STORE, "Location": f"/api/v1/api-keys/{made.id}"}
    return Response(made, headers=headers)


@get("/api/v1/api-keys", policy=staff("api-keys:read"))
async def list_keys(
    db: Database, revoked: bool = False, limit: Limit = 20, cursor: Cursor = None
) -> Response[Page[ApiKey]]:
    """Give keys, newest first: those in use, or with `revoked=true` those that were ended."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        found = await store.page(tx, revoked, after, limit + 1)
    shown = found[:limit]
    more = encode_cursor(shown[-1].made_at, shown[-1].id) if len(found) > limit else None
    return private(Page(items=shown, next_cursor=more))


@get("/api/v1/api-keys/{key_id:uuid}", policy=staff("api-keys:read"))
async def read_key(key_id: UUID, db: Database) -> Response[ApiKey]:
    """Give one key, without its secret."""
    async with db.reading() as tx:
        found = await store.by_id(tx, key_id)
    if found is None:
        raise NotFound("There is no such API key.")
    return private(found)


@delete("/api/v1/api-keys/{key_id:uuid}", policy=staff("api-keys:write"), status_code=204)
async def revoke_key(key_id: UUID, caller: Caller, db: Database) -> None:
    """End a key: within 60 s every service refuses it. A repeat does nothing."""
    async with db.transaction() as tx:
        await keys.revoke(tx, caller, key_id)


@get("/api/v1/auth/keys/{digest:str}", policy=SERVICE)
async def grant(digest: str, db: Database) -> Response[KeyGrant]:
    """Say what the key of a SHA-256 (in hex) may do now, for services. 404 when there is none."""
    try:
        hash_ = bytes.fromhex(digest)
    except ValueError:
        raise NotFound("There is no such API key, or no longer.") from None
    async with db.transaction() as tx:
        found = await keys.grant(tx, hash_)
    return Response(found, headers=NO_STORE)


ROUTES: tuple[Any, ...] = (make_key, list_keys, read_key, revoke_key, grant)
