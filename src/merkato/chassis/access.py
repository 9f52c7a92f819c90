"""Who may do what has changed: every service hears it from users and obeys within 60 s.

Tokens that are judged anew are refused; roles that the shop made itself are looked up here.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import structlog

from merkato.chassis.db import Database, Tx
from merkato.chassis.inbox import Heard
from merkato.chassis.tokens import Tokens
from merkato.contracts.users import AccessChanged, RoleChanged

log = structlog.get_logger()

FOLLOW_S = 10.0  # how soon a change counts in other processes
BELL = "access"

KEEP = """
insert into access (user_id, version, role, blocked, not_before)
select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bool[], $5::timestamptz[])
on conflict (user_id) do update
   set version = excluded.version, role = excluded.role, blocked = excluded.blocked,
       not_before = excluded.not_before
 where access.version < excluded.version
"""
RECENT = """
select user_id, blocked, not_before from access
 where blocked or not_before > clock_timestamp() - interval '1 day'
"""


async def on_changed(tx: Tx, heard: Sequence[Heard[AccessChanged]]) -> None:
    """Keep the newest of each user."""
    newest: dict[UUID, AccessChanged] = {}
    for one in heard:
        known = newest.get(one.event.user_id)
        if known is None or known.version < one.event.version:
            newest[one.event.user_id] = one.event
    events = [newest[user_id] for user_id in sorted(newest)]
    await tx.execute(
        KEEP,
        [event.user_id for event in events],
        [event.version for event in events],
        [event.role for event in events],
        [event.blocked for event in events],
        [event.not_before for event in events],
    )
    tx.wake(BELL)


KEEP_ROLES = """
insert into custom_roles (name, version, permissions)
select name, version, string_to_array(permissions, ' ')
  from unnest($1::text[], $2::bigint[], $3::text[]) r(name, version, permissions)
on conflict (name) do update set version = excluded.version, permissions = excluded.permissions
 where custom_roles.version < excluded.version
"""
CUSTOM_ROLES = "select name, permissions from custom_roles"


async def on_role_changed(tx: Tx, heard: Sequence[Heard[RoleChanged]]) -> None:
    """Keep the newest of each role."""
    newest: dict[str, RoleChanged] = {}
    for one in sorted((one.event for one in heard), key=lambda event: event.version):
        newest[one.role] = one
    events = [newest[name] for name in sorted(newest)]
    await tx.execute(
        KEEP_ROLES,
        [event.role for event in events],
        [event.version for event in events],
        [" ".join(event.permissions or ()) for event in events],
    )
    tx.wake(BELL)


async def follow(db: Database, tokens: Tokens) -> None:
    """Tell `tokens` for ever what is refused, and what roles of the shop's own may do."""
    bell = db.bell(BELL)
    while True:
        bell.clear()
        try:
            async with db.reading() as tx:
                rows = await tx.fetch(RECENT)
                roles = await tx.fetch(CUSTOM_ROLES)
            refused: dict[UUID, datetime | None] = {
                row["user_id"]: None if row["blocked"] else row["not_before"] for row in rows
            }
            tokens.refuse(refused)
            tokens.know_roles({row["name"]: frozenset(row["permissions"]) for row in roles})
        except Exception as error:
            log.warning("access is not followed", error=repr(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_S):
                await bell.wait()
