"""Statements that list products on sale, a page at a time in each order, and count what they have.

A page goes on behind (place, id) of the last product shown, so that products that come
meanwhile neither hide nor repeat one. The statements are made by functions of schema/0004.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.contracts.values import Money

CANDIDATES = 240  # products weighed by a search: of those whose title fits, and of the others
FACET_NAMES = 50  # attributes that are counted, the most frequent first
FACET_VALUES = 100  # values that are counted of each
FACET_HITS = 500  # products of a search that are counted, the best first


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
    words: str | None = None  # of a search, folded
    search: str | None = None  # the same as domain.words.search_query writes it
    languages: tuple[str, str] = ("simple", "simple")  # dictionaries to read it with
    categories: Sequence[UUID] | None = None
    min_minor: int | None = None
    max_minor: int | None = None
    in_stock: bool | None = None
    attributes: Sequence[Sequence[Mapping[str, object]]] | None = None


class Asked(msgspec.Struct, frozen=True):
    """Facets to count, of what is wanted: of attributes `only` one, or all but `left_out`."""

    wanted: Wanted
    which: tuple[str, ...]
    only: str | None = None
    left_out: tuple[str, ...] = ()


def asked(wanted: Wanted) -> list[Asked]:
    """List what to count, so that each filter's own choices are counted without that filter."""
    priced = (wanted.min_minor, wanted.max_minor) != (None, None)
    without: dict[str, dict[str, None]] = {
        "category": {"categories": None} if wanted.categories is not None else {},
        "price": {"min_minor": None, "max_minor": None} if priced else {},
        "in_stock": {"in_stock": None} if wanted.in_stock is not None else {},
    }
    groups = wanted.attributes or ()
    names = tuple(next(iter(group[0])) for group in groups)
    free = tuple(facet for facet, fields in without.items() if not fields)
    found = [Asked(wanted, ("total", "attributes", *free), None, names)]
    for facet, fields in without.items():
        if fields:
            found.append(Asked(msgspec.structs.replace(wanted, **fields), (facet,)))
    for name, group in zip(names, groups, strict=True):
        others = [other for other in groups if other is not group] or None
        one = msgspec.structs.replace(wanted, attributes=others)
        found.append(Asked(one, ("attributes",), name))
    return found


class CategoryCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many products are in a category or below it."""

    id: UUID
    parent_id: UUID | None
    slug: str
    title: str
    count: int


class ValueCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many products have an attribute of this value."""

    value: str | int | bool
    count: int


class PriceRange(msgspec.Struct, frozen=True, kw_only=True):
    """The lowest and the highest price, in minor units; None where nothing has a price."""

    min_minor: int | None
    max_minor: int | None


class StockCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many products are there, and how many are not."""

    yes: int
    no: int


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the products that fit have what.

    The values of a filter are counted as if that filter were not set; `total` counts with all.
    `capped`: a search found more than 500; it is the best 500 that were counted.
    """

    total: int
    capped: bool
    category: list[CategoryCount]
    price: PriceRange
    in_stock: StockCount
    attributes: dict[str, list[ValueCount]]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Some facets, of so many products; None: of those that were not asked for.

    `category`: how many products are in the same categories, of the `tree` of this version.
    """

    tree: int
    total: int
    capped: bool
    category: list[tuple[list[str], int]] | None = None
    price: PriceRange | None = None
    in_stock: StockCount | None = None
    attributes: dict[str, list[ValueCount]] | None = None


Place = tuple[int | str, UUID]  # of the last product of the page before

LISTED = "select * from listed($1, $2, $3, $4, $5, $6)"


async def listed(
    tx: Tx, wanted: Wanted, sort: str, after: Place | None, most: int
) -> Sequence[Row]:
    """List products in an order: relevance, newest, price, -price or title."""
    place, product_id = after or (None, None)
    behind = None if place is None else str(place)
    return await tx.fetch(LISTED, wanted, sort, behind, product_id, most, CANDIDATES)


FACETS = "select count_facets($1, $2, $3, $4, $5, $6, $7)::text"


async def facets(tx: Tx, asked: Asked) -> Counted:
    """Count some facets of the products that fit."""
    found = await tx.fetchval(
        FACETS, asked.wanted, asked.which, asked.only, asked.left_out, FACET_NAMES, FACET_VALUES,
        FACET_HITS,
    )  # fmt: skip
    return msgspec.json.decode(found, type=Counted)


NEAR_WORDS = "select word from words where shortened && shortened($1) order by word limit $2"


async def near_words(tx: Tx, word: str, most: int) -> list[str]:
    """List words of titles that may be one stroke away: a letter more, less, other or exchanged."""
    return [row["word"] for row in await tx.fetch(NEAR_WORDS, word, most)]


LIKE_WORDS = "select word from like_words($1, $2)"


async def like_words(tx: Tx, word: str, most: int) -> list[str]:
    """List words of titles that are written like a word, the most like it first."""
    return [row["word"] for row in await tx.fetch(LIKE_WORDS, word, most)]


FINDS = "select finds($1)"


async def finds(tx: Tx, wanted: Wanted) -> bool:
    """Tell whether a search finds anything in any text, whatever else is wanted."""
    return bool(await tx.fetchval(FINDS, wanted))


def item(row: Row, currency: str) -> Item:
    """Make what is shown of a row."""
    least = row["from_minor"]
    price = None if least is None else Money(amount_minor=least, currency=currency)
    return Item(
        id=row["id"], slug=row["slug"], locale=row["locale"], title=row["title"],
        image=row["image"], price=price, in_stock=row["in_stock"],
    )  # fmt: skip
