"""Coupons: staff make them, customers put one on their cart."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from litestar import Response, delete, get, put

from merkato.chassis.db import Database
from merkato.chassis.http import (
    ANYONE,
    Cursor,
    IfMatch,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    etag,
    expected_version,
    moment,
    staff,
)
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound, StateConflict
from merkato.orders.actions import coupons as actions
from merkato.orders.domain import coupons as rules
from merkato.orders.domain.coupons import Coupon, CouponBody
from merkato.orders.http.cart_views import CartView, HTTPRequest, mine, priced, show
from merkato.orders.http.desk import Desk
from merkato.orders.store import carts
from merkato.orders.store import coupons as store

COUPONS = "/api/v1/coupons"
COUPON = f"{COUPONS}/{{code:str}}"
ON_CART = "/api/v1/carts/{cart_id:uuid}/coupons/{code:str}"
DISCOUNT = staff("orders:discount")


class CouponUse(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has a coupon: held until it is confirmed, then used; freed if cancelled."""

    order_id: UUID
    number: str
    customer_id: UUID | None
    state: str
    at: datetime


@get(COUPONS, policy=DISCOUNT)
async def list_coupons(
    db: Database, archived: bool = False, limit: Limit = 20, cursor: Cursor = None
) -> Page[Coupon]:
    """List coupons by code, with `archived` also those that are out of use."""
    after = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.reading() as tx:
        found = await store.list_coupons(tx, after[0], archived, limit + 1)
    more = encode_cursor(found[limit - 1].code) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=more)


@get(COUPON, policy=DISCOUNT)
async def get_coupon(code: str, db: Database) -> Response[Coupon]:
    """Show a coupon and how often it is used."""
    async with db.reading() as tx:
        found = (await store.coupons(tx, [_code(code)])).get(_code(code))
    if found is None:
        raise NotFound("There is no such coupon.")
    return _answer(found, 200)


@get(f"{COUPON}/uses", policy=DISCOUNT)
async def list_uses(
    code: str, db: Database, limit: Limit = 20, cursor: Cursor = None
) -> Page[CouponUse]:
    """List the orders that have or had a coupon, by what happened last."""
    before = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        rows = await store.uses(tx, _code(code), before, limit + 1)
    items = [msgspec.convert(dict(row), CouponUse) for row in rows[:limit]]
    more = encode_cursor(items[-1].at, items[-1].order_id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


@put(COUPON, policy=DISCOUNT, also=(201,))
async def put_coupon(
    code: str, data: CouponBody, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[Coupon]:
    """Make a coupon (201) or replace it (200, needs If-Match); an archived one is back.

    Codes are kept in capitals. 409 state-conflict for a limit below what was used already.
    """
    expected = None if if_match is None else expected_version(if_match)
    body = msgspec.structs.replace(
        data,
        valid_from=moment("valid_from", data.valid_from),
        valid_until=moment("valid_until", data.valid_until),
    )
    async with db.transaction() as tx:
        before, after = await actions.put(tx, caller, rules.canonical(code), body, expected)
    return _answer(after, 201 if before is None else 200)


@delete(COUPON, policy=DISCOUNT, status_code=204)
async def archive_coupon(code: str, caller: Caller, db: Database, if_match: IfMatch = None) -> None:
    """Take a coupon out of use; orders keep theirs. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.archive(tx, caller, _code(code), expected)


def _code(code: str) -> str:
    try:
        return rules.canonical(code)
    except rules.CouponInvalid as error:
        raise NotFound("There is no such coupon.") from error


def _answer(coupon: Coupon, status: int) -> Response[Coupon]:
    return Response(coupon, status_code=status, headers={"ETag": etag(coupon.version)})


@put(ON_CART, policy=ANYONE, status_code=200)
async def put_on_cart(
    cart_id: UUID, code: str, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Put a coupon on a cart, instead of the one it had. Nothing is held before the order.

    422 coupon-invalid, 409 coupon-exhausted, both with a `reason`; harmless to repeat.
    """
    cart = await mine(cart_id, request, caller, desk)
    code = rules.canonical(code)
    coupon = await desk.coupon(code)
    if coupon is None:
        raise rules.unknown(code)
    uses = {}
    if cart.customer_id is not None:
        async with desk.db.reading() as tx:
            uses = await store.of_customers(tx, [(code, f"user:{cart.customer_id}")])
    refusal = rules.exhausted(coupon, coupon.uses, sum(uses.values()))
    if refusal is not None:
        raise refusal
    known = await desk.offers([line.sku for line in cart.lines])
    totals = (await priced(msgspec.structs.replace(cart, coupon=None), desk, known)).priced
    rules.check(coupon, cart.currency, totals.items_minor, datetime.now(UTC))
    return await _set(cart_id, code, desk)


@delete(ON_CART, policy=ANYONE, status_code=200)
async def take_off_cart(
    cart_id: UUID, code: str, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Take a coupon off a cart. Harmless to repeat."""
    cart = await mine(cart_id, request, caller, desk)
    if cart.coupon != _code(code):
        return await show(cart, desk)
    return await _set(cart_id, None, desk)


async def _set(cart_id: UUID, code: str | None, desk: Desk) -> Response[CartView]:
    async with desk.db.reading() as tx:
        if not await carts.set_coupon(tx, cart_id, code):
            raise StateConflict("This cart was ordered or merged.")
    after = await desk.cart(cart_id)
    assert after is not None
    return await show(after, desk)


ROUTES = (
    list_coupons, get_coupon, list_uses, put_coupon, archive_coupon, put_on_cart, take_off_cart,
)  # fmt: skip
