"""The list of products: search, filters, and an order to read it in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.params import Parameter

from merkato.catalog.domain.words import (
    corrected_query,
    distance,
    language,
    search_query,
    search_words,
)
from merkato.catalog.http.counts import Counts
from merkato.catalog.http.pages import CurrencyParam, LocaleParam, Shop
from merkato.catalog.http.products import PRODUCTS
from merkato.catalog.store import categories
from merkato.catalog.store import listing as store
from merkato.catalog.store.listing import Facets, Item, Wanted
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import ANYONE, Cursor, Limit, Page, decode_cursor, encode_cursor
from merkato.contracts.problem import Validation
from merkato.contracts.values import AMOUNT_MAX

Sort = Literal["relevance", "newest", "price", "-price", "title"]
KNOWN = {
    *("q", "category", "min_price", "max_price", "in_stock", "sort", "locale", "currency"),
    *("facets", "limit", "cursor"),
}
ATTRIBUTE = "attr."
ATTRIBUTES_MAX = 10  # filters by attribute in one request
LIKE_MAX = 20  # words looked at instead of one that nobody uses
NEAR_MAX = 100  # the same, of those that may be one stroke away
Amount = Annotated[int | None, Parameter(ge=0, le=AMOUNT_MAX)]  # minor units of the currency


class ByNumber(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor says in an order by a number."""

    sort: str
    position: Annotated[int, msgspec.Meta(ge=-1, le=2**52)]
    id: UUID
    corrected: bool = False  # the search was


class ByTitle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor says in the order of titles."""

    sort: str
    position: Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*\Z")]
    id: UUID
    corrected: bool = False  # the search was


class ProductPage(Page[Item], frozen=True, kw_only=True):
    """A page of products; `facets` when asked for, `corrected` when the search had mistakes."""

    corrected: str | None = None  # what was searched for instead
    facets: Facets | None = None


@get(PRODUCTS, policy=ANYONE)
async def list_products(
    request: Request[Any, Any, Any], db: Database, shop: Shop, counts: Counts,
    q: Annotated[str | None, Parameter(max_length=200)] = None,
    category: Annotated[str | None, Parameter(max_length=100)] = None,
    min_price: Amount = None, max_price: Amount = None, in_stock: bool | None = None,
    sort: Sort | None = None, locale: LocaleParam = None, currency: CurrencyParam = None,
    facets: bool = False, limit: Limit = 20, cursor: Cursor = None,
) -> ProductPage:  # fmt: skip
    """List products on sale. `attr.<name>=<value>` filters by an attribute, several times if given.

    A category includes those below it. Prices are in minor units of `currency`. Without `sort` a
    search is read by relevance, anything else newest first. With `facets` the answer counts what
    the products that fit have. A search that finds nothing is tried with its mistakes corrected.
    """
    chosen = sort or ("relevance" if q else "newest")
    attributes = _attributes(request.query_params.multi_items())
    after = _place(cursor, chosen)
    asked = None if q is None else search_words(q)
    if asked == []:
        return ProductPage(items=[])
    wanted = Wanted(
        locales=shop.locales(locale), currency=shop.currency(currency),
        words=" ".join(asked) if asked else None, search=search_query(asked) if asked else None,
        languages=(language(locale or shop.default_locale), language(shop.default_locale)),
        min_minor=min_price, max_minor=max_price, in_stock=in_stock, attributes=attributes,
    )  # fmt: skip
    place = None if after is None else (after.position, after.id)
    corrected = None
    async with db.reading() as tx:
        if category is not None:
            category_id = await categories.find(tx, category, wanted.locales)
            below = await categories.subtree(tx, category_id) if category_id else []
            if not below:
                raise Validation.at("/category", "There is no such category.")
            wanted = msgspec.structs.replace(wanted, categories=below)
        rows: Sequence[Any] = []
        if after is None or not after.corrected:
            rows = await store.listed(tx, wanted, chosen, place, limit + 1)
        if asked and not rows and (after is None or after.corrected):
            corrected = await _corrected(tx, asked, wanted)
        if corrected is not None:
            wanted = corrected
            rows = await store.listed(tx, wanted, chosen, place, limit + 1)
    items = [store.item(row, wanted.currency) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return ProductPage(
        items=items,
        next_cursor=last and _cursor(chosen, last, corrected=corrected is not None),
        corrected=corrected.words if corrected else None,
        facets=await counts(wanted) if facets else None,
    )  # fmt: skip


async def _corrected(tx: Tx, asked: Sequence[str], wanted: Wanted) -> Wanted | None:
    """Write a search with its mistakes corrected; None when it has none that we can correct."""
    like = {}
    for word in dict.fromkeys(asked):
        alone = msgspec.structs.replace(wanted, search=search_query([word]))
        if not await store.finds(tx, alone):
            like[word] = await store.near_words(tx, word, NEAR_MAX)
            if not any(distance(word, other) == 1 for other in like[word]):
                like[word] = await store.like_words(tx, word, LIKE_MAX)
    query, meant = corrected_query(asked, like)
    if meant == " ".join(asked):
        return None
    return msgspec.structs.replace(wanted, search=query, words=meant)


def _cursor(sort: Sort, last: Any, *, corrected: bool) -> str:
    position = last["place"] if sort == "title" else int(last["place"])
    return encode_cursor(sort, position, last["id"], *([True] if corrected else []))


def _place(cursor: str | None, sort: Sort) -> ByTitle | ByNumber | None:
    """Read where the page before ended. Raises Validation for a cursor of another order."""
    place: ByTitle | ByNumber | None = (
        decode_cursor(cursor, ByTitle) if sort == "title" else decode_cursor(cursor, ByNumber)
    )
    if place is not None and place.sort != sort:
        raise Validation.at("/cursor", "Not a cursor of this list.")
    return place


def _attributes(
    parameters: Iterable[tuple[str, Any]],
) -> list[list[Mapping[str, object]]] | None:
    """Read filters by attribute. Raises Validation for a parameter that nobody knows."""
    found: dict[str, list[Mapping[str, object]]] = {}
    for name, value in parameters:
        attribute = name.removeprefix(ATTRIBUTE)
        if name in KNOWN:
            continue
        if attribute in (name, ""):
            raise Validation.at(f"/{name}", "There is no such parameter.")
        found.setdefault(attribute, []).extend({attribute: typed} for typed in _typed(str(value)))
    if len(found) > ATTRIBUTES_MAX:
        raise Validation("Too many filters by attribute.")
    return list(found.values()) or None


def _typed(value: str) -> list[str | int | bool]:
    """List what the text of a value may stand for."""
    meant: list[str | int | bool] = [value]
    if value.lstrip("-").isdecimal() and value.isascii() and len(value) <= 16:
        meant.append(int(value))
    if value in ("true", "false"):
        meant.append(value == "true")
    return meant


ROUTES = (list_products,)
