"""Statements that list products as they are kept, and prices as they are in force, for staff."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import Status
from merkato.chassis.db import Row, Tx
from merkato.contracts.values import Money


class RecordVariant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of a product in a list for staff."""

    sku: str
    options: dict[str, str]


class ProductRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it is kept, in a list for staff."""

    id: UUID
    status: Status
    version: int
    slug: str
    locale: str
    title: str
    image: str | None
    price: Money | None  # the lowest of its variants; None: not for sale in this currency
    in_stock: str  # yes | few | no
    changed_at: datetime
    variants: list[RecordVariant]  # living ones


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What a list for staff shall show; None: any."""

    locales: Sequence[str]
    currency: str
    status: str | None = None
    categories: Sequence[UUID] | None = None
    text: str | None = None  # folded, part of a title
    sku: str | None = None  # in small letters, part of a sku
    skus: Sequence[str] | None = None  # in small letters, whole


# The text of the best locale; products of the shop's own locale always have one.
RECORDS = """
select p.id, p.status, p.version, t.slug, t.locale, t.title, p.image, p.in_stock, p.changed_at,
       (p.offers ->> $2)::bigint as from_minor, t.sort_title,
       coalesce((select jsonb_agg(jsonb_build_object('sku', v.sku, 'options', v.options)
                                  order by v.position, v.sku)
                   from variants v where v.product_id = p.id and not v.archived), '[]') as variants
  from products p
  join lateral (select t.locale, t.title, t.slug, t.sort_title from product_texts t
                 where t.product_id = p.id and t.locale = any($1::text[])
                 order by array_position($1::text[], t.locale) limit 1) t on true
 where ($3::text is null or p.status = $3)
   and ($4::uuid[] is null or exists (
           select from product_categories c where c.product_id = p.id and c.category_id = any($4)))
   and ($5::text is null
        or exists (select from product_texts x where x.product_id = p.id
                    and strpos(x.sort_title, $5) > 0)
        or exists (select from variants v where v.product_id = p.id
                    and strpos(lower(v.sku), $6) > 0))
   and ($7::text[] is null or exists (
           select from variants v where v.product_id = p.id and lower(v.sku) = any($7)))
   and case when $8 then $9::text is null or (t.sort_title, p.id) > ($9 collate "C", $11::uuid)
            else $10::timestamptz is null or (p.changed_at, p.id) < ($10, $11::uuid) end
 order by case when $8 then t.sort_title end, case when $8 then p.id end,
          case when not $8 then p.changed_at end desc, case when not $8 then p.id end desc
 limit $12
"""


async def by_title(
    tx: Tx, sought: Sought, after: tuple[str, UUID] | None, most: int
) -> list[tuple[ProductRecord, str]]:
    """List products in the order of their titles, each with its place in it."""
    title, product_id = after or (None, None)
    rows = await _records(tx, sought, (True, title, None, product_id, most))
    return [(_record(row, sought.currency), row["sort_title"]) for row in rows]


async def by_change(
    tx: Tx, sought: Sought, after: tuple[datetime, UUID] | None, most: int
) -> list[tuple[ProductRecord, datetime]]:
    """List products, what was changed last first, each with its place."""
    changed_at, product_id = after or (None, None)
    rows = await _records(tx, sought, (False, None, changed_at, product_id, most))
    return [(_record(row, sought.currency), row["changed_at"]) for row in rows]


async def _records(tx: Tx, sought: Sought, place: tuple[Any, ...]) -> Sequence[Row]:
    return await tx.fetch(RECORDS, *_given(sought), *place)


def _given(sought: Sought) -> tuple[Any, ...]:
    return (
        list(sought.locales), sought.currency, sought.status, sought.categories, sought.text,
        sought.sku, sought.skus,
    )  # fmt: skip


def _record(row: Row, currency: str) -> ProductRecord:
    fields = {name: row[name] for name in ProductRecord.__struct_fields__ if name != "price"}
    least = row["from_minor"]
    price = None if least is None else Money(amount_minor=least, currency=currency)
    return msgspec.convert({**fields, "price": price}, ProductRecord)


class PriceInForce(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece of a sku costs now, from `from_quantity` pieces on, on one list."""

    sku: str
    product_id: UUID
    title: str
    options: dict[str, str]
    price_list: str
    currency: str
    from_quantity: int
    amount_minor: int
    tax_included: bool


# As they were said last: within seconds of what is in force.
PRICES = """
select v.sku, v.product_id, t.title, v.options, f.price_list, f.currency, f.from_quantity,
       f.amount_minor, f.tax_included
  from variants v
  join lateral jsonb_to_recordset(v.prices) as f(price_list text, currency text,
               from_quantity int, amount_minor bigint, tax_included bool)
       on f.price_list = $1 and f.currency = $2
  join lateral (select t.title from product_texts t
                 where t.product_id = v.product_id and t.locale = any($3::text[])
                 order by array_position($3::text[], t.locale) limit 1) t on true
 where not v.archived and ($4::uuid[] is null or v.product_id = any($4))
   and ($5::text is null or (lower(v.sku), f.from_quantity) > ($5, $6::int))
 order by lower(v.sku), f.from_quantity limit $7
"""


async def prices(
    tx: Tx, which: tuple[str, str], locales: Sequence[str], products: Sequence[UUID] | None,
    after: tuple[str, int] | None, most: int,
) -> list[PriceInForce]:  # fmt: skip
    """List prices of a list in a currency (`which`), by sku; of some products only if named."""
    rows = await tx.fetch(
        PRICES, *which, list(locales), products, *(after or (None, None)), most
    )  # fmt: skip
    return [msgspec.convert(dict(row), PriceInForce) for row in rows]
