"""Routes of a person's own account."""

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from msgspec import UNSET, UnsetType

from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    USER,
    IdempotencyKey,
    IfMatch,
    Page,
    etag,
    expected_version,
    respond,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.config import Users
from merkato.contracts.problem import Forbidden, NotFound, Unauthenticated
from merkato.contracts.values import Address, Country, Line, Locale, PostalCode
from merkato.users.actions import accounts, logins
from merkato.users.actions.passwords import Passwords
from merkato.users.domain.passwords import check_password, normal_password
from merkato.users.domain.people import Account, SavedAddress
from merkato.users.http.auth import NO_STORE, Password
from merkato.users.store import accounts as store

T = TypeVar("T")


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its owner sees it."""

    id: UUID
    email: str
    email_verified: bool
    name: str | None
    locale: str
    role: str
    registered_at: datetime


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PATCH /me``: what is left out stays."""

    name: Line | UnsetType | None = UNSET
    locale: Locale | UnsetType = UNSET


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /me/password``."""

    current_password: Password
    password: Password


class NewAddress(Address, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /me/addresses``. A first address is the default whatever this says."""

    is_default: bool = False


class AddressChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PATCH /me/addresses/{id}``: what is left out stays."""

    name: Line | UnsetType = UNSET
    company: Line | UnsetType | None = UNSET
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=3)] | UnsetType = UNSET
    city: Line | UnsetType = UNSET
    region: Line | UnsetType | None = UNSET
    postal_code: PostalCode | UnsetType = UNSET
    country: Country | UnsetType = UNSET
    phone: Line | UnsetType | None = UNSET
    tax_id: Line | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET


def view(account: Account) -> Me:
    """Show an account to its owner. Raises Unauthenticated when it was blocked or erased."""
    if account.email is None or account.blocked:
        raise Unauthenticated("Log in again.")
    return msgspec.convert(account, Me, from_attributes=True)


def private(body: T, version: int | None = None) -> Response[T]:
    """Answer what no cache may keep, with its ETag."""
    tag = {} if version is None else {"ETag": etag(version)}
    return Response(body, headers={**NO_STORE, **tag})


async def own(tx: Tx, caller: Caller) -> Account:
    """Read the caller's account. Raises Unauthenticated when it is no more."""
    account = await store.by_id(tx, own_id(caller))
    if account is None or account.blocked:
        raise Unauthenticated("Log in again.")
    return account


def own_id(caller: Caller) -> UUID:
    """Give the caller's user id; the routes' policy made sure that there is one."""
    assert caller.user_id is not None, "policy USER"
    return caller.user_id


def changes(data: msgspec.Struct) -> dict[str, Any]:
    """Give the fields that a body names."""
    fields = {name: getattr(data, name) for name in data.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


@get("/api/v1/me", policy=USER)
async def read_me(caller: Caller, db: Database) -> Response[Me]:
    """Give the caller's account, with its ETag."""
    async with db.reading() as tx:
        account = await own(tx, caller)
    return private(view(account), account.version)


@patch("/api/v1/me", policy=USER)
async def change_me(
    data: ProfileChange, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[Me]:
    """Change name or locale. Needs If-Match; 412 when the account changed meanwhile."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, own_id(caller), expected)
        account = msgspec.structs.replace(account, **changes(data))
        version = await accounts.set_profile(tx, account, account.name, account.locale)
    return private(view(account), version)


@delete("/api/v1/me", policy=USER, status_code=204)
async def erase_me(caller: Caller, db: Database, if_match: IfMatch = None) -> None:
    """Erase the caller's account here and everywhere; orders stay without a name.

    Needs If-Match. 409 for the last admin.
    """
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await accounts.erase(tx, caller, own_id(caller), expected)


@post("/api/v1/me/password", policy=USER, status_code=204)
async def change_password(
    data: PasswordChange, caller: Caller, db: Database, passwords: Passwords, settings: Users
) -> None:
    """Change the password; all sessions end, this one too, and a login with the new one follows.

    403 when the current password is wrong; that counts as a failed login, so 429 in the end.
    """
    async with db.transaction() as tx:
        account = await own(tx, caller)
        assert account.email_key is not None, "not erased"
        assert account.email is not None, "not erased"
        await logins.attempt(tx, account.email_key, settings)
    current = normal_password(data.current_password)
    if not await passwords.matches(current, account.password_hash):
        raise Forbidden("The current password is wrong.")
    new = check_password(data.password, account.email, passwords.shop_name)
    hash_ = await passwords.hash(new)
    async with db.transaction() as tx:
        await accounts.change_password(tx, account, hash_)


@get("/api/v1/me/addresses", policy=USER)
async def list_addresses(caller: Caller, db: Database) -> Response[Page[SavedAddress]]:
    """Give the caller's addresses, oldest first; one page holds them all."""
    async with db.reading() as tx:
        account = await own(tx, caller)
        found = await store.addresses(tx, account.id)
    return private(Page(items=found))


@post("/api/v1/me/addresses", policy=USER, answers=SavedAddress)
async def add_address(
    data: NewAddress, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Add an address, once per Idempotency-Key if there is one."""
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        account = await accounts.lock_own(tx, own_id(caller))
        added = await accounts.add_address(tx, account, data, data.is_default)
        return answer(
            201,
            added,
            etag=etag(1),
            location=f"/api/v1/me/addresses/{added.id}",
            cache_control="no-store",
        )

    return respond(await once(db, (caller.principal, "POST /me/addresses", key), data, work))


@get("/api/v1/me/addresses/{address_id:uuid}", policy=USER)
async def read_address(address_id: UUID, caller: Caller, db: Database) -> Response[SavedAddress]:
    """Give one of the caller's addresses, with its ETag."""
    async with db.reading() as tx:
        found = await store.address(tx, own_id(caller), address_id)
    if found is None:
        raise NotFound("There is no such address.")
    return private(*found)


@patch("/api/v1/me/addresses/{address_id:uuid}", policy=USER)
async def change_address(
    address_id: UUID, data: AddressChange, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[SavedAddress]:
    """Change one of the caller's addresses. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, own_id(caller))
        changed, version = await accounts.change_address(
            tx, account, address_id, changes(data), expected
        )
    return private(changed, version)


@delete("/api/v1/me/addresses/{address_id:uuid}", policy=USER, status_code=204)
async def remove_address(
    address_id: UUID, caller: Caller, db: Database, if_match: IfMatch = None
) -> None:
    """Remove one of the caller's addresses. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, own_id(caller))
        await accounts.remove_address(tx, account, address_id, expected)


ROUTES: tuple[Any, ...] = (
    read_me, change_me, erase_me, change_password, list_addresses, add_address,
    read_address, change_address, remove_address,
)  # fmt: skip
