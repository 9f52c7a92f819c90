"""The log: appended to by one writer, read in order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx

SCAN_MAX = 20_000  # positions looked at for one page, whatever is wanted of them
PAGE_MAX_BYTES = 4 * 1024 * 1024


class Entry(msgspec.Struct, frozen=True):
    """A public event on its way into the log."""

    id: UUID
    type: str
    key: str
    event: str


APPEND = "select append_to_log($1::uuid[], $2::text[], $3::text[], $4::text[])"


async def append(tx: Tx, entries: Sequence[Entry]) -> int:
    """Add events at the end, in this order. Gives the position of the last."""
    last: int = await tx.fetchval(
        APPEND,
        [one.id for one in entries],
        [one.type for one in entries],
        [one.key for one in entries],
        [one.event for one in entries],
    )
    return last


class Looked(msgspec.Struct, frozen=True):
    """What was found behind a position, and how far was looked."""

    rows: list[Row]
    upto: int  # nothing that was asked for is missing up to here
    more: bool  # there is something behind it

    def until(self, position: int) -> "Looked":
        """Give what of it is not behind a position."""
        rows = [row for row in self.rows if row["position"] <= position]
        return Looked(rows, min(self.upto, position), self.more and self.upto < position)


def _is_cut(rows: Sequence[Row], limit: int) -> bool:
    """Tell whether the limit or the bytes ended a page."""
    return bool(rows) and (rows[0]["n"] == limit or rows[0]["n"] > len(rows))


PAGE = """
select position, type, event, n from (
    select l.*, count(*) over () as n,
           sum(octet_length(event)) over (order by position) - octet_length(event) as bytes_before
      from (select position, type, event from log where position > $1 order by position limit $2) l
 ) page where bytes_before < $3 order by position
"""


async def page(tx: Tx, after: int, limit: int) -> Looked:
    """Read on from a position: so many events, or as many as PAGE_MAX_BYTES hold, one at least."""
    rows = await tx.fetch(PAGE, after, limit, PAGE_MAX_BYTES)
    return Looked(rows, rows[-1]["position"] if rows else after, more=_is_cut(rows, limit))


OF_TYPES = """
select position, type, event, n from (
    select l.*, count(*) over () as n,
           sum(octet_length(event)) over (order by position) - octet_length(event) as bytes_before
      from (select position, type, event
              from (select position, type, event from log
                     where position > $1 order by position limit $4) scanned
             where type = any($2) order by position limit $3) l
 ) page where bytes_before < $5 order by position
"""
SCANNED = """
select coalesce(max(position), $1) as last, count(*) as n from (
    select position from log where position > $1 order by position limit $2) scanned
"""


async def page_of_types(tx: Tx, after: int, types: Sequence[str], limit: int) -> Looked:
    """Read on, as `page`, what is of these types, looking at SCAN_MAX events at most.

    Both statements must see one moment: call it in a snapshot.
    """
    rows = await tx.fetch(OF_TYPES, after, types, limit, SCAN_MAX, PAGE_MAX_BYTES)
    if _is_cut(rows, limit):
        return Looked(rows, rows[-1]["position"], more=True)
    scanned: Any = await tx.fetchrow(SCANNED, after, SCAN_MAX)
    return Looked(rows, scanned["last"], more=scanned["n"] == SCAN_MAX)


OF_KEY = """
select position, type, event, n from (
    select l.*, count(*) over () as n,
           sum(octet_length(event)) over (order by position) - octet_length(event) as bytes_before
      from (select position, type, event from log
             where hashtextextended(key, 0) = hashtextextended($2, 0) and key = $2
               and position > $1 and ($3::text[] is null or type = any($3))
             order by position limit $4) l
 ) page where bytes_before < $5 order by position
"""


async def page_of_key(
    tx: Tx, after: int, key: str, types: Sequence[str] | None, limit: int
) -> Looked:
    """Read on, as `page`, what is about one key, in the order it happened."""
    rows = await tx.fetch(OF_KEY, after, key, types, limit, PAGE_MAX_BYTES)
    return Looked(rows, rows[-1]["position"] if rows else after, more=_is_cut(rows, limit))


ONE = "select position, type, event from log where position = $1"


async def at(tx: Tx, position: int) -> Row | None:
    """Find the event at a position."""
    return await tx.fetchrow(ONE, position)


HEAD = "select position from log_head"


async def head(tx: Tx) -> int:
    """Give the last position there is."""
    return int(await tx.fetchval(HEAD))


AT = "select (extract(epoch from $1::timestamptz) * 1000)::bigint << 20"


async def position_of(tx: Tx, moment: datetime) -> int:
    """Give the position behind which all events logged since a moment are."""
    return int(await tx.fetchval(AT, moment)) - 1


PREPARE = "select prepare_log((extract(epoch from clock_timestamp()) * 1000)::bigint << 20)"
DROP_OLD = "select drop_old_log($1)"


async def keep(tx: Tx, days: int) -> int:
    """Make the partitions of the next days and drop those that are too old. Gives how many went."""
    await tx.execute(PREPARE)
    return int(await tx.fetchval(DROP_OLD, days))
