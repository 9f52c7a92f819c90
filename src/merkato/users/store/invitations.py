"""Statements over invitations."""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.users.domain.invitations import Invitation

CLOSE_OLD = """
update invitations set revoked_at = clock_timestamp()
 where email_key = $1 and accepted_at is null and revoked_at is null
"""


async def close_old(tx: Tx, email_key: str) -> None:
    """Take back what was offered to an address before."""
    await tx.execute(CLOSE_OLD, email_key)


INSERT = """
insert into invitations (id, email, email_key, role, locale, invited_by, expires_at)
values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
"""


async def insert(
    tx: Tx, invitation_id: UUID, address: tuple[str, str], role: str, locale: str,
    invited_by: UUID, seconds: int,
) -> None:  # fmt: skip
    """Add an invitation for an address (as written, and its key)."""
    await tx.execute(INSERT, invitation_id, *address, role, locale, invited_by, seconds)


READ = """
select id, email, role, locale, invited_by, invited_at, expires_at,
       case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
            when expires_at <= clock_timestamp() then 'expired' else 'open' end as state
  from invitations where id = $1
"""


async def read(tx: Tx, invitation_id: UUID) -> Invitation | None:
    """Read an invitation."""
    row = await tx.fetchrow(READ, invitation_id)
    return msgspec.convert(dict(row), Invitation) if row else None


LOCK = """
select id, email, role, locale, invited_by, invited_at, expires_at,
       case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
            when expires_at <= clock_timestamp() then 'expired' else 'open' end as state
  from invitations where id = $1 for update
"""


async def lock(tx: Tx, invitation_id: UUID) -> Invitation | None:
    """Read an invitation and keep others from using it."""
    row = await tx.fetchrow(LOCK, invitation_id)
    return msgspec.convert(dict(row), Invitation) if row else None


ACCEPT = "update invitations set accepted_at = clock_timestamp() where id = $1"


async def accept(tx: Tx, invitation_id: UUID) -> None:
    """Note that an invitation was used."""
    await tx.execute(ACCEPT, invitation_id)


REVOKE = """
update invitations set revoked_at = clock_timestamp()
 where id = $1 and accepted_at is null and revoked_at is null
"""


async def revoke(tx: Tx, invitation_id: UUID) -> bool:
    """Take an invitation back; False when it was used or taken back before."""
    return await tx.execute(REVOKE, invitation_id) == 1


PAGE = """
select id, email, role, locale, invited_by, invited_at, expires_at,
       case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
            when expires_at <= clock_timestamp() then 'expired' else 'open' end as state
  from invitations
 where $1::timestamptz is null or (invited_at, id) < ($1, $2::uuid)
 order by invited_at desc, id desc limit $3
"""


async def page(tx: Tx, after: tuple[datetime, UUID] | None, limit: int) -> list[Invitation]:
    """Give invitations, newest first."""
    rows = await tx.fetch(PAGE, *(after or (None, None)), limit)
    return [msgspec.convert(dict(row), Invitation) for row in rows]


FORGET = "delete from invitations where email_key = $1 returning id"


async def forget(tx: Tx, email_key: str) -> list[UUID]:
    """Forget what was offered to an address; give the ids, by which events speak of it."""
    return [row["id"] for row in await tx.fetch(FORGET, email_key)]


PRUNE = """
delete from invitations where id in (
    select id from invitations where expires_at < clock_timestamp() - interval '30 days'
     order by expires_at limit 1000)
"""


async def prune(tx: Tx) -> int:
    """Forget invitations that ran out a month ago."""
    return await tx.execute(PRUNE)
