"""A law inside one database: a statement whose rows break it."""

import msgspec

from merkato.audit.reading import Scope
from merkato.audit.result import LISTED_MAX, Tally
from merkato.chassis.db import Tx


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`broken` gives (id, why); `takes` names what of the scope its parameters $1, $2 … are."""

    law: str
    database: str | None  # None: every service's
    checked: str  # counts what is looked at, over everything
    broken: str
    takes: tuple[str, ...] = ()
    lasting: bool = False  # one moment of one database proves it: no second look is needed


async def check(tx: Tx, statement: Statement, scope: Scope, tally: Tally) -> None:
    """Count, and blame what the statement finds."""
    tally.checked += await tx.fetchval(statement.checked)
    listed = (
        f"select id, why, count(*) over () as total from ({statement.broken}) b limit {LISTED_MAX}"
    )
    rows = await tx.fetch(listed, *(getattr(scope, name) for name in statement.takes))
    for row in rows:
        tally.blame(row["id"], row["why"])
    if rows:
        tally.count += rows[0]["total"] - len(rows)
