"""Routes of variants and their prices, for staff."""

from uuid import UUID

import msgspec
from litestar import Response, delete, put

from merkato.catalog.actions import products as actions
from merkato.catalog.domain.pages import ProductKept
from merkato.catalog.domain.products import PriceRows, VariantBody
from merkato.catalog.domain.words import Body
from merkato.catalog.http.pages import Shop, page_response
from merkato.catalog.http.products import MAY_WRITE, PRODUCTS, staff_page
from merkato.chassis.db import Database
from merkato.chassis.http import IfMatch, expected_version
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.contracts.values import Sku

VARIANT = f"{PRODUCTS}/{{product_id:uuid}}/variants/{{sku:str}}"


class PutPrices(Body, frozen=True, kw_only=True):
    """All prices of a sku; one without prices is not for sale."""

    prices: PriceRows


@put(VARIANT, policy=MAY_WRITE, also=(201,), answers=ProductKept)
async def put_variant(
    product_id: UUID, sku: str, data: VariantBody, caller: Caller, db: Database, shop: Shop,
    if_match: IfMatch = None,
) -> Response[bytes]:  # fmt: skip
    """Make a variant (201) or replace it (200, needs If-Match with the ETag of the product)."""
    expected = None if if_match is None else expected_version(if_match)
    async with db.transaction() as tx:
        new = await actions.put_variant(tx, caller, product_id, parse_sku(sku), data, expected)
        response = page_response(await staff_page(tx, product_id, shop))
    response.status_code = 201 if new else 200
    return response


@delete(VARIANT, policy=MAY_WRITE)
async def archive_variant(
    product_id: UUID, sku: str, caller: Caller, db: Database, if_match: IfMatch = None
) -> None:
    """Stop selling a variant; its sku stays taken. Needs If-Match with the product's ETag."""
    async with db.transaction() as tx:
        await actions.archive_variant(tx, caller, product_id, sku, expected_version(if_match))


@put("/api/v1/variants/{sku:str}/prices", policy=MAY_WRITE, answers=ProductKept)
async def put_prices(
    sku: str, data: PutPrices, caller: Caller, db: Database, shop: Shop, if_match: IfMatch = None
) -> Response[bytes]:
    """Replace all prices of a sku; gives its product, whose ETag If-Match has to name."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        product_id = await actions.put_prices(tx, caller, sku, data.prices, expected)
        return page_response(await staff_page(tx, product_id, shop))


def parse_sku(sku: str) -> str:
    """Read a sku from a path. Raises Validation."""
    try:
        return msgspec.convert(sku, Sku)
    except msgspec.ValidationError as error:
        raise Validation.at("/sku", "A sku is 1 to 64 visible ASCII characters.") from error


ROUTES = (put_variant, archive_variant, put_prices)
