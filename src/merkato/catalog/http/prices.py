"""Routes of prices of many skus: those in force, and setting them at once."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from merkato.catalog.actions import prices as actions
from merkato.catalog.domain.price_lists import STANDARD
from merkato.catalog.domain.prices import SetPrice
from merkato.catalog.domain.words import Body
from merkato.catalog.http.pages import CurrencyParam, LocaleParam, Shop
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import records as store
from merkato.catalog.store.records import PriceInForce
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.values import PLAIN_NAME

PRICES = "/api/v1/prices"
ListName = Annotated[str, Parameter(pattern=PLAIN_NAME)]
Products = Annotated[list[UUID] | None, Parameter(query="product", max_items=100)]


class SetPrices(Body, frozen=True, kw_only=True):
    """Prices, each of its own sku, list, currency and quantity."""

    items: Annotated[tuple[SetPrice, ...], msgspec.Meta(min_length=1, max_length=1_000)]


class PricesSet(msgspec.Struct, frozen=True):
    """How many prices are others now."""

    changed: int


@get(PRICES, policy=MAY_WRITE)
async def list_prices(
    db: Database, shop: Shop, product: Products = None, price_list: ListName = STANDARD,
    currency: CurrencyParam = None, locale: LocaleParam = None,
    limit: Limit = 20, cursor: Cursor = None,
) -> Page[PriceInForce]:  # fmt: skip
    """List the prices in force of a list in a currency, by sku; of up to 100 products if named."""
    which = (price_list, shop.currency(currency))
    after = decode_cursor(cursor, tuple[str, int])
    async with db.reading() as tx:
        found = await store.prices(tx, which, shop.locales(locale), product, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    more = encode_cursor(last.sku.lower(), last.from_quantity) if last else None
    return Page(items=found[:limit], next_cursor=more)


@post(PRICES, policy=MAY_WRITE, status_code=200, answers=PricesSet)
async def set_prices(
    data: SetPrices, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Set prices of up to 1,000 skus at once, all or none; other prices of theirs stay.

    A repeat changes nothing. 422 unknown-product names skus that are not there; 409 the sku whose
    price is not the one that was expected, when one was.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        changed = await actions.set_prices(tx, data.items)
        if changed:
            about = {"changed": changed, "skus": sorted({item.sku for item in data.items})}
            note(tx, caller, "catalog.prices_set", f"prices:{len(data.items)}", after=about)
        return answer(200, PricesSet(changed))

    return respond(await once(db, (caller.principal, f"POST {PRICES}", key), data, work))


ROUTES = (list_prices, set_prices)
