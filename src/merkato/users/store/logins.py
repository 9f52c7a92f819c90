"""Statements over sessions, the tokens of sessions and mails, and tries."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.users.domain.sessions import RefreshToken
from merkato.users.domain.tries import Tries

OPEN = """
with begun as (
    insert into sessions (id, user_id, seed) values ($1, $2, $3) returning id
)
insert into refresh_tokens (hash, session_id, expires_at)
select $4, id, clock_timestamp() + make_interval(secs => $5) from begun
"""


async def open_session(
    tx: Tx, session_id: UUID, user_id: UUID, seed: bytes, token_hash: bytes, seconds: int
) -> None:
    """Begin a session with its first refresh token."""
    await tx.execute(OPEN, session_id, user_id, seed, token_hash, seconds)


OWNER = """
select s.user_id from refresh_tokens t join sessions s on s.id = t.session_id where t.hash = $1
"""


async def owner(tx: Tx, token_hash: bytes) -> UUID | None:
    """Say whose refresh token this is; that user is to be locked before it is judged."""
    found: UUID | None = await tx.fetchval(OWNER, token_hash)
    return found


REFRESH_TOKEN = """
select t.session_id, s.user_id, s.seed, t.expires_at, t.used_at,
       s.ended_at is not null as session_ended,
       exists (select from refresh_tokens later
                where later.session_id = s.id and later.used_at > t.used_at) as successor_used,
       clock_timestamp() as now
  from refresh_tokens t join sessions s on s.id = t.session_id where t.hash = $1
"""


async def refresh_token(tx: Tx, token_hash: bytes) -> tuple[RefreshToken, datetime] | None:
    """Read a refresh token and the database's time."""
    row = await tx.fetchrow(REFRESH_TOKEN, token_hash)
    return (msgspec.convert(dict(row), RefreshToken), row["now"]) if row else None


USE = "update refresh_tokens set used_at = clock_timestamp() where hash = $1"


async def use(tx: Tx, token_hash: bytes) -> None:
    """Note that a refresh token was used; its successor is to follow."""
    await tx.execute(USE, token_hash)


SUCCEED = """
with seen as (
    update sessions set refreshed_at = clock_timestamp() where id = $2
)
insert into refresh_tokens (hash, session_id, expires_at)
values ($1, $2, clock_timestamp() + make_interval(secs => $3))
"""


async def succeed(tx: Tx, token_hash: bytes, session_id: UUID, seconds: int) -> None:
    """Add the token to use next."""
    await tx.execute(SUCCEED, token_hash, session_id, seconds)


END_SESSION = """
update sessions set ended_at = clock_timestamp(), end_reason = $2
 where id = $1 and ended_at is null
"""


async def end_session(tx: Tx, session_id: UUID, reason: str) -> bool:
    """End a session; False when it had ended."""
    return await tx.execute(END_SESSION, session_id, reason) == 1


END_OWN_SESSION = """
update sessions set ended_at = clock_timestamp(), end_reason = 'revoked'
 where user_id = $1 and id = $2 and ended_at is null
"""


async def end_own_session(tx: Tx, user_id: UUID, session_id: UUID) -> bool:
    """End a session of a user; False when it had ended or is somebody else's."""
    return await tx.execute(END_OWN_SESSION, user_id, session_id) == 1


END_SESSIONS = """
update sessions set ended_at = clock_timestamp(), end_reason = 'access-changed'
 where user_id = $1 and ended_at is null
"""


async def end_sessions(tx: Tx, user_id: UUID) -> None:
    """End all sessions of a user."""
    await tx.execute(END_SESSIONS, user_id)


DELETE_SESSIONS = "delete from sessions where user_id = $1"


async def delete_sessions(tx: Tx, user_id: UUID) -> None:
    """Forget all sessions of a user."""
    await tx.execute(DELETE_SESSIONS, user_id)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login, as its user may see it."""

    id: UUID
    began_at: datetime
    refreshed_at: datetime
    ended_at: datetime | None


SESSIONS = """
select id, began_at, refreshed_at, ended_at from sessions where user_id = $1
 order by began_at, id limit 1000
"""


async def sessions(tx: Tx, user_id: UUID) -> list[Session]:
    """Give the logins that are still known, oldest first."""
    return [msgspec.convert(dict(row), Session) for row in await tx.fetch(SESSIONS, user_id)]


OPEN_SESSIONS = """
select id, began_at, refreshed_at, ended_at from sessions s
 where user_id = $1 and ended_at is null
   and exists (select from refresh_tokens t
                where t.session_id = s.id and t.expires_at > clock_timestamp())
 order by began_at desc, id desc limit 1000
"""


async def open_sessions(tx: Tx, user_id: UUID) -> list[Session]:
    """Give the logins that go on, newest first."""
    return [msgspec.convert(dict(row), Session) for row in await tx.fetch(OPEN_SESSIONS, user_id)]


ADD_EMAIL_TOKEN = """
insert into email_tokens (id, user_id, purpose, expires_at, email, email_key)
values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5, $6)
"""


async def add_email_token(
    tx: Tx, token_id: UUID, user_id: UUID, purpose: str, seconds: int,
    address: tuple[str, str] | None = None,
) -> None:  # fmt: skip
    """Add a token for a link; `address`: another one, and its key, that the link confirms."""
    email, key = address or (None, None)
    await tx.execute(ADD_EMAIL_TOKEN, token_id, user_id, purpose, seconds, email, key)


class EmailToken(NamedTuple):
    """What a link that can still be used is for, and the address it was sent to."""

    purpose: str
    user_id: UUID
    email: str
    email_key: str


EMAIL_TOKEN = """
select t.purpose, t.user_id, coalesce(t.email, u.email), coalesce(t.email_key, u.email_key)
  from email_tokens t join users u on u.id = t.user_id
 where t.id = $1 and t.used_at is null and t.expires_at > clock_timestamp()
   and u.erased_at is null
"""


async def email_token(tx: Tx, token_id: UUID) -> EmailToken | None:
    """Read a token that can still be used."""
    row = await tx.fetchrow(EMAIL_TOKEN, token_id)
    return EmailToken(*row) if row else None


USE_EMAIL_TOKEN = """
update email_tokens set used_at = clock_timestamp()
 where id = $1 and purpose = $2 and used_at is null and expires_at > clock_timestamp()
"""


async def use_email_token(tx: Tx, token_id: UUID, purpose: str) -> bool:
    """Use a token; False when it was used or is too old. Its user is locked."""
    return await tx.execute(USE_EMAIL_TOKEN, token_id, purpose) == 1


DROP_EMAIL_TOKENS = "delete from email_tokens where user_id = $1 and purpose = $2"


async def drop_email_tokens(tx: Tx, user_id: UUID, purpose: str) -> None:
    """Make all links of one kind useless."""
    await tx.execute(DROP_EMAIL_TOKENS, user_id, purpose)


LOCK_TRIES = """
insert into tries (what) values ($1) on conflict (what) do update set what = excluded.what
returning count, last_at, paused_until, clock_timestamp() as now
"""


async def lock_tries(tx: Tx, what: bytes) -> tuple[Tries, datetime]:
    """Read how often something was tried, none yet included, and the database's time."""
    row = await tx.fetchrow(LOCK_TRIES, what)
    assert row is not None, "an upsert gives its row"
    return msgspec.convert(dict(row), Tries), row["now"]


KEEP_TRIES = "update tries set count = $2, last_at = $3, paused_until = $4 where what = $1"


async def keep_tries(tx: Tx, what: bytes, tries: Tries) -> None:
    """Write back how often it was tried."""
    await tx.execute(KEEP_TRIES, what, tries.count, tries.last_at, tries.paused_until)


FORGIVE = "delete from tries where what = $1"


async def forgive(tx: Tx, what: bytes) -> None:
    """Forget how often it was tried."""
    await tx.execute(FORGIVE, what)


PRUNE_SESSIONS = """
delete from sessions where id in (
    select s.id from sessions s
     where s.ended_at < clock_timestamp() - interval '1 day'
        or not exists (select from refresh_tokens t
                        where t.session_id = s.id and t.expires_at > clock_timestamp())
     limit 1000 for update skip locked)
"""


async def prune_sessions(tx: Tx) -> int:
    """Forget sessions that ended or ran out, with their tokens."""
    return await tx.execute(PRUNE_SESSIONS)


PRUNE_REFRESH_TOKENS = """
delete from refresh_tokens where hash in (
    select hash from refresh_tokens where expires_at < clock_timestamp()
     order by expires_at limit 5000)
"""


async def prune_refresh_tokens(tx: Tx) -> int:
    """Forget refresh tokens that ran out."""
    return await tx.execute(PRUNE_REFRESH_TOKENS)


PRUNE_EMAIL_TOKENS = """
delete from email_tokens where id in (
    select id from email_tokens where expires_at < clock_timestamp() - interval '1 day'
     order by expires_at limit 5000)
"""


async def prune_email_tokens(tx: Tx) -> int:
    """Forget links that ran out a day ago."""
    return await tx.execute(PRUNE_EMAIL_TOKENS)


PRUNE_TRIES = """
delete from tries where what in (
    select what from tries where last_at < clock_timestamp() - interval '1 day'
     order by last_at limit 5000)
"""


async def prune_tries(tx: Tx) -> int:
    """Forget tries of yesterday."""
    return await tx.execute(PRUNE_TRIES)
