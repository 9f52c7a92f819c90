"""Orders and carts as their customers see them."""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row
from merkato.contracts.values import Address, Contact
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
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    metadata: dict[str, str]
    placed_at: datetime
    pay_until: datetime
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
        lines=[
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
            )
            for n, line in enumerate(priced.lines, 1)
        ],
        shipping=ShippingView(
            method=priced.shipping_method,
            net_minor=shipping.net_minor,
            tax_minor=shipping.tax_minor,
            gross_minor=shipping.gross_minor,
            rate_bp=shipping.rate_bp,
        ),
        totals=TotalsView(
            items_minor=priced.items_minor,
            discount_minor=0,
            shipping_minor=shipping.gross_minor,
            tax_minor=priced.tax_minor,
            grand_minor=priced.grand_minor,
            credited_minor=0,
        ),
        contact=order.contact,
        shipping_address=order.shipping_address,
        billing_address=order.billing_address or order.shipping_address,
        metadata=order.metadata,
        placed_at=order.placed_at,
        pay_until=order.pay_until,
        reference=order.reference,
        reference_time=order.reference_time,
    )


def from_row(row: Row) -> OrderView:
    """Show an order as it is now."""
    columns = dict(row)
    columns["shipping"] = {
        "method": row["shipping_method"], "net_minor": row["shipping_net_minor"],
        "tax_minor": row["shipping_tax_minor"], "gross_minor": row["shipping_minor"],
        "rate_bp": row["shipping_rate_bp"],
    }  # fmt: skip
    columns["totals"] = {name: row[name] for name in TotalsView.__struct_fields__}
    return msgspec.convert(columns, OrderView)
