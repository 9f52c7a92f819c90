"""Routes of price lists, for staff. Prices themselves are routes of variants."""

from litestar import Response, delete, get, patch, post

from merkato.catalog.actions import price_lists as actions
from merkato.catalog.domain.price_lists import NewPriceList, PriceList, PriceListPatch
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import price_lists as store
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import IdempotencyKey, IfMatch, Page, etag, expected_version, respond
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller

PRICE_LISTS = "/api/v1/price-lists"
PRICE_LIST = f"{PRICE_LISTS}/{{name:str}}"


@get(PRICE_LISTS, policy=MAY_WRITE)
async def list_price_lists(db: Database) -> Page[PriceList]:
    """List all price lists by name; there are at most a hundred. `version` is the ETag."""
    async with db.reading() as tx:
        return Page(items=await store.every(tx))


@post(PRICE_LISTS, policy=MAY_WRITE, answers=PriceList)
async def create_price_list(
    data: NewPriceList, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Make a price list: its prices all include tax, or none does. 409 when its name is taken."""

    async def work(tx: Tx) -> Answer:
        made = await actions.create(tx, caller, data)
        place = f"{PRICE_LISTS}/{made.name}"
        return answer(201, made, etag=etag(made.version), location=place)

    key = parse_key(idempotency_key, required=False)
    return respond(await once(db, (caller.principal, f"POST {PRICE_LISTS}", key), data, work))


@patch(PRICE_LIST, policy=MAY_WRITE, answers=PriceList)
async def change_price_list(
    name: str, data: PriceListPatch, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[bytes]:
    """Change a list's title, or whether its prices include tax. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        changed = await actions.change(tx, caller, name, data, expected)
    return respond(answer(200, changed, etag=etag(changed.version)))


@delete(PRICE_LIST, policy=MAY_WRITE)
async def remove_price_list(
    name: str, caller: Caller, db: Database, if_match: IfMatch = None
) -> None:
    """Remove a list; 409 while prices are on it, and for `standard`. Needs If-Match."""
    async with db.transaction() as tx:
        await actions.remove(tx, caller, name, expected_version(if_match))


ROUTES = (list_price_lists, create_price_list, change_price_list, remove_price_list)
