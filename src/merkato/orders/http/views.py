"""Orders and carts as their customers see them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row
from merkato.contracts.values import Address, Contact
from merkato.orders.domain.pricing import Adjustment, Priced, Share
from merkato.orders.store.placing import NewOrder


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order. Money in minor units of the order's currency."""

    line_no: int
    sku: str
    quantity: int
    title: str
    options: dict[str, str]
    image: str | None
    list_price_minor: int
    unit_price_minor: int
    tax_class: str
    rate_bp: int
    net_minor: int
    tax_minor: int
    gross_minor: int
    discount_minor: int = 0  # taken off this line
    cancelled: int = 0  # pieces, as the counters below
    shipped: int = 0
    delivered: int = 0
    announced: int = 0  # to be returned, not here yet
    returned: int = 0
    credited_minor: int = 0


class ShippingView(msgspec.Struct, frozen=True, kw_only=True):
    """How it is sent, and what that costs."""

    method: str | None
    net_minor: int
    tax_minor: int
    gross_minor: int
    rate_bp: int


class TotalsView(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of an order; `grand_minor` is what the customer pays."""

    items_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    grand_minor: int
    credited_minor: int
    captured_minor: int = 0  # money that was taken or has arrived
    refunded_minor: int = 0


class TaxView(msgspec.Struct, frozen=True, kw_only=True):
    """What of the grand total falls under one rate of tax, shipping with it."""

    rate_bp: int
    net_minor: int
    tax_minor: int
    gross_minor: int


class PiecesView(msgspec.Struct, frozen=True, kw_only=True):
    """So many pieces of a line."""

    line_no: int
    quantity: int


class ShipmentView(msgspec.Struct, frozen=True, kw_only=True):
    """Goods on their way."""

    id: UUID
    carrier: str | None
    tracking: str | None
    tracking_url: str | None
    shipped_at: datetime
    delivered_at: datetime | None
    lines: list[PiecesView]


class ReturnLineView(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces that come back, and how many of them are here."""

    line_no: int
    sku: str
    title: str
    quantity: int
    reason: str
    received: int
    restocked: int


class ReturnView(msgspec.Struct, frozen=True, kw_only=True):
    """Goods that come back."""

    id: UUID
    order_id: UUID
    number: str  # of the order
    customer_id: UUID | None
    status: str  # requested | received | rejected
    note: str | None
    rejection: str | None
    requested_at: datetime
    decided_at: datetime | None
    credit_id: UUID | None
    credited_minor: int
    currency: str
    lines: list[ReturnLineView]


class CreditLineView(msgspec.Struct, frozen=True, kw_only=True):
    """What of a credit is for one line; without a number: for the shipping."""

    line_no: int | None
    quantity: int
    rate_bp: int
    net_minor: int
    tax_minor: int
    gross_minor: int


class CreditView(msgspec.Struct, frozen=True, kw_only=True):
    """Money a customer is given back, or need not pay."""

    id: UUID
    kind: str  # cancellation | return | goodwill
    amount_minor: int
    return_id: UUID | None
    reason: str | None
    reference: str | None  # its caller's name of it
    reference_time: datetime | None
    created_at: datetime
    lines: list[CreditLineView]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    id: UUID
    number: str
    customer_id: UUID | None
    status: str
    reason: str | None
    payment_status: str
    fulfilment_status: str
    currency: str
    locale: str
    payment_method: str
    tax_included: bool
    lines: list[LineView]
    shipping: ShippingView
    totals: TotalsView
    taxes: list[TaxView]
    shipments: list[ShipmentView] = []
    returns: list[ReturnView] = []
    credits: list[CreditView] = []
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    metadata: dict[str, str]
    placed_at: datetime
    pay_until: datetime
    coupon: str | None
    adjustments: tuple[Adjustment, ...]
    reference: str | None  # what it was placed under for its customer
    reference_time: datetime | None
    token: str | None = None  # a guest's proof; shown at placing only


def placed(order: NewOrder) -> OrderView:
    """Show an order that was placed just now, without reading it back."""
    priced, shipping = order.priced, order.priced.shipping
    return OrderView(
        id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        status="placed",
        reason=None,
        payment_status="due",
        fulfilment_status="unfulfilled",
        currency=priced.currency,
        locale=order.locale,
        payment_method=order.payment_method,
        tax_included=priced.tax_included,
        lines=_lines(priced),
        shipping=ShippingView(
            method=priced.shipping_method,
            net_minor=shipping.net_minor,
            tax_minor=shipping.tax_minor,
            gross_minor=shipping.gross_minor,
            rate_bp=shipping.rate_bp,
        ),
        totals=TotalsView(
            items_minor=priced.items_minor,
            discount_minor=priced.discount_minor,
            shipping_minor=shipping.gross_minor,
            tax_minor=priced.tax_minor,
            grand_minor=priced.grand_minor,
            credited_minor=0,
        ),
        taxes=taxes([*(line.share for line in priced.lines), shipping]),
        contact=order.contact,
        shipping_address=order.shipping_address,
        billing_address=order.billing_address or order.shipping_address,
        metadata=order.metadata,
        placed_at=order.placed_at,
        pay_until=order.pay_until,
        coupon=priced.coupon.code if priced.coupon else None,
        adjustments=priced.adjustments,
        reference=order.reference,
        reference_time=order.reference_time,
    )


def _lines(priced: Priced) -> list[LineView]:
    return [
        LineView(
            line_no=n,
            sku=line.offer.sku,
            quantity=line.quantity,
            title=line.title,
            options=dict(line.offer.options),
            image=line.offer.image,
            list_price_minor=line.list_price_minor,
            unit_price_minor=line.unit_price_minor,
            tax_class=line.offer.tax_class,
            rate_bp=line.share.rate_bp,
            net_minor=line.share.net_minor,
            tax_minor=line.share.tax_minor,
            gross_minor=line.share.gross_minor,
            discount_minor=line.discount_minor,
        )
        for n, line in enumerate(priced.lines, 1)
    ]


def taxes(shares: Iterable[Share]) -> list[TaxView]:
    """Sum up by rate, the highest first."""
    sums: dict[int, list[int]] = {}
    for share in shares:
        total = sums.setdefault(share.rate_bp, [0, 0, 0])
        for n, part in enumerate((share.net_minor, share.tax_minor, share.gross_minor)):
            total[n] += part
    return [
        TaxView(rate_bp=rate, net_minor=net, tax_minor=tax, gross_minor=gross)
        for rate, (net, tax, gross) in sorted(sums.items(), reverse=True)
        if gross or len(sums) == 1
    ]


def from_row(row: Row) -> OrderView:
    """Show an order as it is now."""
    columns = dict(row)
    off: dict[int | None, int] = {}
    for one in row["adjustments"]:
        off[one["line_no"]] = off.get(one["line_no"], 0) + one["amount_minor"]
    columns["lines"] = [
        {**line, "discount_minor": off.get(line["line_no"], 0)} for line in row["lines"]
    ]
    columns["shipping"] = {
        "method": row["shipping_method"], "net_minor": row["shipping_net_minor"],
        "tax_minor": row["shipping_tax_minor"], "gross_minor": row["shipping_minor"],
        "rate_bp": row["shipping_rate_bp"],
    }  # fmt: skip
    columns["totals"] = {name: row[name] for name in TotalsView.__struct_fields__}
    shares = [msgspec.convert(part, Share) for part in (*columns["lines"], columns["shipping"])]
    columns["taxes"] = msgspec.to_builtins(taxes(shares))
    return msgspec.convert(columns, OrderView)
