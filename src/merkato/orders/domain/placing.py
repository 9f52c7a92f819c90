"""How a request becomes an order: which lines, which id, which number. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from merkato.contracts.problem import Problem, Validation
from merkato.contracts.values import (
    Address,
    Contact,
    Currency,
    Locale,
    Metadata,
    Money,
    Quantity,
    Sku,
)
from merkato.orders.domain.pricing import Priced

LINES_MAX = 2_000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
CHECKS = ALPHABET + "*~$=U"  # his check symbols, modulo 37


class PriceChanged(Problem):
    """The total is not what the customer was shown; `total` is what it is now."""

    slug, status, title = "price-changed", 409, "The price has changed"


class OutOfStock(Problem):
    """Some lines cannot be had; `missing` names their skus."""

    slug, status, title = "out-of-stock", 409, "Out of stock"


class CartChanged(Problem):
    """The cart is not what the customer was shown; `version` is what it is now."""

    slug, status, title = "cart-changed", 409, "The cart has changed"


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a request: the price is ours to say, never the customer's."""

    sku: Sku
    quantity: Quantity


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it will be paid; `token` is the processor's name of a card."""

    method: Literal["on_account", "card"]
    token: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[!-~]+\Z")] | None
    ) = None


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /orders: a cart, or lines of a customer who has logged in."""

    cart_id: UUID | None = None
    cart_version: int | None = None
    lines: (
        Annotated[tuple[Wanted, ...], msgspec.Meta(min_length=1, max_length=LINES_MAX)] | None
    ) = None
    currency: Currency | None = None
    locale: Locale | None = None
    contact: Contact | None = None
    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_method: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    expected_total: Money | None = None
    payment: Payment
    metadata: Metadata = {}


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ordered, from wherever it came; skus are unique and sorted."""

    wanted: Mapping[str, int]
    currency: str
    locale: str
    contact: Contact
    shipping_address: Address | None
    billing_address: Address | None
    shipping_method: str | None


def merged(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sum lines by sku, sorted. Raises Validation for no lines, or too many pieces."""
    wanted: dict[str, int] = {}
    for sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
        if wanted[sku] > 1_000_000:
            raise Validation.at("/lines", f"At most 1,000,000 pieces of {sku}.")
    if not wanted:
        raise Validation.at("/lines", "There is nothing to order.")
    return dict(sorted(wanted.items()))


def order_digest(principal: str, key: str, wanted: Mapping[str, int]) -> bytes:
    """Hash what makes an order this order: the same request gives the same order id."""
    return hashlib.sha256(msgspec.json.encode((principal, key, sorted(wanted.items())))).digest()


def number(random: int) -> str:
    """Write 40 random bits as an order number: K7QM-2F9X and a check character."""
    digits = [ALPHABET[(random >> shift) & 31] for shift in range(35, -1, -5)]
    text = "".join(digits)
    return f"{text[:4]}-{text[4:]}-{CHECKS[(random & ((1 << 40) - 1)) % 37]}"


def check_total(priced: Priced, expected: Money | None) -> None:
    """Compare with what the customer was shown. Raises PriceChanged."""
    total = {"amount_minor": priced.grand_minor, "currency": priced.currency}
    if expected is not None and (
        expected.amount_minor != priced.grand_minor or expected.currency != priced.currency
    ):
        raise PriceChanged("Show the new total and ask again.", total=total)


def check_basket(basket: Basket, priced: Priced) -> None:
    """See that goods that are sent have an address and a way. Raises Validation."""
    if any(line.offer.requires_shipping for line in priced.lines):
        if basket.shipping_address is None:
            raise Validation.at("/shipping_address", "Goods are sent: an address is needed.")
        if basket.shipping_method is None:
            raise Validation.at("/shipping_method", "Goods are sent: choose a shipping method.")
