"""Routes by which staff look through all products, drafts among them, and change many at once."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, patch
from litestar.params import Parameter

from merkato.catalog.actions import bulk as actions
from merkato.catalog.domain.bulk import ManyChange
from merkato.catalog.domain.products import Status
from merkato.catalog.domain.words import words
from merkato.catalog.http.pages import CurrencyParam, LocaleParam, Shop
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import categories
from merkato.catalog.store import records as store
from merkato.catalog.store.records import ProductRecord, Sought
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
from merkato.contracts.problem import Validation

RECORDS = "/api/v1/product-records"
Skus = Annotated[list[str] | None, Parameter(query="sku", max_items=100)]


class Changed(msgspec.Struct, frozen=True):
    """How many products are others now."""

    changed: int


@get(RECORDS, policy=MAY_WRITE)
async def list_records(
    db: Database, shop: Shop,
    q: Annotated[str | None, Parameter(max_length=200)] = None,
    status: Status | None = None,
    category: Annotated[str | None, Parameter(max_length=100)] = None,
    sku: Skus = None,
    sort: Literal["changed", "title"] = "changed",
    locale: LocaleParam = None, currency: CurrencyParam = None,
    limit: Limit = 20, cursor: Cursor = None,
) -> Page[ProductRecord]:  # fmt: skip
    """List products as they are kept, drafts and archived ones among them.

    `q` is a part of a title in any language, or of a sku; `sku`, up to 100 times, a whole one. A
    category includes those below it. What was changed last comes first, unless sorted by title.
    """
    locales = shop.locales(locale)
    sought = Sought(
        locales=locales, currency=shop.currency(currency), status=status,
        text=None if q is None else " ".join(words(q)) or "\x01",  # no letter: no title has it
        sku=None if q is None else q.strip().lower(),
        skus=None if sku is None else [one.lower() for one in sku],
    )  # fmt: skip
    async with db.reading() as tx:
        if category is not None:
            category_id = await categories.find(tx, category, locales)
            below = await categories.subtree(tx, category_id) if category_id else []
            if not below:
                raise Validation.at("/category", "There is no such category.")
            sought = msgspec.structs.replace(sought, categories=below)
        return await _page(tx, sought, sort, limit, cursor)


async def _page(
    tx: Tx, sought: Sought, sort: str, limit: int, cursor: str | None
) -> Page[ProductRecord]:
    rows: list[tuple[ProductRecord, str | datetime]]
    if sort == "title":
        titled = decode_cursor(cursor, tuple[str, UUID])
        rows = [*await store.by_title(tx, sought, titled, limit + 1)]
    else:
        changed = decode_cursor(cursor, tuple[datetime, UUID])
        rows = [*await store.by_change(tx, sought, changed, limit + 1)]
    more = None
    if len(rows) > limit:
        last, place = rows[limit - 1]
        more = encode_cursor(place, last.id)
    return Page(items=[record for record, _ in rows[:limit]], next_cursor=more)


@patch(RECORDS, policy=MAY_WRITE, answers=Changed)
async def change_many(
    data: ManyChange, caller: Caller, db: Database, shop: Shop,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:  # fmt: skip
    """Set the status of up to 1,000 products, or put them into categories, all or none.

    A repeat changes nothing. 409 names a product that cannot be changed so.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        changed = await actions.change_many(tx, caller, data, shop.default_locale)
        return answer(200, Changed(changed))

    return respond(await once(db, (caller.principal, f"PATCH {RECORDS}", key), data, work))


ROUTES = (list_records, change_many)
