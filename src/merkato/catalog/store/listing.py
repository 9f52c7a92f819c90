"""Statements that list products on sale, a page at a time in each order.

A page goes on behind (position, id) of the last product shown, so that products that come
meanwhile neither hide nor repeat one.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.contracts.values import Money


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A product in a list."""

    id: UUID
    slug: str
    locale: str
    title: str
    image: str | None
    price: Money | None  # the lowest of its variants; None: not for sale in this currency
    in_stock: str  # yes | few | no


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shall show; None: any."""

    locales: Sequence[str]
    currency: str
    search: str | None = None  # as domain.words.search_query writes it
    languages: tuple[str, str] = ("simple", "simple")  # dictionaries to read it with
    categories: Sequence[UUID] | None = None
    min_minor: int | None = None
    max_minor: int | None = None
    in_stock: bool | None = None
    attributes: Sequence[Sequence[Mapping[str, object]]] | None = None
    limit: int


Place = tuple[int | str, UUID]  # of the last product of the page before


RELEVANCE = """
select *, m.rank as position
  from matching($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) m
 where $11::bigint is null or (m.rank, m.id) < ($11, $12::uuid)
 order by m.rank desc, m.id desc limit $13
"""


async def by_relevance(tx: Tx, wanted: Wanted, after: Place | None) -> list[Row]:
    """List the best matches first."""
    return await tx.fetch(RELEVANCE, *_values(wanted, after))


NEWEST = """
select *, (extract(epoch from m.published_at) * 1000000)::bigint as position
  from matching($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) m
 where $11::bigint is null or (m.published_at, m.id) < (
       'epoch'::timestamptz + $11 * interval '1 microsecond', $12::uuid)
 order by m.published_at desc, m.id desc limit $13
"""


async def by_newest(tx: Tx, wanted: Wanted, after: Place | None) -> list[Row]:
    """List what became active last first."""
    return await tx.fetch(NEWEST, *_values(wanted, after))


CHEAPEST = """
select *, coalesce(m.from_minor, 4503599627370496) as position
  from matching($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) m
 where $11::bigint is null
    or (coalesce(m.from_minor, 4503599627370496), m.id) > ($11, $12::uuid)
 order by coalesce(m.from_minor, 4503599627370496), m.id limit $13
"""


async def by_price(tx: Tx, wanted: Wanted, after: Place | None) -> list[Row]:
    """List the cheapest first, those without a price last."""
    return await tx.fetch(CHEAPEST, *_values(wanted, after))


DEAREST = """
select *, coalesce(m.from_minor, -1) as position
  from matching($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) m
 where $11::bigint is null or (coalesce(m.from_minor, -1), m.id) < ($11, $12::uuid)
 order by coalesce(m.from_minor, -1) desc, m.id desc limit $13
"""


async def by_price_falling(tx: Tx, wanted: Wanted, after: Place | None) -> list[Row]:
    """List the dearest first, those without a price last."""
    return await tx.fetch(DEAREST, *_values(wanted, after))


TITLES = """
select *, m.sort_title as position
  from matching($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) m
 where $11::text is null or (m.sort_title, m.id) > ($11 collate "C", $12::uuid)
 order by m.sort_title, m.id limit $13
"""


async def by_title(tx: Tx, wanted: Wanted, after: Place | None) -> list[Row]:
    """List by title, without regard to case and accents."""
    return await tx.fetch(TITLES, *_values(wanted, after))


def _values(wanted: Wanted, after: Place | None) -> tuple[object, ...]:
    position, product_id = after or (None, None)
    return (
        list(wanted.locales), wanted.search, *wanted.languages, wanted.categories,
        wanted.currency, wanted.min_minor, wanted.max_minor, wanted.in_stock,
        wanted.attributes, position, product_id, wanted.limit,
    )  # fmt: skip


def item(row: Row, currency: str) -> Item:
    """Make what is shown of a row."""
    least = row["from_minor"]
    price = None if least is None else Money(amount_minor=least, currency=currency)
    return Item(
        id=row["id"], slug=row["slug"], locale=row["locale"], title=row["title"],
        image=row["image"], price=price, in_stock=row["in_stock"],
    )  # fmt: skip
