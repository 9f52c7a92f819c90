"""Routes of staff over everybody's accounts."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from merkato.chassis.db import Database
from merkato.chassis.http import (
    Cursor,
    IfMatch,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    expected_version,
    staff,
)
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound
from merkato.contracts.values import PLAIN_NAME, Metadata
from merkato.users.actions import accounts
from merkato.users.domain.people import Account
from merkato.users.http.me import changes, private
from merkato.users.http.roles import RoleName
from merkato.users.store import accounts as store

Search = Annotated[str | None, Parameter(min_length=1, max_length=200)]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account as staff see it; e-mail address and name are null once it was erased."""

    id: UUID
    email: str | None
    email_verified: bool
    name: str | None
    locale: str
    role: str
    blocked: bool
    metadata: dict[str, str]
    registered_at: datetime
    erased_at: datetime | None


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PATCH /users/{id}``: what is left out stays."""

    role: RoleName | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


def view(account: Account) -> User:
    """Show an account to staff."""
    return msgspec.convert(account, User, from_attributes=True)


@get("/api/v1/users", policy=staff("customers:read"))
async def list_users(
    db: Database,
    q: Search = None,
    role: Annotated[str | None, Parameter(pattern=PLAIN_NAME)] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response[Page[User]]:
    """Give accounts, newest first; `q` is looked for in addresses and names, ignoring case."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        found = await store.page(tx, q.lower() if q else None, role, after, limit + 1)
    shown = found[:limit]
    more = encode_cursor(shown[-1].registered_at, shown[-1].id) if len(found) > limit else None
    return private(Page(items=[view(account) for account in shown], next_cursor=more))


@get("/api/v1/users/{user_id:uuid}", policy=staff("customers:read"))
async def read_user(user_id: UUID, db: Database) -> Response[User]:
    """Give one account, with its ETag."""
    async with db.reading() as tx:
        account = await store.by_id(tx, user_id)
    if account is None:
        raise NotFound("There is no such user.")
    return private(view(account), account.version)


@patch("/api/v1/users/{user_id:uuid}", policy=staff("users:write"))
async def change_user(
    user_id: UUID, data: UserChange, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[User]:
    """Change role, block or notes. Needs If-Match; 409 for the last admin.

    Access tokens with the old role are refused everywhere within 60 s; a block ends all sessions.
    """
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        account = await accounts.set_access(tx, caller, user_id, expected, changes(data))
    return private(view(account), account.version)


@post("/api/v1/users/{user_id:uuid}/erasure", policy=staff("users:write"), status_code=204)
async def erase_user(user_id: UUID, caller: Caller, db: Database) -> None:
    """Erase an account here and everywhere; a second time nothing happens. 409: the last admin."""
    async with db.transaction() as tx:
        await accounts.erase(tx, caller, user_id)


@delete("/api/v1/users/{user_id:uuid}/totp", policy=staff("users:write"), status_code=204)
async def remove_second_factor(user_id: UUID, caller: Caller, db: Database) -> None:
    """Free somebody who lost authenticator and recovery codes; all sessions end. Harmless again."""
    async with db.transaction() as tx:
        await accounts.drop_second_factor(tx, caller, user_id)


ROUTES: tuple[Any, ...] = (list_users, read_user, change_user, erase_user, remove_second_factor)
