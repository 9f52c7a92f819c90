"""Whose tokens are judged anew: every service hears it from users and refuses older tokens."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog

from merkato.chassis.db import Database, Tx
from merkato.chassis.inbox import Heard
from merkato.chassis.tokens import Tokens
from merkato.contracts.users import AccessChanged

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


async def follow(db: Database, tokens: Tokens) -> None:
    """Tell `tokens` for ever what is refused."""
    bell = db.bell(BELL)
    while True:
        bell.clear()
        try:
            async with db.reading() as tx:
                rows = await tx.fetch(RECENT)
            refused: dict[UUID, datetime | None] = {
                row["user_id"]: None if row["blocked"] else row["not_before"] for row in rows
            }
            tokens.refuse(refused)
        except Exception as error:
            log.warning("access is not followed", error=repr(error))
        try:
            await asyncio.wait_for(bell.wait(), FOLLOW_S)
        except TimeoutError:
            continue
