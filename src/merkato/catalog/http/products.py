"""Routes of products: their pages, and what staff change about them."""

from uuid import UUID

from litestar import Response, delete, get, patch, post

from merkato.catalog.actions import products as actions
from merkato.catalog.domain.pages import ProductKept, ProductShown
from merkato.catalog.domain.products import NewProduct, ProductPatch
from merkato.catalog.http.pages import CurrencyParam, LocaleParam, Pages, Shop, page_response
from merkato.catalog.store import pages as store
from merkato.catalog.store.pages import Page
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    ANYONE,
    IdempotencyKey,
    IfMatch,
    etag,
    expected_version,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Gone, NotFound

WRITE = "catalog:write"
PRODUCTS = "/api/v1/products"
MAY_WRITE = staff(WRITE)


@get(
    f"{PRODUCTS}/{{product_id:str}}", policy=ANYONE, also=(301,), answers=ProductShown | ProductKept
)
async def read_product(
    product_id: str, caller: Caller, db: Database, shop: Shop, pages: Pages,
    locale: LocaleParam = None, currency: CurrencyParam = None,
) -> Response[bytes]:  # fmt: skip
    """Give a product by id or slug. Staff see drafts and more of each.

    A former slug answers 301 with the address of now; an archived product 410.
    """
    locales, money = shop.locales(locale), shop.currency(currency)
    if caller.may(WRITE):
        async with db.reading() as tx:
            page = await store.staff(tx, product_id, locales, money)
        if page is not None:
            return page_response(page)
    page = await pages(product_id, locales, money)
    if page is None or page.status == "draft":
        raise NotFound("There is no such product.")
    if page.status == "archived":
        raise Gone("This product is not sold any more.")
    if page.moved:
        return Response(b"", status_code=301, headers={"Location": f"{PRODUCTS}/{page.slug}"})
    return page_response(page)


@post(PRODUCTS, policy=MAY_WRITE, answers=ProductKept)
async def create_product(
    data: NewProduct, caller: Caller, db: Database, shop: Shop,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:  # fmt: skip
    """Make a product, with variants and prices if given. 409 when a slug or a sku is taken."""
    product_id = new_id()

    async def work(tx: Tx) -> Answer:
        await actions.create(tx, caller, product_id, data, shop.default_locale)
        page = await staff_page(tx, product_id, shop)
        headers = {"ETag": etag(page.version), "Location": f"{PRODUCTS}/{product_id}"}
        return Answer(201, page.body.encode(), headers)

    key = parse_key(idempotency_key, required=False)
    return respond(await once(db, (caller.principal, f"POST {PRODUCTS}", key), data, work))


@patch(f"{PRODUCTS}/{{product_id:uuid}}", policy=MAY_WRITE, answers=ProductKept)
async def change_product(
    product_id: UUID,
    data: ProductPatch,
    caller: Caller,
    db: Database,
    shop: Shop,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """Change what is given; each part is replaced as a whole. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.change(tx, caller, product_id, data, expected, shop.default_locale)
        return page_response(await staff_page(tx, product_id, shop))


@delete(f"{PRODUCTS}/{{product_id:uuid}}", policy=MAY_WRITE)
async def archive_product(
    product_id: UUID, caller: Caller, db: Database, shop: Shop, if_match: IfMatch = None
) -> None:
    """Archive a product: orders go on knowing it, its slugs are free. Needs If-Match."""
    async with db.transaction() as tx:
        await actions.archive(
            tx, caller, product_id, expected_version(if_match), shop.default_locale
        )


async def staff_page(tx: Tx, product_id: UUID, shop: Shop) -> Page:
    """Read a product as staff see it after a change."""
    locales, money = shop.locales(None), shop.currency(None)
    page = await store.staff(tx, str(product_id), locales, money)
    if page is None:
        raise NotFound("There is no such product.")
    return page


ROUTES = (read_product, create_product, change_product, archive_product)
