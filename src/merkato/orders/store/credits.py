"""Statements about credits: their callers' names of them, and lists."""

from datetime import datetime
from uuid import UUID

from merkato.chassis.db import Row, Tx

CLAIM = "select pg_advisory_xact_lock(hashtextextended('credit ' || $1, 0))"


async def claim(tx: Tx, reference: str) -> bool:
    """Keep others from giving this name until the end; False when a credit has it already."""
    await tx.execute(CLAIM, reference)
    return not await _is_given(tx, reference)


IS_GIVEN = "select exists (select from credits where reference = $1)"


async def _is_given(tx: Tx, reference: str) -> bool:
    found: bool = await tx.fetchval(IS_GIVEN, reference)
    return found


NAME = """
update credits set reference = $2, reference_time = $3
 where id = (select id from credits where order_id = $1 and created_at >= now()
              order by id desc limit 1)
"""


async def name(tx: Tx, order_id: UUID, reference: str | None, at: datetime | None) -> bool:
    """Name the credit that this transaction gave; False when it gave none."""
    return await tx.execute(NAME, order_id, reference, at) == 1


LIST = """
select c.id, c.order_id, o.number, o.currency, c.kind, c.amount_minor, c.return_id, c.reason,
       c.reference, c.reference_time, c.created_at
  from credits c join orders o on o.id = c.order_id
 where ($1::uuid is null or c.order_id = $1) and ($2::text is null or c.kind = $2)
   and ($3::text is null or c.reference = $3)
   and ($4::text is null or starts_with(c.reference, $4))
   and ($5::timestamptz is null or c.created_at >= $5)
   and ($6::timestamptz is null or (c.created_at, c.id) < ($6, $7::uuid))
 order by c.created_at desc, c.id desc limit $8
"""


async def list_credits(
    tx: Tx, order_id: UUID | None, kind: str | None, reference: str | None,
    reference_prefix: str | None, since: datetime | None, before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row]:  # fmt: skip
    """List credits of all orders, newest first."""
    at, id = before or (None, None)
    return await tx.fetch(LIST, order_id, kind, reference, reference_prefix, since, at, id, limit)
