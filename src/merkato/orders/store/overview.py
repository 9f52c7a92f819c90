"""Statements of the overview: how the shop goes, counted now."""

from datetime import datetime

from merkato.chassis.db import Row, Tx

# $1: since when; $2: since when orders that wait are looked for.
COUNTS = """
select (select count(*) from orders where placed_at >= $1) as orders, begun.*, waiting.*
  from (select count(*) as carts, count(*) filter (where c.status = 'ordered') as carts_ordered
          from carts c
         where c.created_at >= $1
           and (c.status = 'ordered'
                or c.status = 'open' and exists (select from cart_lines l where l.cart_id = c.id)))
         begun,
       (select count(*) filter (where status = 'placed') as unpaid,
               count(*) filter (where status = 'confirmed'
                                  and fulfilment_status in ('unfulfilled', 'partial')) as to_ship
          from orders where placed_at >= $2) waiting
"""


async def counts(tx: Tx, since: datetime, waiting_since: datetime) -> Row:
    """Count orders and carts of a time, and orders that wait."""
    row = await tx.fetchrow(COUNTS, since, waiting_since)
    assert row is not None  # a count always gives a row
    return row


HOURLY = """
select greatest(h, $1) as hour, count(o.id) as orders
  from generate_series(date_trunc('hour', $1::timestamptz), $2::timestamptz, '1 hour') h
  left join orders o on o.placed_at >= greatest(h, $1) and o.placed_at < h + interval '1 hour'
 group by h order by h
"""


async def hourly(tx: Tx, since: datetime, now: datetime) -> list[Row]:
    """Count orders by the hour in which they were placed, oldest first, empty hours too.

    The first begins at `since`.
    """
    return await tx.fetch(HOURLY, since, now)


TOP = """
select l.sku, max(l.title) as title, o.currency,
       sum(l.quantity - l.cancelled - l.returned)::bigint as units,
       sum(l.gross_minor - l.credited_minor)::bigint as sales_minor
  from orders o join order_lines l on l.order_id = o.id
 where o.placed_at >= $1 and o.status = 'confirmed'
 group by l.sku, o.currency having sum(l.gross_minor - l.credited_minor) > 0
 order by sales_minor desc, l.sku limit $2
"""


async def top(tx: Tx, since: datetime, most: int) -> list[Row]:
    """List the goods that sold for most, less what was given back, by sku and currency."""
    return await tx.fetch(TOP, since, most)
