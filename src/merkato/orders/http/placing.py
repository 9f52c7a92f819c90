"""POST /orders: from a cart or lines to a placed order, once per Idempotency-Key.

Order of work (docs/protocols.md, 1): a stored answer; the cart, read once with its version; the
price, from our own copy, before any stock is touched; the hold; one transaction for all the rest.
A definite refusal gives back a hold that this very call took.
"""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, post

from merkato.chassis.ask import Asks
from merkato.chassis.batch import Batch
from merkato.chassis.db import Database, Row
from merkato.chassis.failpoints import reach
from merkato.chassis.http import ANYONE, IdempotencyKey
from merkato.chassis.idempotency import fingerprint, parse_key
from merkato.chassis.ids import derived_id
from merkato.chassis.tokens import Caller, is_thing_token, thing_token
from merkato.config import Orders
from merkato.contracts.inventory import Reserve, StockLine
from merkato.contracts.problem import (
    DependencyUnavailable,
    KeyReused,
    NotFound,
    Overloaded,
    RateLimited,
    StateConflict,
    Unauthenticated,
    UnknownProduct,
    Validation,
)
from merkato.orders import actions
from merkato.orders.domain import placing as rules
from merkato.orders.domain.pricing import Offer, Priced, Terms, price
from merkato.orders.http import views
from merkato.orders.store import carts, life, offers
from merkato.orders.store import placing as store
from merkato.orders.store.placing import NewOrder

log = structlog.get_logger()

TERMS_S = 5.0  # how long rates and methods are remembered
NUMBERS_MAX = 5  # tries for a number nobody has


class Asked(msgspec.Struct, frozen=True):
    """What must be known to price a request."""

    principal: str
    key: str
    skus: tuple[str, ...]


class Known(msgspec.Struct, frozen=True):
    """What is known: the order that has this key, and the offers of the skus."""

    existing: Row | None
    offers: dict[str, Offer]


class Placing:
    """Reads and places for many callers at once."""

    def __init__(self, db: Database, asks: Asks, settings: Orders) -> None:
        self.db, self.asks, self.settings = db, asks, settings
        self._known: Batch[Asked, Known] = Batch(self._read, key=lambda a: (a.principal, a.key))
        self._place: Batch[NewOrder, actions.Outcome] = Batch(
            self._write, key=lambda order: (order.principal, order.key)
        )
        self._terms: tuple[Terms, float] | None = None

    async def known(self, asked: Asked) -> Known:
        """Look up a key and offers."""
        return await self._known(asked)

    async def _read(self, batch: Sequence[Asked]) -> list[Known]:
        async with self.db.reading() as tx:
            existing = await store.by_keys(tx, [(one.principal, one.key) for one in batch])
            found = await offers.offers(tx, sorted({sku for one in batch for sku in one.skus}))
        return [Known(existing.get((one.principal, one.key)), found) for one in batch]

    async def terms(self) -> Terms:
        """Give rates and methods, at most TERMS_S old."""
        now = asyncio.get_running_loop().time()
        if self._terms is None or now - self._terms[1] > TERMS_S:
            async with self.db.reading() as tx:
                self._terms = (await offers.terms(tx), now)
        return self._terms[0]

    async def place(self, order: NewOrder) -> actions.Outcome:
        """Write an order, its lines, its first step, its event: all or nothing."""
        return await self._place(order)

    async def _write(self, batch: Sequence[NewOrder]) -> list[actions.Outcome]:
        async with self.db.transaction() as tx:
            outcomes = await actions.place(tx, batch)
            reach("orders-before-commit")
        reach("orders-after-commit")
        return outcomes


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known."""

    data: rules.PlaceOrder
    key: str
    principal: str
    customer_id: UUID | None
    cart: carts.Cart | None
    fingerprint: bytes


@post("/api/v1/orders", policy=ANYONE, status_code=202)
async def place_order(
    request: Request[Any, Any, Any],
    data: rules.PlaceOrder,
    caller: Caller,
    placing: Placing,
    idempotency_key: IdempotencyKey = None,
) -> Response[views.OrderView]:
    """Place an order from a cart, or from lines for a customer who has logged in.

    202 with the order; again with the same key: the same order, `Idempotent-Replayed: true`.
    409 price-changed, cart-changed, out-of-stock, state-conflict; 422 unknown-product, validation,
    idempotency-key-reused.
    """
    key = parse_key(idempotency_key, required=True)
    assert key is not None
    guest_token = request.headers.get("x-cart-token")
    asked = await _identify(data, key, caller, placing, guest_token)
    wanted = rules.merged(_lines(asked))
    known = await placing.known(Asked(asked.principal, key, tuple(wanted)))
    if known.existing is not None:
        return await _replay(placing, asked, known.existing)
    basket = _basket(asked, wanted)
    priced = _price(basket, known.offers, await placing.terms())
    rules.check_basket(basket, priced)
    rules.check_total(priced, data.expected_total)
    _check_cart(asked)
    return await _place(placing, asked, basket, priced)


async def _identify(
    data: rules.PlaceOrder, key: str, caller: Caller, placing: Placing, guest_token: str | None
) -> _Request:
    """Say for whom this is. Raises Unauthenticated, NotFound for somebody else's cart."""
    if (data.cart_id is None) == (data.lines is None):
        raise Validation.at("/cart_id", "Send either cart_id or lines.")
    cart = None
    if data.cart_id is not None:
        if caller.kind != "user" and guest_token is None:
            raise Unauthenticated("Log in, or send the cart's token as X-Cart-Token.")
        async with placing.db.reading() as tx:
            cart = await carts.cart(tx, data.cart_id)
        if cart is None or not owns(cart, caller, guest_token, placing.settings.token_secret):
            raise NotFound("There is no such cart.")
    elif caller.kind != "user":
        raise Unauthenticated("Guests order from their cart; log in to order lines.")
    principal = caller.principal if caller.kind == "user" else f"cart:{data.cart_id}"
    customer_id = caller.user_id if caller.kind == "user" else None
    return _Request(
        data=data, key=key, principal=principal, customer_id=customer_id, cart=cart,
        fingerprint=fingerprint(data),
    )  # fmt: skip


def owns(cart: carts.Cart, caller: Caller, token: str | None, secret: str) -> bool:
    """Tell whether a cart is the caller's: by account, or a guest's by its token."""
    if cart.customer_id is not None:
        return cart.customer_id == caller.user_id
    return is_thing_token(secret, cart.id, token)


def _lines(asked: _Request) -> list[tuple[str, int]]:
    if asked.cart is not None:
        return [(line.sku, line.quantity) for line in asked.cart.lines]
    return [(line.sku, line.quantity) for line in asked.data.lines or ()]


def _basket(asked: _Request, wanted: dict[str, int]) -> rules.Basket:
    data, cart = asked.data, asked.cart
    contact = data.contact or (cart.contact if cart else None)
    if contact is None:
        raise Validation.at("/contact", "An e-mail address is needed to write to.")
    if cart is not None and data.currency not in (None, cart.currency):
        raise Validation.at("/currency", f"This cart is in {cart.currency}.")
    return rules.Basket(
        wanted=wanted,
        currency=cart.currency if cart else data.currency or "EUR",
        locale=data.locale or (cart.locale if cart else "en"),
        contact=contact,
        shipping_address=data.shipping_address or (cart.shipping_address if cart else None),
        billing_address=data.billing_address or (cart.billing_address if cart else None),
        shipping_method=data.shipping_method or (cart.shipping_method if cart else None),
    )


def _price(basket: rules.Basket, known: dict[str, Offer], terms: Terms) -> Priced:
    unknown = sorted(basket.wanted.keys() - known.keys())
    if unknown:
        raise UnknownProduct(f"We do not sell {', '.join(unknown[:10])}.", skus=unknown)
    address = basket.shipping_address or basket.billing_address
    return price(
        [(known[sku], quantity) for sku, quantity in basket.wanted.items()],
        currency=basket.currency,
        locale=basket.locale,
        country=address.country if address else None,
        shipping_method=basket.shipping_method,
        terms=terms,
        on=datetime.now(UTC).date(),
    )


def _check_cart(asked: _Request) -> None:
    cart, version = asked.cart, asked.data.cart_version
    if cart is None:
        return
    if cart.status != "open":
        raise StateConflict("This cart was ordered or merged already.")
    if version is not None and version != cart.version:
        raise rules.CartChanged("Show the cart again.", version=cart.version)


async def _place(
    placing: Placing, asked: _Request, basket: rules.Basket, priced: Priced
) -> Response[views.OrderView]:
    digest = rules.order_digest(asked.principal, asked.key, basket.wanted)
    order_id = derived_id(digest)
    took = await _reserve(placing, asked, order_id, priced)
    try:
        order = _new_order(placing.settings, asked, basket, priced, order_id)
        outcome = await placing.place(order)
        for _ in range(NUMBERS_MAX):
            if outcome.verdict != actions.TAKEN or outcome.existing:
                break
            order = msgspec.structs.replace(order, number=_number())
            outcome = await placing.place(order)
        if outcome.verdict == actions.PLACED:
            return _answer(placing.settings, views.placed(order), replayed=False)
        if outcome.existing is not None:
            took = took and outcome.existing["id"] != order_id
            return await _replay(placing, asked, outcome.existing)
        if outcome.verdict == actions.PRICE_CHANGED:
            raise rules.PriceChanged("A price changed just now; ask for the total again.")
        raise StateConflict("This cart changed, or was ordered, just now.")
    except (rules.PriceChanged, StateConflict, KeyReused):
        if took:
            await asyncio.shield(_give_back(placing.asks, order_id))
        raise


async def _reserve(placing: Placing, asked: _Request, order_id: UUID, priced: Priced) -> bool:
    """Hold the goods. True when this very call took them. Raises OutOfStock and others."""
    lines = tuple(
        StockLine(sku=line.offer.sku, quantity=line.quantity)
        for line in priced.lines
        if line.offer.track_stock
    )
    if not lines:
        return False
    body = Reserve(lines=lines, ttl_s=placing.settings.hold_s, principal=asked.principal)
    reach("orders-before-hold")
    path = f"/api/v1/reservations/{order_id}"
    status, answer = await placing.asks.send("inventory", "PUT", path, body)
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
            raise RateLimited(detail, retry_after_s=placing.settings.hold_s)
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


def _number() -> str:
    return rules.number(secrets.randbits(40))


def _new_order(
    settings: Orders, asked: _Request, basket: rules.Basket, priced: Priced, order_id: UUID
) -> NewOrder:
    now = datetime.now(UTC)
    return NewOrder(
        id=order_id,
        number=_number(),
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
        pay_until=now + timedelta(seconds=settings.pay_within_s),
        look_at=now + timedelta(seconds=settings.watch_after_s),
    )


async def _replay(placing: Placing, asked: _Request, existing: Row) -> Response[views.OrderView]:
    """Answer with the order that has this key, as it is now. Raises KeyReused for another body."""
    if existing["fingerprint"] != asked.fingerprint:
        raise KeyReused("This key placed another order; use a new key.")
    async with placing.db.reading() as tx:
        row = await life.view(tx, existing["id"])
    return _answer(placing.settings, views.from_row(row), replayed=True)


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
