"""What orders says, and what other services may ask it."""

from datetime import datetime
from typing import Annotated, ClassVar
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
    cancelled: int = 0  # pieces of `quantity` that are not wanted any more


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
        "placed_at", "reference",
    )  # fmt: skip

    number: str
    customer_id: UUID | None
    lines: tuple[Line, ...]
    totals: Totals
    currency: str
    payment_method: str  # on_account | card
    placed_at: datetime
    pay_until: datetime
    reference: str | None = None  # the name of whoever placed it for a customer
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
        "was_confirmed", "credit_id",
    )  # fmt: skip

    number: str
    customer_id: UUID | None
    lines: tuple[Line, ...]
    totals: Totals
    currency: str
    reason: str  # customer | staff | payment-timeout | payment-refused | stock-lost
    was_confirmed: bool
    credit_id: UUID | None = None  # of what a confirmed order had still cost
    locale: str = "en"
    contact: Personal[Contact | None] = None


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """So many pieces of a line of an order."""

    line_no: int
    sku: str
    title: str
    quantity: int
    tracked: bool = True  # false: no stock is kept of it


class PiecesBack(Pieces, frozen=True, kw_only=True):
    """Pieces that came back; `restocked` of them can be sold again."""

    restocked: int


class CreditLine(msgspec.Struct, frozen=True, kw_only=True):
    """What of a credit is for one line, or for the shipping. Money in minor units."""

    line_no: int | None  # null: the shipping
    sku: str | None = None
    title: str | None = None
    quantity: int = 0  # pieces that are not wanted any more, or came back; 0 for goodwill
    net_minor: int
    tax_minor: int
    gross_minor: int
    tracked: bool = True


class _AfterSale(_AboutOrder, frozen=True, kw_only=True):
    number: str
    customer_id: UUID | None
    currency: str
    locale: str = "en"
    contact: Personal[Contact | None] = None


ABOUT = ("order_id", "number", "customer_id", "currency")


class LinesShipped(_AfterSale, frozen=True, kw_only=True):
    """Goods were handed to a carrier. `complete`: nothing more is to be shipped, so pay now."""

    type: ClassVar[str] = "orders.lines_shipped.v1"
    public: ClassVar[tuple[str, ...]] = (
        *ABOUT, "shipment_id", "lines", "carrier", "tracking", "tracking_url", "complete",
    )  # fmt: skip

    shipment_id: UUID
    lines: tuple[Pieces, ...]
    carrier: str | None
    tracking: str | None
    tracking_url: str | None = None
    complete: bool
    shipping_address: Personal[Address | None] = None


class ShipmentDelivered(_AfterSale, frozen=True, kw_only=True):
    """A shipment reached its customer."""

    type: ClassVar[str] = "orders.shipment_delivered.v1"
    public: ClassVar[tuple[str, ...]] = (*ABOUT, "shipment_id", "lines")

    shipment_id: UUID
    lines: tuple[Pieces, ...]


class ReturnRequested(_AfterSale, frozen=True, kw_only=True):
    """Somebody wants to send goods back. Nothing moves yet."""

    type: ClassVar[str] = "orders.return_requested.v1"
    public: ClassVar[tuple[str, ...]] = (*ABOUT, "return_id", "lines")

    return_id: UUID
    lines: tuple[Pieces, ...]


class ReturnReceived(_AfterSale, frozen=True, kw_only=True):
    """Goods came back. What the customer gets for them is an OrderCredited that follows."""

    type: ClassVar[str] = "orders.return_received.v1"
    public: ClassVar[tuple[str, ...]] = (*ABOUT, "return_id", "lines")

    return_id: UUID
    lines: tuple[PiecesBack, ...]


class ReturnRejected(_AfterSale, frozen=True, kw_only=True):
    """A return was refused; its goods stay with the customer, or go to them again."""

    type: ClassVar[str] = "orders.return_rejected.v1"
    public: ClassVar[tuple[str, ...]] = (*ABOUT, "return_id", "lines")

    return_id: UUID
    lines: tuple[Pieces, ...]
    reason: Personal[str]  # in the words of staff, for the customer


class OrderCredited(_AfterSale, frozen=True, kw_only=True):
    """A confirmed order costs so much less: what was paid of it goes back, the rest is not due.

    Pieces of a `cancellation` will not be shipped and can be sold again; those of a `return` were
    told of by ReturnReceived. A cancellation of the whole order is an OrderCancelled instead.
    """

    type: ClassVar[str] = "orders.order_credited.v1"
    public: ClassVar[tuple[str, ...]] = (
        *ABOUT, "credit_id", "kind", "amount_minor", "lines", "return_id",
        "credited_minor", "complete",
    )  # fmt: skip

    credit_id: UUID
    kind: str  # cancellation | return | goodwill
    amount_minor: int  # the sum of `lines`; 0 when what is not wanted had cost nothing
    lines: tuple[CreditLine, ...]
    return_id: UUID | None = None
    reason: Personal[str | None] = None  # in the words of staff, for the customer
    credited_minor: int  # of the order, with this one
    complete: bool  # nothing more is to be shipped


class OrderErased(_AboutOrder, frozen=True, kw_only=True):
    """Who bought is to be forgotten, not what was bought: every service overwrites the buyer."""

    type: ClassVar[str] = "orders.order_erased.v1"
    urgent: ClassVar[bool] = True
    public: ClassVar[tuple[str, ...]] = ("order_id",)


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``GET /api/v1/orders/{id}/state``, for service tokens only."""

    order_id: UUID
    status: str  # placed | confirmed | cancelled
    currency: str
    grand_minor: int
    customer_id: UUID | None
    principal: str
    pay_until: datetime


class OrdersAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /api/v1/orders/tokens``, for service tokens only."""

    order_ids: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=1_000)]


class OrderTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Its answer: by order, what proves a guest's right to it; customers' orders have none."""

    tokens: dict[UUID, str]
