"""Statements over saved views."""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of a list under a name; `query` is what follows the `?` of the list's address."""

    list: str
    name: str
    query: str
    saved_at: datetime


EVERY = """
select list, name, query, saved_at from saved_views where user_id = $1 order by list, lower(name)
"""


async def every(tx: Tx, user_id: UUID) -> list[SavedView]:
    """Give all views of a user, by list and name."""
    return [msgspec.convert(dict(row), SavedView) for row in await tx.fetch(EVERY, user_id)]


PUT = """
insert into saved_views (user_id, list, name, query) values ($1, $2, $3, $4)
on conflict (user_id, list, name) do update
   set query = excluded.query, saved_at = excluded.saved_at
"""


async def put(tx: Tx, user_id: UUID, of: str, name: str, query: str) -> None:
    """Keep a view, in the place of one with its name."""
    await tx.execute(PUT, user_id, of, name, query)


DELETE = "delete from saved_views where user_id = $1 and list = $2 and name = $3"


async def delete(tx: Tx, user_id: UUID, of: str, name: str) -> None:
    """Forget a view."""
    await tx.execute(DELETE, user_id, of, name)


DELETE_ALL = "delete from saved_views where user_id = $1"


async def delete_all(tx: Tx, user_id: UUID) -> None:
    """Forget all views of a user."""
    await tx.execute(DELETE_ALL, user_id)
