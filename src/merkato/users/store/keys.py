"""Statements over API keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.users.domain.keys import ApiKey

INSERT = """
insert into api_keys (id, prefix, hash, name, scopes, made_by, expires_at)
values ($1, $2, $3, $4, $5, $6, $7) returning made_at
"""


async def insert(
    tx: Tx, key_id: UUID, prefix: str, hash_: bytes, name: str, scopes: Sequence[str],
    made_by: UUID, expires_at: datetime | None,
) -> datetime:  # fmt: skip
    """Add a key; give when."""
    made_at: datetime = await tx.fetchval(
        INSERT, key_id, prefix, hash_, name, scopes, made_by, expires_at
    )
    return made_at


PAGE = """
select id, prefix, name, scopes, made_by, made_at, expires_at, last_used_at, revoked_at
  from api_keys
 where (revoked_at is not null) = $1
   and ($2::timestamptz is null or (made_at, id) < ($2, $3::uuid))
 order by made_at desc, id desc limit $4
"""


async def page(
    tx: Tx, revoked: bool, after: tuple[datetime, UUID] | None, limit: int
) -> list[ApiKey]:
    """Give keys, newest first: those that were ended, or the others."""
    rows = await tx.fetch(PAGE, revoked, *(after or (None, None)), limit)
    return [msgspec.convert(dict(row), ApiKey) for row in rows]


BY_ID = """
select id, prefix, name, scopes, made_by, made_at, expires_at, last_used_at, revoked_at
  from api_keys where id = $1
"""


async def by_id(tx: Tx, key_id: UUID) -> ApiKey | None:
    """Read a key."""
    row = await tx.fetchrow(BY_ID, key_id)
    return msgspec.convert(dict(row), ApiKey) if row else None


REVOKE = """
update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null
"""


async def revoke(tx: Tx, key_id: UUID) -> bool:
    """End a key; False when it had ended or never was."""
    return await tx.execute(REVOKE, key_id) == 1


REVOKE_OF = """
update api_keys set revoked_at = clock_timestamp() where made_by = $1 and revoked_at is null
"""


async def revoke_of(tx: Tx, user_id: UUID) -> int:
    """End all keys that somebody made."""
    return await tx.execute(REVOKE_OF, user_id)


class Usable(msgspec.Struct, frozen=True, kw_only=True):
    """A key that has not ended, and how its maker stands."""

    id: UUID
    scopes: tuple[str, ...]
    expires_at: datetime | None
    role: str
    blocked: bool


USABLE = """
select k.id, k.scopes, k.expires_at, u.role, u.blocked
  from api_keys k join users u on u.id = k.made_by
 where k.hash = $1 and k.revoked_at is null
   and (k.expires_at is null or k.expires_at > clock_timestamp())
"""


async def usable(tx: Tx, hash_: bytes) -> Usable | None:
    """Find a key that may be used by its hash."""
    row = await tx.fetchrow(USABLE, hash_)
    return msgspec.convert(dict(row), Usable) if row else None


USED = """
update api_keys set last_used_at = clock_timestamp()
 where id = $1
   and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')
"""


async def note_use(tx: Tx, key_id: UUID) -> None:
    """Note that a key is used, once a minute."""
    await tx.execute(USED, key_id)
