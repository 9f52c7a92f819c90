"""Statements of reports: what was sold and given back, from orders' own rows.

An order counts at its `reference_time`, or where it has none when it was placed, once it was
confirmed; a credit at its own. Both stay what they were whatever becomes of catalogue or customer.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.contracts.catalog import ProductArchived, ProductChanged, ProductPublished

ProductNews = ProductPublished | ProductChanged | ProductArchived


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is asked to sum up."""

    by: str  # day | month | country | currency | product | sku | category
    zone: str  # in whose days and months
    first: date
    last: date  # this day is in it
    reference_prefix: str | None = None


# $1: by what; $2: time zone; $3, $4: first and last day; $5: beginning of references, or null;
# $6, $7: key and currency to go on behind, or null; $8: the most rows.
BY_ORDER = """
with sold as (
    select case $1::text when 'day' then to_char(at, 'YYYY-MM-DD')
                         when 'month' then to_char(at, 'YYYY-MM')
                         when 'country' then coalesce(country, '') else currency end as key,
           currency, count(*) as orders, sum(units) as units,
           sum(grand_minor - shipping_minor) as items_minor, sum(shipping_minor) as shipping_minor,
           sum(tax_minor) as tax_minor
      from (select coalesce(o.reference_time, o.placed_at) at time zone $2::text as at, o.country,
                   o.currency, o.grand_minor, o.shipping_minor, o.tax_minor,
                   (select sum(quantity) from order_lines l where l.order_id = o.id) as units
              from orders o
             where coalesce(o.reference_time, o.placed_at) >= $3::date::timestamp at time zone $2
               and coalesce(o.reference_time, o.placed_at)
                   < ($4::date + 1)::timestamp at time zone $2
               and ($5::text is null or starts_with(o.reference, $5))
               and (o.status = 'confirmed'
                    or exists (select from timeline t
                                where t.order_id = o.id and t.to_status = 'confirmed'))) o
     group by 1, 2),
given as (
    select case $1 when 'day' then to_char(at, 'YYYY-MM-DD')
                   when 'month' then to_char(at, 'YYYY-MM')
                   when 'country' then coalesce(country, '') else currency end as key, currency,
           sum(amount_minor) filter (where kind = 'cancellation') as cancelled_minor,
           sum(amount_minor) filter (where kind = 'return') as returned_minor,
           sum(amount_minor) filter (where kind = 'goodwill') as goodwill_minor
      from (select coalesce(c.reference_time, c.created_at) at time zone $2 as at, o.country,
                   o.currency, c.kind, c.amount_minor
              from credits c join orders o on o.id = c.order_id
             where coalesce(c.reference_time, c.created_at) >= $3::date::timestamp at time zone $2
               and coalesce(c.reference_time, c.created_at)
                   < ($4::date + 1)::timestamp at time zone $2
               and ($5 is null or starts_with(o.reference, $5))) c
     group by 1, 2)
select key, null as label, currency, coalesce(orders, 0) as orders,
       coalesce(units, 0)::bigint as units,
       coalesce(items_minor, 0)::bigint as items_minor,
       coalesce(shipping_minor, 0)::bigint as shipping_minor,
       coalesce(tax_minor, 0)::bigint as tax_minor,
       coalesce(cancelled_minor, 0)::bigint as cancelled_minor,
       coalesce(returned_minor, 0)::bigint as returned_minor,
       coalesce(goodwill_minor, 0)::bigint as goodwill_minor
  from sold full join given using (key, currency)
 where $6::text is null or (key, currency) > ($6, $7::text)
 order by key, currency limit $8
"""


async def by_order(tx: Tx, query: Query, after: tuple[str, str] | None, most: int) -> list[Row]:
    """Sum by day, month, country or currency."""
    return await tx.fetch(BY_ORDER, *_arguments(query, after, most))


BY_LINE = """
with keys as materialized (
    select sku, sku as key from offers where $1::text = 'sku'
     union all
    select f.sku, coalesce(p.product_id::text, f.sku)
      from offers f left join products_of_skus p using (sku) where $1 = 'product'
     union all
    select f.sku, coalesce(c, '')
      from offers f left join products_of_skus p using (sku) 
      left join jsonb_array_elements_text(p.categories) c on true
     where $1 = 'category'),
sold as (
    select k.key, o.currency, max(l.title) as label, count(distinct o.id) as orders,
           sum(l.quantity) as units, sum(l.gross_minor) as items_minor,
           sum(l.tax_minor) as tax_minor
      from orders o join order_lines l on l.order_id = o.id join keys k on k.sku = l.sku
     where coalesce(o.reference_time, o.placed_at) >= $3::date::timestamp at time zone $2::text
       and coalesce(o.reference_time, o.placed_at) < ($4::date + 1)::timestamp at time zone $2
       and ($5::text is null or starts_with(o.reference, $5))
       and (o.status = 'confirmed'
            or exists (select from timeline t
                        where t.order_id = o.id and t.to_status = 'confirmed'))
     group by 1, 2),
given as (
    select k.key, o.currency, max(l.title) as label,
           sum(p.gross_minor) filter (where c.kind = 'cancellation') as cancelled_minor,
           sum(p.gross_minor) filter (where c.kind = 'return') as returned_minor,
           sum(p.gross_minor) filter (where c.kind = 'goodwill') as goodwill_minor
      from credits c join orders o on o.id = c.order_id
      join credit_lines p on p.credit_id = c.id
      join order_lines l on l.order_id = c.order_id and l.line_no = p.line_no
      join keys k on k.sku = l.sku
     where coalesce(c.reference_time, c.created_at) >= $3::date::timestamp at time zone $2
       and coalesce(c.reference_time, c.created_at) < ($4::date + 1)::timestamp at time zone $2
       and ($5 is null or starts_with(o.reference, $5))
     group by 1, 2)
select key, case when $1 <> 'category' then coalesce(sold.label, given.label) end as label,
       currency, coalesce(orders, 0) as orders, coalesce(units, 0)::bigint as units,
       coalesce(items_minor, 0)::bigint as items_minor, 0::bigint as shipping_minor,
       coalesce(tax_minor, 0)::bigint as tax_minor,
       coalesce(cancelled_minor, 0)::bigint as cancelled_minor,
       coalesce(returned_minor, 0)::bigint as returned_minor,
       coalesce(goodwill_minor, 0)::bigint as goodwill_minor
  from sold full join given using (key, currency)
 where $6::text is null or (key, currency) > ($6, $7::text)
 order by key, currency limit $8
"""


async def by_line(tx: Tx, query: Query, after: tuple[str, str] | None, most: int) -> list[Row]:
    """Sum by product, sku or category; the shipping is not in it."""
    return await tx.fetch(BY_LINE, *_arguments(query, after, most))


def _arguments(query: Query, after: tuple[str, str] | None, most: int) -> tuple[Any, ...]:
    key, currency = after or (None, None)
    return (
        query.by, query.zone, query.first, query.last, query.reference_prefix, key, currency, most,
    )  # fmt: skip


TODAY = """
select (clock_timestamp() at time zone name)::date from pg_timezone_names where name = $1
"""


async def today(tx: Tx, zone: str) -> date | None:
    """Give the day it is in a time zone; None for one that the database does not know."""
    found: date | None = await tx.fetchval(TODAY, zone)
    return found


KEEP_PRODUCTS = """
insert into products_of_skus as p (sku, product_id, version, categories)
select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::jsonb[])
    on conflict (sku) do update
   set product_id = excluded.product_id, version = excluded.version,
       categories = excluded.categories
 where p.product_id <> excluded.product_id or p.version < excluded.version
"""


async def keep_products(tx: Tx, events: Sequence[ProductNews]) -> None:
    """Keep which product and which categories each sku is of, unless we know something newer."""
    newest: dict[str, ProductNews] = {}
    for event in events:
        for sku in event.skus:
            if sku not in newest or newest[sku].version <= event.version:
                newest[sku] = event
    skus = sorted(newest)
    await tx.execute(
        KEEP_PRODUCTS, skus, [newest[sku].product_id for sku in skus],
        [newest[sku].version for sku in skus], [newest[sku].categories for sku in skus],
    )  # fmt: skip
