"""Carts as their customers see them: whose they are, and what they cost at the moment."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response

from merkato.chassis.http import etag
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound
from merkato.contracts.values import Address, Contact
from merkato.orders.domain.offers import Offer, title
from merkato.orders.domain.placing import tax_country
from merkato.orders.domain.pricing import Asked, Item, PricedLine, Quote, quote
from merkato.orders.http.desk import Desk
from merkato.orders.http.placing import owns
from merkato.orders.store import carts

HTTPRequest = Request[Any, Any, Any]


class CartLineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a cart; without a price it cannot be bought at the moment."""

    line_id: UUID
    sku: str
    quantity: int
    title: str
    options: dict[str, str]
    image: str | None
    unit_price_minor: int | None
    total_minor: int | None
    discount_minor: int = 0


class CartTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What it would cost; tax and shipping as far as the address is known."""

    items_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    grand_minor: int


class CartCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """The coupon of a cart; `reason` says why it counts for nothing at the moment, if so."""

    code: str
    applied: bool
    reason: str | None = None


class CartView(msgspec.Struct, frozen=True, kw_only=True):
    """A cart. `token` is shown once, to the guest who made it.

    `totals` is null for an empty new cart, and where lines cannot be ordered in one: no line has a
    price then, and `refusal` says why.
    """

    id: UUID
    status: str
    version: int
    currency: str
    locale: str
    lines: list[CartLineView]
    totals: CartTotals | None
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    shipping_method: str | None
    metadata: dict[str, str]
    updated_at: datetime
    coupon: CartCoupon | None = None
    refusal: str | None = None
    token: str | None = None


async def mine(cart_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk) -> carts.Cart:
    """Read a cart of the caller's. Raises NotFound, also for somebody else's."""
    cart = await desk.cart(cart_id)
    token = request.headers.get("x-cart-token")
    if cart is None or not owns(cart, caller, token, desk.settings.token_secret):
        raise NotFound("There is no such cart.")
    return cart


async def show(
    cart: carts.Cart,
    desk: Desk,
    quoted: Quote | None = None,
    *,
    status: int = 200,
    token: str | None = None,
    replayed: bool = False,
) -> Response[CartView]:
    """Show a cart at today's prices; `quoted` is what it was just priced at."""
    known = await desk.offers([line.sku for line in cart.lines])
    quoted = quoted or await priced(cart, desk, known)
    totals = quoted.priced
    lines = {line.offer.sku: line for line in totals.lines}
    view = CartView(
        id=cart.id,
        status=cart.status,
        version=cart.version,
        currency=cart.currency,
        locale=cart.locale,
        lines=[_line(cart, line, known[line.sku], lines.get(line.sku)) for line in cart.lines],
        totals=None
        if quoted.refusal
        else CartTotals(
            items_minor=totals.items_minor,
            discount_minor=totals.discount_minor,
            shipping_minor=totals.shipping.gross_minor,
            tax_minor=totals.tax_minor,
            grand_minor=totals.grand_minor,
        ),
        contact=cart.contact,
        shipping_address=cart.shipping_address,
        billing_address=cart.billing_address,
        shipping_method=cart.shipping_method,
        metadata=cart.metadata,
        updated_at=cart.updated_at,
        coupon=_coupon(cart, quoted),
        refusal=quoted.refusal.detail if quoted.refusal else None,
        token=token,
    )
    headers = {"ETag": etag(cart.version)} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(view, status_code=status, headers=headers)


async def priced(cart: carts.Cart, desk: Desk, known: dict[str, Offer]) -> Quote:
    """Price what of a cart can be bought at the moment, as placing it would."""
    asked = Asked(
        items=tuple(Item(offer=known[line.sku], quantity=line.quantity) for line in cart.lines),
        currency=cart.currency,
        locale=cart.locale,
        country=tax_country(cart.shipping_address, cart.billing_address),
        price_list=cart.price_list,
        shipping_method=cart.shipping_method,
        coupon=await desk.coupon(cart.coupon) if cart.coupon else None,
    )
    return quote(asked, await desk.terms(), datetime.now(UTC))


async def orderable(cart: carts.Cart, desk: Desk, known: dict[str, Offer]) -> Quote:
    """Price a cart before it is written. Raises Validation where it cannot be ordered in one."""
    quoted = await priced(cart, desk, known)
    if quoted.refusal:
        raise quoted.refusal
    return quoted


def _line(
    cart: carts.Cart, line: carts.CartLine, offer: Offer, priced: PricedLine | None
) -> CartLineView:
    unit = priced.unit_price_minor if priced else None
    return CartLineView(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        title=title(offer.titles, cart.locale) or line.sku,
        options=dict(offer.options),
        image=offer.image,
        unit_price_minor=unit,
        total_minor=None if unit is None else unit * line.quantity,
        discount_minor=priced.discount_minor if priced else 0,
    )


def _coupon(cart: carts.Cart, quoted: Quote) -> CartCoupon | None:
    if cart.coupon is None:
        return None
    applied = quoted.priced.coupon is not None
    return CartCoupon(code=cart.coupon, applied=applied, reason=quoted.coupon_refusal)
