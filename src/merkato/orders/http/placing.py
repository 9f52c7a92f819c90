"""POST /orders: from a cart or lines to a placed order, once per Idempotency-Key.

Order of work (docs/protocols.md, 1): the cart, read once with its version; a stored answer; the
price, from our own copy, before any stock is touched; the hold; one transaction for all the rest,
where the key's uniqueness decides. A definite refusal gives back a hold that this very call took.
"""

import asyncio
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, post

from merkato.chassis.ask import Asks
from merkato.chassis.db import Row, house_is_down
from merkato.chassis.failpoints import reach
from merkato.chassis.http import ANYONE, IdempotencyKey, moment
from merkato.chassis.idempotency import fingerprint, parse_key
from merkato.chassis.ids import derived_id
from merkato.chassis.tokens import Caller, is_thing_token, thing_token
from merkato.config import Orders
from merkato.contracts.inventory import Reserve, StockLine
from merkato.contracts.problem import (
    DependencyUnavailable,
    Forbidden,
    KeyReused,
    NotFound,
    Overloaded,
    Problem,
    RateLimited,
    StateConflict,
    Unauthenticated,
    UnknownProduct,
    Validation,
)
from merkato.orders.actions import placing as actions
from merkato.orders.domain import coupons
from merkato.orders.domain import placing as rules
from merkato.orders.domain.coupons import Coupon
from merkato.orders.domain.offers import Offer
from merkato.orders.domain.pricing import Asked, Item, Priced, price
from merkato.orders.domain.terms import Terms
from merkato.orders.http import views
from merkato.orders.http.desk import Desk
from merkato.orders.store import carts
from merkato.orders.store.placing import NewOrder, Wish

log = structlog.get_logger()

PRICES_MAX = 3  # times a request is priced before its customer is asked again
NUMBERS_MAX = 5  # tries for a number nobody has
EXAMPLE = {  # for the documents
    "cart_id": "0198c2f0-5a52-7c3e-9d2b-3f1a6f0c8e11",
    "cart_version": 3,
    "contact": {"email": "ada@merkato.example", "name": "Ada Lund"},
    "shipping_address": {
        "name": "Ada Lund", "lines": ["1 Quay Street"], "city": "Bremen", "postal_code": "28195",
        "country": "DE",
    },
    "shipping_method": "standard",
    "payment": {"method": "on_account"},
}  # fmt: skip


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known."""

    data: rules.PlaceOrder
    key: str
    principal: str
    customer_id: UUID | None
    cart: carts.Cart | None
    fingerprint: bytes
    reference_time: datetime | None
    placed_by: Caller | None  # whoever may do more than a customer, if that was asked for


@post("/api/v1/orders", policy=ANYONE, status_code=202, example=EXAMPLE)
async def place_order(
    request: Request[Any, Any, Any],
    data: rules.PlaceOrder,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[views.OrderView]:
    """Place an order from a cart, or from lines for a customer who has logged in.

    With scopes: for another customer, under a reference of the caller's (orders:place-for), at
    prices agreed on (orders:agree-prices).
    202 with the order; again with the same key: the same order, `Idempotent-Replayed: true`.
    409 price-changed, cart-changed, out-of-stock, state-conflict; 422 unknown-product, validation,
    idempotency-key-reused.
    """
    key = parse_key(idempotency_key, required=True)
    assert key is not None
    guest_token = request.headers.get("x-cart-token")
    asked = await _identify(data, key, caller, desk, guest_token)
    known = await desk.known(Wish(asked.principal, key, asked.customer_id))
    if known.existing is not None:
        return await _replay(desk, asked, known.existing)
    basket = _basket(asked, known.price_list)
    wanted = rules.pieces(basket.goods)
    for _ in range(PRICES_MAX):
        coupon = await _coupon(desk, basket)
        priced = _price(basket, await desk.offers(tuple(wanted)), await desk.terms(), coupon)
        rules.check_basket(basket, priced)
        rules.check_total(priced, data.expected_total)
        _check_cart(asked)
        answer = await _place(desk, asked, basket, wanted, priced)
        if answer is not None:
            return answer
        desk.forget(wanted)
    raise rules.PriceChanged("Prices change just now; ask for the total again.")


async def _identify(
    data: rules.PlaceOrder, key: str, caller: Caller, desk: Desk, guest_token: str | None
) -> _Request:
    """Say for whom this is.

    Raises Unauthenticated, Forbidden without a scope, NotFound for somebody else's cart.
    """
    if (data.cart_id is None) == (data.lines is None):
        raise Validation.at("/cart_id", "Send either cart_id or lines.")
    scopes = data.scopes
    if scopes:
        _check_scopes(data, scopes, caller)
    cart = None
    if data.cart_id is not None:
        if caller.kind != "user" and guest_token is None:
            raise Unauthenticated("Log in, or send the cart's token as X-Cart-Token.")
        cart = await desk.cart(data.cart_id)
        if cart is None or not owns(cart, caller, guest_token, desk.settings.token_secret):
            raise NotFound("There is no such cart.")
    elif caller.kind == "anonymous":
        raise Unauthenticated("Guests order from their cart; log in to order lines.")
    elif caller.kind != "user" and not data.for_another:
        raise Validation.at("/customer_id", "Say for whom it is; null for a guest.")
    if cart is not None and caller.kind != "user":
        principal = f"cart:{data.cart_id}"
    else:
        principal = caller.principal
    customer_id = caller.user_id if data.customer_id is msgspec.UNSET else data.customer_id
    return _Request(
        data=data, key=key, principal=principal, customer_id=customer_id, cart=cart,
        fingerprint=fingerprint(data),
        reference_time=moment("reference_time", data.reference_time or None),
        placed_by=caller if scopes else None,
    )  # fmt: skip


def owns(cart: carts.Cart, caller: Caller, token: str | None, secret: str) -> bool:
    """Tell whether a cart is the caller's: by account, or a guest's by its token."""
    if cart.customer_id is not None:
        return cart.customer_id == caller.user_id
    return is_thing_token(secret, cart.id, token)


def _check_scopes(data: rules.PlaceOrder, scopes: frozenset[str], caller: Caller) -> None:
    if caller.kind == "anonymous":
        raise Unauthenticated("Log in to order for others.")
    missing = sorted(scope for scope in scopes if not caller.may(scope))
    if missing:
        raise Forbidden(f"This takes {' and '.join(missing)}.")
    if data.for_another and data.lines is None:
        raise Validation.at("/customer_id", "Orders for others are placed by lines.")


def _basket(asked: _Request, price_list: str) -> rules.Basket:
    data, cart = asked.data, asked.cart
    contact = data.contact or (cart.contact if cart else None)
    if contact is None and not data.for_another:
        raise Validation.at("/contact", "An e-mail address is needed to write to.")
    if cart is not None and data.currency not in (None, cart.currency):
        raise Validation.at("/currency", f"This cart is in {cart.currency}.")
    currency = cart.currency if cart else data.currency or "EUR"
    if cart:
        goods = [rules.Goods(sku=line.sku, quantity=line.quantity) for line in cart.lines]
    else:
        goods = rules.agreed_goods(data.lines or (), currency)
    code = data.coupon if isinstance(data.coupon, str) else None
    if data.coupon is msgspec.UNSET and cart is not None:
        code = cart.coupon
    return rules.Basket(
        goods=rules.merged(goods),
        currency=currency,
        agreed_shipping_minor=rules.amount_in(data.agreed_shipping, currency, "/agreed_shipping"),
        locale=data.locale or (cart.locale if cart else "en"),
        contact=contact,
        shipping_address=data.shipping_address or (cart.shipping_address if cart else None),
        billing_address=data.billing_address or (cart.billing_address if cart else None),
        shipping_method=data.shipping_method or (cart.shipping_method if cart else None),
        price_list=price_list,
        coupon=code and coupons.canonical(code),
    )


async def _coupon(desk: Desk, basket: rules.Basket) -> Coupon | None:
    """Read the coupon of a basket. Raises CouponInvalid for one that does not exist."""
    if basket.coupon is None:
        return None
    coupon = await desk.coupon(basket.coupon)
    if coupon is None:
        raise coupons.unknown(basket.coupon)
    return coupon


def _price(
    basket: rules.Basket, known: dict[str, Offer], terms: Terms, coupon: Coupon | None
) -> Priced:
    unknown = sorted({line.sku for line in basket.goods} - known.keys())
    if unknown:
        raise UnknownProduct(f"We do not sell {', '.join(unknown[:10])}.", skus=unknown)
    asked = Asked(
        items=tuple(
            Item(offer=known[line.sku], quantity=line.quantity, agreed_minor=line.agreed_minor)
            for line in basket.goods
        ),
        currency=basket.currency,
        locale=basket.locale,
        country=basket.country,
        price_list=basket.price_list,
        shipping_method=basket.shipping_method,
        agreed_shipping_minor=basket.agreed_shipping_minor,
        coupon=coupon,
    )
    return price(asked, terms, datetime.now(UTC))


def _check_cart(asked: _Request) -> None:
    cart, version = asked.cart, asked.data.cart_version
    if cart is None:
        return
    if cart.status != "open":
        raise StateConflict("This cart was ordered or merged already.")
    if version is not None and version != cart.version:
        raise rules.CartChanged("Show the cart again.", version=cart.version)


async def _place(
    desk: Desk, asked: _Request, basket: rules.Basket, wanted: dict[str, int], priced: Priced
) -> Response[views.OrderView] | None:
    """Hold the goods and write the order; None when it was priced by an offer that is old."""
    digest = rules.order_digest(asked.principal, asked.key, wanted)
    order_id = derived_id(digest)
    order = _new_order(desk.settings, asked, basket, priced, order_id)
    if not actions.fits(order):
        raise Validation.at("/lines", "Too much text for one order; place these lines in several.")
    took = await _reserve(desk, asked, order_id, priced)
    try:
        outcome = await desk.place(order)
        for _ in range(NUMBERS_MAX):
            if outcome.verdict != actions.TAKEN or outcome.existing:
                break
            order = msgspec.structs.replace(order, number=rules.drawn(secrets.randbits))
            outcome = await desk.place(order)
        if outcome.verdict == actions.PLACED:
            return _answer(desk.settings, views.placed(order), replayed=False)
        if outcome.existing is not None:
            took = took and outcome.existing["id"] != order_id
            return await _replay(desk, asked, outcome.existing)
        refusal = _refusal(order, outcome)
        if refusal is not None:
            raise refusal
    except Exception as error:  # else nobody knows whether it was placed: the hold's clock asks
        if took and not house_is_down(error):
            await asyncio.shield(_give_back(desk.asks, order_id))
        raise
    if took:
        await asyncio.shield(_give_back(desk.asks, order_id))
    return None


def _refusal(order: NewOrder, outcome: actions.Outcome) -> Problem | None:
    """Say why an order was not placed for good; None: it is to be priced again."""
    if outcome.verdict == actions.PRICE_CHANGED:
        return None
    if outcome.verdict == actions.EXHAUSTED:
        return outcome.refusal
    if outcome.verdict == actions.TAKEN and order.reference is not None:
        return StateConflict("Another order has this reference.", reference=order.reference)
    return StateConflict("This cart changed, or was ordered, just now.")


async def _reserve(desk: Desk, asked: _Request, order_id: UUID, priced: Priced) -> bool:
    """Hold the goods. True when this very call took them. Raises OutOfStock and others."""
    lines = tuple(
        StockLine(sku=line.offer.sku, quantity=line.quantity)
        for line in priced.lines
        if line.offer.track_stock
    )
    if not lines:
        return False
    # Who may order for others is trusted with as many holds at once as there are customers.
    holder = f"order:{order_id}" if asked.data.for_another else asked.principal
    body = Reserve(lines=lines, ttl_s=desk.settings.hold_s, principal=holder)
    reach("orders-before-hold")
    path = f"/api/v1/reservations/{order_id}"
    status, answer = await desk.asks.send("inventory", "PUT", path, body)
    reach("orders-after-hold")
    if status in (200, 201):
        return status == 201
    problem = msgspec.json.decode(answer, type=dict[str, Any])
    slug, detail = problem["type"].rsplit("/", 1)[-1], problem.get("detail", "")
    match slug:
        case "out-of-stock":
            raise rules.OutOfStock(detail, missing=problem.get("missing", []))
        case "state-conflict":
            raise StateConflict(detail)
        case "rate-limited":
            raise RateLimited(detail, retry_after_s=desk.settings.hold_s)
        case "overloaded":
            raise Overloaded
    log.error("inventory refused", status=status, slug=slug, detail=detail)
    raise DependencyUnavailable("Stock cannot be reserved at the moment.")


async def _give_back(asks: Asks, order_id: UUID) -> None:
    """Free a hold we took for nothing; its own clock does, should this fail."""
    try:
        await asks.send("inventory", "DELETE", f"/api/v1/reservations/{order_id}")
    except DependencyUnavailable as silent:
        log.warning("a hold was not given back", order_id=order_id, error=str(silent))


def _new_order(
    settings: Orders, asked: _Request, basket: rules.Basket, priced: Priced, order_id: UUID
) -> NewOrder:
    now = datetime.now(UTC)
    return NewOrder(
        id=order_id,
        number=rules.drawn(secrets.randbits),
        principal=asked.principal,
        key=asked.key,
        fingerprint=asked.fingerprint,
        customer_id=asked.customer_id,
        cart_id=asked.cart.id if asked.cart else None,
        cart_version=asked.cart.version if asked.cart else None,
        locale=basket.locale,
        payment_method=asked.data.payment.method,
        payment_token=asked.data.payment.token,
        priced=priced,
        contact=basket.contact,
        shipping_address=basket.shipping_address,
        billing_address=basket.billing_address,
        metadata=asked.data.metadata,
        placed_at=now,
        reference=asked.data.reference or None,
        reference_time=asked.reference_time,
        placed_by=asked.placed_by,
        coupon_customer=_coupon_customer(settings, asked, basket) if priced.coupon else None,
        pay_until=now + timedelta(seconds=settings.pay_within_s),
        look_at=now + timedelta(seconds=settings.watch_after_s),
    )


def _coupon_customer(settings: Orders, asked: _Request, basket: rules.Basket) -> str:
    """Name who uses a coupon: a customer by id, a guest by a keyed hash of the e-mail address."""
    if asked.customer_id is not None:
        return f"user:{asked.customer_id}"
    contact = basket.contact
    address = normalize("NFKC", contact.email).casefold() if contact else asked.principal
    digest = hmac.digest(settings.token_secret.encode(), address.encode(), "sha256")
    return f"guest:{digest.hex()}"


async def _replay(desk: Desk, asked: _Request, existing: Row) -> Response[views.OrderView]:
    """Answer with the order that has this key, as it is now. Raises KeyReused for another body."""
    if existing["fingerprint"] != asked.fingerprint:
        raise KeyReused("This key placed another order; use a new key.")
    row = await desk.order(existing["id"])
    return _answer(desk.settings, views.from_row(row), replayed=True)


def _answer(
    settings: Orders, view: views.OrderView, *, replayed: bool
) -> Response[views.OrderView]:
    headers = {"Location": f"/api/v1/orders/{view.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    token = thing_token(settings.token_secret, view.id) if view.customer_id is None else None
    shown = msgspec.structs.replace(view, token=token)
    return Response(shown, status_code=202, headers=headers)


ROUTES = (place_order,)
