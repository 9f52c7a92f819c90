"""Carts: a guest's is proven by its token (X-Cart-Token), a customer's by the account."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post

from merkato.chassis.db import Tx
from merkato.chassis.http import ANYONE, USER, IdempotencyKey, etag
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller, is_thing_token, thing_token
from merkato.contracts.problem import NotFound, StateConflict, UnknownProduct, Validation
from merkato.contracts.values import (
    Address,
    Contact,
    Currency,
    Locale,
    Metadata,
    Quantity,
    Sku,
)
from merkato.orders.actions import placing as actions
from merkato.orders.domain.offers import price_of
from merkato.orders.domain.placing import LINES_MAX
from merkato.orders.domain.terms import CannotBeSent
from merkato.orders.http.cart_views import CartView, HTTPRequest, mine, orderable, priced, show
from merkato.orders.http.desk import Desk
from merkato.orders.store import carts


class NewCart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /carts."""

    currency: Currency = "EUR"
    locale: Locale = "en"


class AddLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /carts/{id}/lines."""

    sku: Sku
    quantity: Quantity = 1


class SetLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PATCH /carts/{id}/lines/{line_id}."""

    quantity: Quantity


class SetCart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PATCH /carts/{id}: what is left out stays."""

    locale: Locale | msgspec.UnsetType = msgspec.UNSET
    contact: Contact | msgspec.UnsetType | None = msgspec.UNSET
    shipping_address: Address | msgspec.UnsetType | None = msgspec.UNSET
    billing_address: Address | msgspec.UnsetType | None = msgspec.UNSET
    shipping_method: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET


class Merge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /carts/{id}/merge: the guest's cart to pour in, and its token."""

    cart_id: UUID
    token: Annotated[str, msgspec.Meta(max_length=100)]


@post("/api/v1/carts", policy=ANYONE)
async def create_cart(
    data: NewCart, caller: Caller, desk: Desk, idempotency_key: IdempotencyKey = None
) -> Response[CartView]:
    """Begin a cart. A guest is given its token, to be sent as X-Cart-Token.

    Whoever has logged in may send a key: again with it, the cart of it as it is now.
    """
    key = parse_key(idempotency_key, required=False)
    new = carts.NewCart(new_id(), caller.user_id, data.currency, data.locale)
    cart_id = new.id
    if key is None or caller.kind == "anonymous":
        updated_at = await desk.new_cart(new)
    else:

        async def work(tx: Tx) -> Answer:
            return answer(201, (await carts.insert(tx, [new])).popitem())

        done = await once(desk.db, (caller.principal, "POST /carts", key), data, work)
        cart_id, updated_at = msgspec.json.decode(done.body, type=tuple[UUID, datetime])
    token = None if caller.user_id else thing_token(desk.settings.token_secret, cart_id)
    if cart_id != new.id:
        cart = await desk.cart(cart_id)
        if cart is None:
            raise NotFound("The cart of this key was thrown away.")
        return await show(cart, desk, status=201, token=token, replayed=True)
    view = CartView(
        id=cart_id, status="open", version=1, currency=data.currency, locale=data.locale, lines=[],
        totals=None, contact=None, shipping_address=None, billing_address=None,
        shipping_method=None, metadata={}, updated_at=updated_at, token=token,
    )  # fmt: skip
    headers = {"Location": f"/api/v1/carts/{cart_id}", "ETag": etag(1)}
    return Response(view, status_code=201, headers=headers)


@get("/api/v1/carts/current", policy=USER)
async def current_cart(caller: Caller, desk: Desk) -> Response[CartView]:
    """Show the customer's open cart that was used last. 404 when there is none."""
    assert caller.user_id is not None
    async with desk.db.reading() as tx:
        cart_id = await carts.newest_of(tx, caller.user_id)
        cart = await carts.cart(tx, cart_id) if cart_id else None
    if cart is None:
        raise NotFound("There is no open cart.")
    return await show(cart, desk)


@get("/api/v1/carts/{cart_id:uuid}", policy=ANYONE)
async def get_cart(
    cart_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Show a cart at today's prices."""
    return await show(await mine(cart_id, request, caller, desk), desk)


@patch("/api/v1/carts/{cart_id:uuid}", policy=ANYONE)
async def set_cart(
    cart_id: UUID, data: SetCart, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Set contact, addresses, shipping method. 409 state-conflict once ordered or changed."""
    cart = await mine(cart_id, request, caller, desk)
    given = {
        name: getattr(data, name)
        for name in data.__struct_fields__
        if getattr(data, name) is not msgspec.UNSET
    }
    new = msgspec.structs.replace(cart, **given)
    if new.shipping_method is not None and new.shipping_method != cart.shipping_method:
        method = (await desk.terms()).method(new.shipping_method)
        if method.archived:
            raise CannotBeSent.at("/shipping_method", f"{method.id} is not offered any more.")
    if not await desk.set_cart(new):
        raise StateConflict("This cart was ordered, or changed just now; read it again.")
    now = datetime.now(UTC)
    return await show(msgspec.structs.replace(new, version=cart.version + 1, updated_at=now), desk)


@delete("/api/v1/carts/{cart_id:uuid}", policy=ANYONE, status_code=204)
async def delete_cart(cart_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk) -> None:
    """Throw an open cart away."""
    cart = await mine(cart_id, request, caller, desk)
    if cart.status != "open":
        raise StateConflict("This cart was ordered or merged.")
    async with desk.db.reading() as tx:
        await carts.delete(tx, cart_id)


@post("/api/v1/carts/{cart_id:uuid}/lines", policy=ANYONE)
async def add_line(
    cart_id: UUID,
    data: AddLine,
    request: HTTPRequest,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[CartView]:
    """Add pieces of a sku; the same sku adds up. 422 unknown-product, 409 once ordered.

    With a key they are added once: again with it, the cart as it is now.
    """
    cart = await mine(cart_id, request, caller, desk)
    key = parse_key(idempotency_key, required=False)
    new = carts.NewLine(cart_id, new_id(), data.sku, data.quantity)
    after = cart.with_line(new)
    known = await desk.offers([line.sku for line in after.lines])
    offer = known.get(data.sku)
    quoted = await priced(after, desk, known) if offer else None

    def check() -> None:
        if len(after.lines) > LINES_MAX:
            raise Validation.at("/sku", f"A cart has at most {LINES_MAX} lines.")
        if (
            not (offer and quoted)
            or price_of(offer, cart.currency, data.quantity, cart.price_list) is None
        ):
            raise UnknownProduct(f"We do not sell {data.sku} in {cart.currency}.", skus=[data.sku])
        if any(line.quantity > 1_000_000 for line in after.lines):
            raise Validation.at("/quantity", "At most 1,000,000 pieces of a sku.")
        if quoted.refusal:
            raise quoted.refusal

    async def work(tx: Tx) -> Answer:
        check()
        return _added((await carts.add_lines(tx, [new])).get(cart_id))

    if key is None:
        check()
        done = _added(await desk.add_line(new))
    else:
        principal = caller.principal if caller.kind == "user" else f"cart:{cart_id}"
        scope = (principal, f"POST /carts/{cart_id}/lines", key)
        done = await once(desk.db, scope, data, work)
    if not done.replayed and msgspec.json.decode(done.body) == after.version:
        return await show(after, desk, quoted, status=201)
    changed = await mine(cart_id, request, caller, desk)
    return await show(changed, desk, status=201, replayed=done.replayed)


def _added(version: int | None) -> Answer:
    if version is None:
        raise StateConflict("This cart was ordered or merged.")
    return answer(201, version)


@patch("/api/v1/carts/{cart_id:uuid}/lines/{line_id:uuid}", policy=ANYONE)
async def set_line(
    cart_id: UUID, line_id: UUID, data: SetLine, request: HTTPRequest, caller: Caller,
    desk: Desk,
) -> Response[CartView]:  # fmt: skip
    """Set how many pieces a line has. 422 where the cart could not be ordered so."""
    cart = await mine(cart_id, request, caller, desk)
    known = await desk.offers([line.sku for line in cart.lines])
    await orderable(cart.with_quantity(line_id, data.quantity), desk, known)
    async with desk.db.reading() as tx:
        if not await carts.set_line(tx, cart_id, line_id, data.quantity):
            raise NotFound("There is no such line in an open cart.")
        after = await carts.cart(tx, cart_id)
    assert after is not None
    return await show(after, desk)


@delete("/api/v1/carts/{cart_id:uuid}/lines/{line_id:uuid}", policy=ANYONE, status_code=200)
async def drop_line(
    cart_id: UUID, line_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Take a line out. Harmless to repeat."""
    await mine(cart_id, request, caller, desk)
    async with desk.db.reading() as tx:
        await carts.drop_line(tx, cart_id, line_id)
        after = await carts.cart(tx, cart_id)
    assert after is not None
    return await show(after, desk)


@post("/api/v1/carts/{cart_id:uuid}/merge", policy=USER, status_code=200)
async def merge_cart(
    cart_id: UUID, data: Merge, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[CartView]:
    """Pour a guest's cart into mine, after logging in. Harmless to repeat."""
    target = await mine(cart_id, request, caller, desk)
    if target.customer_id is None:
        raise NotFound("There is no such cart.")
    if not is_thing_token(desk.settings.token_secret, data.cart_id, data.token):
        raise NotFound("There is no such guest cart.")
    async with desk.db.transaction() as tx:
        other = await carts.cart(tx, data.cart_id)
        if other is None or other.customer_id is not None or other.id == cart_id:
            raise NotFound("There is no such guest cart.")
        if other.currency != target.currency:
            raise Validation.at("/cart_id", f"That cart is in {other.currency}.")
        await actions.merge_carts(tx, data.cart_id, cart_id)
        after = await carts.cart(tx, cart_id)
    assert after is not None
    return await show(after, desk)


ROUTES = (
    create_cart, current_cart, get_cart, set_cart, delete_cart, add_line, set_line, drop_line,
    merge_cart,
)  # fmt: skip
