"""Statements about returns."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from merkato.chassis.db import Row, Tx

ADD = """
with made as (
    insert into returns (id, order_id, status, note, actor, requested_at)
    values ($1, $2, 'requested', $3, $4, $5))
insert into return_lines (return_id, line_no, quantity, reason)
select $1, * from unnest($6::int[], $7::int[], $8::text[])
"""


async def add(
    tx: Tx, return_id: UUID, order_id: UUID, note: str | None, actor: str, now: datetime,
    lines: Sequence[tuple[int, int, str]],
) -> None:  # fmt: skip
    """Write a return that was asked for; `lines`: line, pieces, reason."""
    columns = (list(column) for column in zip(*lines, strict=True))
    await tx.execute(ADD, return_id, order_id, note, actor, now, *columns)


ORDER_OF = "select order_id from returns where id = $1"


async def order_of(tx: Tx, return_id: UUID) -> UUID | None:
    """Say to which order a return belongs; that never changes."""
    found: UUID | None = await tx.fetchval(ORDER_OF, return_id)
    return found


FIND = """
select r.status, array_agg(l.line_no order by l.line_no) as line_nos,
       array_agg(l.quantity order by l.line_no) as quantities
  from returns r join return_lines l on l.return_id = r.id where r.id = $1 group by r.id
"""


async def find(tx: Tx, return_id: UUID) -> Row | None:
    """Read a return; for a decision its order must be locked."""
    return await tx.fetchrow(FIND, return_id)


DECIDE = """
update returns set status = $2, rejection = $3, decided_at = $4 where id = $1
"""


async def decide(
    tx: Tx, return_id: UUID, status: str, rejection: str | None, now: datetime
) -> None:
    """Note that a return arrived, or was refused."""
    await tx.execute(DECIDE, return_id, status, rejection, now)


RECEIVED = """
update return_lines r set received = n.received, restocked = n.restocked
  from unnest($2::int[], $3::int[], $4::int[]) n(line_no, received, restocked)
 where r.return_id = $1 and r.line_no = n.line_no
"""


async def received(tx: Tx, return_id: UUID, lines: Sequence[tuple[int, int, int]]) -> None:
    """Note what arrived of a return: line, pieces, pieces that can be sold again."""
    columns = (list(column) for column in zip(*lines, strict=True))
    await tx.execute(RECEIVED, return_id, *columns)


VIEWS = """
select r.id, r.order_id, o.number, o.customer_id, r.status, r.note, r.rejection, r.requested_at,
       r.decided_at, c.id as credit_id, coalesce(c.amount_minor, 0) as credited_minor, o.currency,
       (select json_agg(json_build_object(
                'line_no', line_no, 'sku', g.sku, 'title', g.title, 'quantity', l.quantity,
                'reason', l.reason, 'received', l.received, 'restocked', l.restocked)
                order by line_no)
          from return_lines l join order_lines g using (line_no)
         where l.return_id = r.id and g.order_id = r.order_id) as lines
  from returns r join orders o on o.id = r.order_id left join credits c on c.return_id = r.id
 where ($1::uuid is null or r.id = $1) and ($2::uuid is null or r.order_id = $2)
   and ($3::text is null or r.status = $3) and ($4::uuid is null or o.customer_id = $4)
   and ($5::timestamptz is null or r.requested_at >= $5)
   and ($6::timestamptz is null or (r.requested_at, r.id) < ($6, $7::uuid))
 order by r.requested_at desc, r.id desc limit $8
"""


async def views(
    tx: Tx,
    *,
    return_id: UUID | None = None,
    order_id: UUID | None = None,
    status: str | None = None,
    customer_id: UUID | None = None,
    since: datetime | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 1,
) -> list[Row]:
    """List returns with their lines, newest first, as far as they meet every filter given."""
    at, id = before or (None, None)
    return await tx.fetch(VIEWS, return_id, order_id, status, customer_id, since, at, id, limit)
