"""The list of products: search, filters, and an order to read it in."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.params import Parameter

from merkato.catalog.domain.words import language, search_query
from merkato.catalog.http.pages import CurrencyParam, LocaleParam, Shop
from merkato.catalog.http.products import PRODUCTS
from merkato.catalog.store import categories
from merkato.catalog.store import listing as store
from merkato.catalog.store.listing import Item, Place, Wanted
from merkato.chassis.db import Database
from merkato.chassis.http import ANYONE, Cursor, Limit, Page, decode_cursor, encode_cursor
from merkato.contracts.problem import Validation
from merkato.contracts.values import AMOUNT_MAX

Sort = Literal["relevance", "newest", "price", "-price", "title"]
SORTS = {
    "relevance": store.by_relevance,
    "newest": store.by_newest,
    "price": store.by_price,
    "-price": store.by_price_falling,
    "title": store.by_title,
}
KNOWN = {
    *("q", "category", "min_price", "max_price", "in_stock", "sort", "locale", "currency"),
    *("limit", "cursor"),
}
ATTRIBUTE = "attr."
ATTRIBUTES_MAX = 10  # filters by attribute in one request
Amount = Annotated[int | None, Parameter(ge=0, le=AMOUNT_MAX)]  # minor units of the currency


class ByNumber(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor says in an order by a number."""

    sort: str
    position: Annotated[int, msgspec.Meta(ge=-1, le=2**52)]
    id: UUID


class ByTitle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor says in the order of titles."""

    sort: str
    position: Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*\Z")]
    id: UUID


@get(PRODUCTS, policy=ANYONE)
async def list_products(
    request: Request[Any, Any, Any], db: Database, shop: Shop,
    q: Annotated[str | None, Parameter(max_length=200)] = None,
    category: Annotated[str | None, Parameter(max_length=100)] = None,
    min_price: Amount = None, max_price: Amount = None, in_stock: bool | None = None,
    sort: Sort | None = None, locale: LocaleParam = None, currency: CurrencyParam = None,
    limit: Limit = 20, cursor: Cursor = None,
) -> Page[Item]:  # fmt: skip
    """List products on sale. `attr.<name>=<value>` filters by an attribute, several times if given.

    A category includes those below it. Prices are in minor units of `currency`. Without `sort` a
    search is read by relevance, anything else newest first.
    """
    chosen = sort or ("relevance" if q else "newest")
    attributes = _attributes(request.query_params.multi_items())
    place = _place(cursor, chosen)
    search = None if q is None else search_query(q)
    if search == "":
        return Page(items=[])
    languages = language(locale or shop.default_locale), language(shop.default_locale)
    async with db.reading() as tx:
        wanted = Wanted(
            locales=shop.locales(locale), currency=shop.currency(currency), search=search,
            languages=languages, min_minor=min_price, max_minor=max_price, in_stock=in_stock,
            attributes=attributes, limit=limit + 1,
        )  # fmt: skip
        if category is not None:
            category_id = await categories.find(tx, category, wanted.locales)
            below = await categories.subtree(tx, category_id) if category_id else []
            if not below:
                raise Validation.at("/category", "There is no such category.")
            wanted = msgspec.structs.replace(wanted, categories=below)
        rows = await SORTS[chosen](tx, wanted, place)
    items = [store.item(row, wanted.currency) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=items,
        next_cursor=last and encode_cursor(chosen, last["position"], last["id"]),
    )


def _place(cursor: str | None, sort: Sort) -> Place | None:
    """Read where the page before ended. Raises Validation for a cursor of another order."""
    place: ByTitle | ByNumber | None = (
        decode_cursor(cursor, ByTitle) if sort == "title" else decode_cursor(cursor, ByNumber)
    )
    if place is None:
        return None
    if place.sort != sort:
        raise Validation.at("/cursor", "Not a cursor of this list.")
    return place.position, place.id


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
