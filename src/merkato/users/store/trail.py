"""Statements over the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from merkato.chassis.db import Row, Tx
from merkato.users.domain.trail import Link

HEAD = "select n, hash from trail_head for update"


async def lock_head(tx: Tx) -> tuple[int, bytes]:
    """Give number and hash of the last entry; others who would add one wait."""
    row = await tx.fetchrow(HEAD)
    assert row is not None, "the schema made it"
    return row["n"], row["hash"]


ADD = """
with added as (
    insert into trail (n, at, body, hash)
    select * from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::bytea[])
)
update trail_head set n = $5, hash = $6
"""


async def add(tx: Tx, links: Sequence[Link]) -> None:
    """Append entries, in order. The head is locked."""
    await tx.execute(
        ADD,
        [one.n for one in links],
        [one.at for one in links],
        [one.body for one in links],
        [one.hash for one in links],
        links[-1].n,
        links[-1].hash,
    )


class Wanted(NamedTuple):
    """Which entries are looked for; None leaves a place open."""

    actor: str | None
    action: str | None
    subject: str | None
    service: str | None
    since: datetime | None
    until: datetime | None


PAGE = """
select n, body, hash from trail
 where ($1::text is null or actor = $1)
   and ($2::text is null or action = $2)
   and ($3::text is null or subject = $3)
   and ($4::text is null or split_part(action, '.', 1) = $4)
   and ($5::timestamptz is null or at >= $5)
   and ($6::timestamptz is null or at < $6)
   and ($7::bigint is null or n < $7)
 order by n desc limit $8
"""


async def page(tx: Tx, wanted: Wanted, before: int | None, limit: int) -> list[Row]:
    """Give entries, those heard last first."""
    return await tx.fetch(PAGE, *wanted, before, limit)
