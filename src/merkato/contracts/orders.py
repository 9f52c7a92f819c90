"""What orders says, and what other services may ask it."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from merkato.contracts.event import Confidential, Event, Personal
from merkato.contracts.values import Address, Contact


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order as it was at placing. Money in minor units of the order's currency."""

    line_no: int
    sku: str
    quantity: int
    title: str
    unit_price_minor: int
    net_minor: int
    tax_minor: int
    gross_minor: int
    tracked: bool = True  # false: no stock is kept of it


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of an order in minor units; `grand_minor` is what the customer pays."""

    items_minor: int
    discount_minor: int = 0
    shipping_minor: int
    tax_minor: int
    grand_minor: int
    credited_minor: int = 0


class _AboutOrder(Event, frozen=True, kw_only=True):
    order_id: UUID

    @property
    def key(self) -> str:
        return str(self.order_id)


class OrderPlaced(_AboutOrder, frozen=True, kw_only=True):
    """An order exists; its goods are held, its payment is due until `pay_until`."""

    type: ClassVar[str] = "orders.order_placed.v1"
    public: ClassVar[tuple[str, ...]] = (
        "order_id", "number", "customer_id", "lines", "totals", "currency", "payment_method",
        "placed_at",
    )  # fmt: skip

    number: str
    customer_id: UUID | None
    lines: tuple[Line, ...]
    totals: Totals
    currency: str
    payment_method: str  # on_account | card
    placed_at: datetime
    pay_until: datetime
    locale: str = "en"
    contact: Personal[Contact | None] = None
    shipping_address: Personal[Address | None] = None
    payment_token: Confidential[str | None] = None  # the processor's name of the card


class OrderConfirmed(_AboutOrder, frozen=True, kw_only=True):
    """The order is paid, or will be on account: it will be fulfilled."""

    type: ClassVar[str] = "orders.order_confirmed.v1"
    public: ClassVar[tuple[str, ...]] = (
        "order_id", "number", "customer_id", "lines", "totals", "currency",
    )  # fmt: skip

    number: str
    customer_id: UUID | None
    lines: tuple[Line, ...]
    totals: Totals
    currency: str
    locale: str = "en"
    contact: Personal[Contact | None] = None


class OrderCancelled(_AboutOrder, frozen=True, kw_only=True):
    """The order will not be fulfilled; what was held or paid goes back."""

    type: ClassVar[str] = "orders.order_cancelled.v1"
    public: ClassVar[tuple[str, ...]] = (
        "order_id", "number", "customer_id", "lines", "totals", "currency", "reason",
        "was_confirmed",
    )  # fmt: skip

    number: str
    customer_id: UUID | None
    lines: tuple[Line, ...]
    totals: Totals
    currency: str
    reason: str  # customer | staff | payment-timeout | payment-refused | stock-lost
    was_confirmed: bool
    locale: str = "en"
    contact: Personal[Contact | None] = None


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``GET /api/v1/orders/{id}/state``, for service tokens only."""

    order_id: UUID
    status: str  # placed | confirmed | cancelled
    currency: str
    grand_minor: int
    customer_id: UUID | None
    principal: str
    pay_until: datetime
