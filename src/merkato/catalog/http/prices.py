"""The route by which programs set prices of many skus at once."""

from typing import Annotated

import msgspec
from litestar import Response, post

from merkato.catalog.actions import prices as actions
from merkato.catalog.domain.prices import SetPrice
from merkato.catalog.domain.words import Body
from merkato.catalog.http.products import MAY_WRITE
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import IdempotencyKey, respond
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note

PRICES = "/api/v1/prices"


class SetPrices(Body, frozen=True, kw_only=True):
    """Prices, each of its own sku, list, currency and quantity."""

    items: Annotated[tuple[SetPrice, ...], msgspec.Meta(min_length=1, max_length=1_000)]


class PricesSet(msgspec.Struct, frozen=True):
    """How many prices are others now."""

    changed: int


@post(PRICES, policy=MAY_WRITE, status_code=200, answers=PricesSet)
async def set_prices(
    data: SetPrices, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Set prices of up to 1,000 skus at once, all or none; other prices of theirs stay.

    A repeat changes nothing. 422 unknown-product names skus that are not there.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        changed = await actions.set_prices(tx, data.items)
        if changed:
            about = {"changed": changed, "skus": sorted({item.sku for item in data.items})}
            note(tx, caller, "catalog.prices_set", f"prices:{len(data.items)}", after=about)
        return answer(200, PricesSet(changed))

    return respond(await once(db, (caller.principal, f"POST {PRICES}", key), data, work))


ROUTES = (set_prices,)
