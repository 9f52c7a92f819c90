"""Statements over what people want to hear of."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.notifications.domain.preferences import Choices

CHOICES = "select user_id, choices from preferences where user_id = any($1)"


async def choices(tx: Tx, users: Sequence[UUID]) -> dict[UUID, Choices]:
    """Map users to their choices; those who chose nothing are missing."""
    return {row["user_id"]: row["choices"] for row in await tx.fetch(CHOICES, list(users))}


VERSION = "select version, choices from preferences where user_id = $1"


async def read(tx: Tx, user_id: UUID) -> tuple[int, Choices]:
    """Give version and choices of a user: 0 and none for who chose nothing."""
    row = await tx.fetchrow(VERSION, user_id)
    return (row["version"], row["choices"]) if row else (0, {})


PUT = """
insert into preferences (user_id, choices) select $1, $2 where $3 = 0
    on conflict (user_id) do nothing returning version
"""
REPLACE = """
update preferences set choices = $2, version = version + 1, changed_at = now()
 where user_id = $1 and version = $3 returning version
"""


async def put(tx: Tx, user_id: UUID, chosen: Choices, version: int) -> int | None:
    """Write choices over those of a version; None when they have changed meanwhile."""
    added: int | None = await tx.fetchval(PUT, user_id, chosen, version)
    return added or await tx.fetchval(REPLACE, user_id, chosen, version)


FORGET = "delete from preferences where user_id = any($1)"


async def forget(tx: Tx, users: Sequence[UUID]) -> None:
    """Forget what users wanted."""
    await tx.execute(FORGET, list(users))
