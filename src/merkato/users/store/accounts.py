"""Statements over accounts and addresses."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.contracts.values import Address
from merkato.users.domain.people import Account, SavedAddress


def _account(row: Row | None) -> Account | None:
    return msgspec.convert(dict(row), Account) if row else None


INSERT = """
insert into users (id, email, email_key, name, locale, password_hash, role)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (email_key) do nothing returning id
"""


async def insert(
    tx: Tx, user_id: UUID, email: str, key: str, name: str | None, locale: str, hash_: str,
    role: str,
) -> bool:  # fmt: skip
    """Add an account unless its address has one. Waits for others who add that address."""
    row = await tx.fetchrow(INSERT, user_id, email, key, name, locale, hash_, role)
    return row is not None


BY_ID = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users where id = $1
"""


async def by_id(tx: Tx, user_id: UUID) -> Account | None:
    """Read an account."""
    return _account(await tx.fetchrow(BY_ID, user_id))


LOCK = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users where id = $1 for no key update
"""


async def lock(tx: Tx, user_id: UUID) -> Account | None:
    """Read an account and keep others from changing it, its sessions and its tokens."""
    return _account(await tx.fetchrow(LOCK, user_id))


BY_KEY = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users where email_key = $1
"""


async def by_key(tx: Tx, key: str) -> Account | None:
    """Find an account by the folded form of its address."""
    return _account(await tx.fetchrow(BY_KEY, key))


LOCK_BY_KEY = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users where email_key = $1 for no key update
"""


async def lock_by_key(tx: Tx, key: str) -> Account | None:
    """Find an account as `by_key` and lock it as `lock`."""
    return _account(await tx.fetchrow(LOCK_BY_KEY, key))


LOCK_WITH_ADMINS = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users where id = $1 or (role = 'admin' and not blocked) order by id for no key update
"""


async def lock_with_admins(tx: Tx, user_id: UUID) -> tuple[Account | None, set[UUID]]:
    """Lock an account, and all admins who can log in, whose ids are given too."""
    found = [msgspec.convert(dict(r), Account) for r in await tx.fetch(LOCK_WITH_ADMINS, user_id)]
    admins = {one.id for one in found if one.role == "admin" and not one.blocked}
    return next((one for one in found if one.id == user_id), None), admins


PROFILE = """
update users set name = $2, locale = $3, version = version + 1 where id = $1 returning version
"""


async def set_profile(tx: Tx, user_id: UUID, name: str | None, locale: str) -> int:
    """Write what a person may change; give the new version."""
    version: int = await tx.fetchval(PROFILE, user_id, name, locale)
    return version


ACCESS = """
update users set role = $2, blocked = $3, metadata = $4, version = version + 1 where id = $1
"""


async def set_access(
    tx: Tx, user_id: UUID, role: str, blocked: bool, metadata: dict[str, str]
) -> None:
    """Write what staff may change."""
    await tx.execute(ACCESS, user_id, role, blocked, metadata)


# A token's `iat` is whole seconds. The moment moves on by a second at least, so that tokens made
# earlier in this very second are older than it; new ones are dated to it.
REFUSE_OLDER = """
update users
   set access_version = access_version + 1,
       not_before = greatest(not_before, date_trunc('second', clock_timestamp()))
                    + interval '1 second'
 where id = $1 returning access_version, role, blocked, not_before
"""


async def refuse_older(tx: Tx, user_id: UUID) -> tuple[int, str, bool, datetime]:
    """Refuse all tokens made so far; give version, role, blocked and the moment."""
    row = await tx.fetchrow(REFUSE_OLDER, user_id)
    assert row is not None, "only a locked account"
    return row["access_version"], row["role"], row["blocked"], row["not_before"]


PASSWORD = "update users set password_hash = $2 where id = $1"


async def set_password(tx: Tx, user_id: UUID, hash_: str) -> None:
    """Replace the hash of the password."""
    await tx.execute(PASSWORD, user_id, hash_)


SET_EMAIL = """
update users set email = $2, email_key = $3, email_verified = true, version = version + 1
 where id = $1
"""


async def set_email(tx: Tx, user_id: UUID, email: str, key: str) -> None:
    """Give an account another address, which its owner has confirmed."""
    await tx.execute(SET_EMAIL, user_id, email, key)


VERIFIED = "update users set email_verified = true, version = version + 1 where id = $1"


async def set_verified(tx: Tx, user_id: UUID) -> None:
    """Note that the person reads mail to this address."""
    await tx.execute(VERIFIED, user_id)


ERASE = """
update users
   set email = null, email_key = null, email_verified = false, name = null, locale = 'en',
       password_hash = null, role = 'customer', blocked = true, metadata = '{}',
       version = version + 1, erased_at = clock_timestamp()
 where id = $1
"""


async def erase(tx: Tx, user_id: UUID) -> None:
    """Overwrite what is personal in the account's row."""
    await tx.execute(ERASE, user_id)


# Among all who match, newest first; a search reads the newest rows until a page is full.
PAGE = """
select id, email, email_key, email_verified, name, locale, password_hash, role, blocked, metadata,
       version, not_before, registered_at, erased_at
  from users
 where ($1::text is null or strpos(email_key || ' ' || lower(coalesce(name, '')), $1) > 0)
   and ($2::text is null or role = $2)
   and ($3::timestamptz is null or (registered_at, id) < ($3, $4::uuid))
 order by registered_at desc, id desc limit $5
"""


async def page(
    tx: Tx, q: str | None, role: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Account]:
    """Give accounts, newest first, whose address or name holds `q` (in lower case)."""
    at, last = after or (None, None)
    rows = await tx.fetch(PAGE, q, role, at, last, limit)
    return [msgspec.convert(dict(row), Account) for row in rows]


def _saved(row: Row) -> SavedAddress:
    shown = {"id": row["id"], "is_default": row["is_default"], **row["address"]}
    return msgspec.convert(shown, SavedAddress)


ADDRESSES = "select id, is_default, address from addresses where user_id = $1 order by id"


async def addresses(tx: Tx, user_id: UUID) -> list[SavedAddress]:
    """Give all addresses of a user, oldest first."""
    return [_saved(row) for row in await tx.fetch(ADDRESSES, user_id)]


ADDRESS = "select id, is_default, address, version from addresses where user_id = $1 and id = $2"


async def address(tx: Tx, user_id: UUID, address_id: UUID) -> tuple[SavedAddress, int] | None:
    """Read one address of a user, and its version."""
    row = await tx.fetchrow(ADDRESS, user_id, address_id)
    return (_saved(row), row["version"]) if row else None


PUT_ADDRESS = """
insert into addresses (id, user_id, address, is_default) values ($1, $2, $3, $4)
on conflict (id) do update
   set address = excluded.address, is_default = excluded.is_default,
       version = addresses.version + 1
returning version
"""


async def put_address(
    tx: Tx, address_id: UUID, user_id: UUID, written: Address, is_default: bool
) -> int:
    """Add or replace an address; give its version."""
    version: int = await tx.fetchval(PUT_ADDRESS, address_id, user_id, written, is_default)
    return version


NO_DEFAULT = """
update addresses set is_default = false, version = version + 1
 where user_id = $1 and is_default and id <> $2
"""


async def no_other_default(tx: Tx, user_id: UUID, address_id: UUID) -> None:
    """Make room for a new default address."""
    await tx.execute(NO_DEFAULT, user_id, address_id)


DELETE_ADDRESS = "delete from addresses where user_id = $1 and id = $2"


async def delete_address(tx: Tx, user_id: UUID, address_id: UUID) -> None:
    """Forget one address."""
    await tx.execute(DELETE_ADDRESS, user_id, address_id)


DELETE_ADDRESSES = "delete from addresses where user_id = $1"


async def delete_addresses(tx: Tx, user_id: UUID) -> None:
    """Forget all addresses of a user."""
    await tx.execute(DELETE_ADDRESSES, user_id)
