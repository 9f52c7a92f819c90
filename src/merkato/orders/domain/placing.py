"""How a request becomes an order: which lines, which id, which number. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
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
    Reference,
    Sku,
)
from merkato.orders.domain.coupons import Code
from merkato.orders.domain.offers import STANDARD
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
    """A line of a request: the price is ours to say, never the customer's.

    `agreed_price` per piece is for callers with the scope orders:agree-prices; it includes tax
    where the price list does.
    """

    sku: Sku
    quantity: Quantity
    agreed_price: Money | msgspec.UnsetType | None = msgspec.UNSET


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it will be paid; `token` is the processor's name of a card."""

    method: Literal["on_account", "card"]
    token: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[!-~]+\Z")] | None
    ) = None


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /orders: a cart, or lines of a customer who has logged in.

    Lines may also be placed for a customer (`customer_id`; null for a guest) under the caller's own
    `reference` by callers with the scope orders:place-for, without `contact` where nobody is to be
    written to, and with prices agreed by orders:agree-prices. What is left out is unset and not
    null, so that requests keep their fingerprints when fields are added.
    """

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
    coupon: Code | msgspec.UnsetType | None = msgspec.UNSET  # left out: the cart's; null: none
    customer_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    reference: Reference | msgspec.UnsetType | None = msgspec.UNSET
    reference_time: Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    agreed_shipping: Money | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def for_another(self) -> bool:
        """Tell whether it is placed for somebody else."""
        return self.customer_id is not msgspec.UNSET

    @property
    def scopes(self) -> frozenset[str]:
        """Name the permissions it takes beyond those of a customer."""
        needed = set()
        if self.for_another or self.reference or self.reference_time:
            needed.add("orders:place-for")
        if self.agreed_shipping or any(line.agreed_price for line in self.lines or ()):
            needed.add("orders:agree-prices")
        return frozenset(needed)


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """So many of a sku, at the price of the list or at one agreed on."""

    sku: str
    quantity: int
    agreed_minor: int | None = None


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ordered, from wherever it came; `goods` are unique by sku and price."""

    goods: tuple[Goods, ...]
    currency: str
    locale: str
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    shipping_method: str | None
    agreed_shipping_minor: int | None = None
    price_list: str = STANDARD
    coupon: str | None = None  # in capitals

    @property
    def country(self) -> str | None:
        """Name the country whose tax is due."""
        return tax_country(self.shipping_address, self.billing_address)


def tax_country(shipping: Address | None, billing: Address | None) -> str | None:
    """Name the country whose tax is due: where goods go, else where the customer is."""
    address = shipping or billing
    return address.country if address else None


def merged(lines: Iterable[Goods]) -> tuple[Goods, ...]:
    """Sum lines by sku and price, sorted. Raises Validation for no lines, or too many."""
    found: dict[tuple[str, int], int] = {}
    for line in lines:
        at = (line.sku, -1 if line.agreed_minor is None else line.agreed_minor)
        found[at] = found.get(at, 0) + line.quantity
    if not found:
        raise Validation.at("/lines", "There is nothing to order.")
    if len(found) > LINES_MAX:
        raise Validation.at("/lines", f"An order has at most {LINES_MAX} lines.")
    return tuple(
        Goods(sku=sku, quantity=quantity, agreed_minor=None if agreed < 0 else agreed)
        for (sku, agreed), quantity in sorted(found.items())
    )


def pieces(goods: Iterable[Goods]) -> dict[str, int]:
    """Sum goods by sku, sorted. Raises Validation for too many pieces."""
    wanted: dict[str, int] = {}
    for line in goods:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
        if wanted[line.sku] > 1_000_000:
            raise Validation.at("/lines", f"At most 1,000,000 pieces of {line.sku}.")
    return dict(sorted(wanted.items()))


def agreed_goods(lines: Iterable[Wanted], currency: str) -> list[Goods]:
    """Read the lines of a request. Raises Validation for a price in another currency."""
    return [
        Goods(
            sku=line.sku,
            quantity=line.quantity,
            agreed_minor=amount_in(line.agreed_price, currency, f"/lines/{n}/agreed_price"),
        )
        for n, line in enumerate(lines)
    ]


def amount_in(money: Money | msgspec.UnsetType | None, currency: str, pointer: str) -> int | None:
    """Give an amount in minor units. Raises Validation when it is of another currency."""
    if not isinstance(money, Money):
        return None
    if money.currency != currency:
        raise Validation.at(f"{pointer}/currency", f"This order is in {currency}.")
    return money.amount_minor


def order_digest(principal: str, key: str, wanted: Mapping[str, int]) -> bytes:
    """Hash what makes an order this order: the same request gives the same order id."""
    return hashlib.sha256(msgspec.json.encode((principal, key, sorted(wanted.items())))).digest()


def number(random: int) -> str:
    """Write 40 random bits as an order number: K7QM-2F9X and a check character."""
    digits = [ALPHABET[(random >> shift) & 31] for shift in range(35, -1, -5)]
    text = "".join(digits)
    return f"{text[:4]}-{text[4:]}-{CHECKS[(random & ((1 << 40) - 1)) % 37]}"


def drawn(randbits: Callable[[int], int]) -> str:
    """Draw an order number to be read out: one that ends in a letter or a digit, as most do."""
    while not (text := number(randbits(40)))[-1].isalnum():
        pass
    return text


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
