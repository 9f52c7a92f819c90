"""Which fact is told to whom in which words. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from merkato.contracts.event import Event
from merkato.contracts.inventory import ReservationLost, StockLow
from merkato.contracts.orders import (
    LinesShipped,
    OrderCancelled,
    OrderConfirmed,
    OrderCredited,
    OrderPlaced,
    ReturnReceived,
    ReturnRejected,
    ReturnRequested,
    ShipmentDelivered,
)
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentDeclined,
    PaymentRefunded,
    RefundFailed,
)
from merkato.contracts.users import (
    EmailChanged,
    EmailVerificationRequested,
    PasswordResetRequested,
    RefreshTokenReused,
    RegistrationRepeated,
    StaffInvited,
)

Told = OrderPlaced | OrderConfirmed | OrderCancelled
AfterSale = (
    LinesShipped
    | ShipmentDelivered
    | ReturnRequested
    | ReturnReceived
    | ReturnRejected
    | OrderCredited
)
Later = OrderConfirmed | OrderCancelled | AfterSale
Paid = PaymentDeclined | PaymentActionRequired | PaymentRefunded
Asked = (
    EmailVerificationRequested
    | PasswordResetRequested
    | RegistrationRepeated
    | RefreshTokenReused
    | EmailChanged
    | StaffInvited
)
Alarm = StockLow | RefundFailed | ReservationLost

ABOUT_ORDER = frozenset(  # templates that lead to the page of an order
    {
        "lines_cancelled",
        "order_cancelled",
        "order_confirmed",
        "order_credited",
        "order_placed",
        "order_shipped",
        "payment_action_required",
        "payment_declined",
        "payment_refunded",
        "return_received",
        "return_rejected",
        "return_requested",
        "shipment_delivered",
    }
)
WITH_LINK = frozenset({"email_verification", "password_reset", "staff_invited"})  # users gives it
TO_TELEPHONES = frozenset(  # templates that are worth a telephone's ringing, for whoever wants it
    {
        "order_cancelled",
        "order_shipped",
        "payment_action_required",
        "payment_declined",
        "shipment_delivered",
    }
)
NO_NAME = re.compile(r"[/@:\\]|\.\w\w|.{61}")  # what mail programs would turn into a link, or text


class Staff(msgspec.Struct, frozen=True):
    """Who hears of what people have to look at, and in which locale."""

    addresses: Sequence[str] = ()
    locale: str = "en"


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """A fact to be told to one person, over whichever channels that person wants."""

    fact: str
    template: str
    kind: str = "order"  # order | account | staff
    locale: str
    email: str | None
    phone: str | None = None
    customer_id: UUID | None
    data: Mapping[str, Any]
    brief: Mapping[str, Any] | None = None  # for other channels than mail; None: mail only

    @property
    def urgent(self) -> bool:
        """Tell whether it is worth a telephone's ringing."""
        return self.template in TO_TELEPHONES


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an order, to tell its customer about the payment."""

    order_id: UUID
    number: str
    customer_id: UUID | None
    locale: str
    currency: str
    grand_minor: int
    email: str | None
    name: str | None
    phone: str | None = None


def seen(event: OrderPlaced) -> Seen:
    """Note of a new order what later mails need."""
    contact = event.contact
    return Seen(
        order_id=event.order_id,
        number=event.number,
        customer_id=event.customer_id,
        locale=event.locale,
        currency=event.currency,
        grand_minor=event.totals.grand_minor,
        email=contact.email if contact else None,
        name=greeting_name(contact.name) if contact else None,
        phone=contact.phone if contact else None,
    )


def needs_seen(event: Event) -> bool:
    """Tell whether whom to tell is known only from the order itself."""
    if isinstance(event, Later):
        return event.contact is None
    return isinstance(event, Paid | RefundFailed | ReservationLost)


def tellings(event: Event, order: Seen | None, staff: Staff) -> list[Telling]:
    """Say what is to be told; `order` must be there when `needs_seen(event)`."""
    if isinstance(event, AfterSale):
        return [_after_sale(event, order)]
    match event:
        case OrderPlaced() | OrderConfirmed() | OrderCancelled():
            return [_about_order(event, order)]
        case PaymentDeclined(final=True):
            return []  # the cancellation that follows tells it
        case PaymentDeclined() | PaymentActionRequired() | PaymentRefunded() if order is not None:
            return [_about_payment(event, order)]
        case StockLow() | RefundFailed() | ReservationLost():
            return [_to_staff(event, order, address, staff.locale) for address in staff.addresses]
    if isinstance(event, Asked) and event.email:  # it is empty once its owner was erased
        return [_about_account(event)]
    return []


def greeting_name(name: str | None) -> str | None:
    """Give a name to greet with; None for what is no name but a message to whom we write to."""
    return None if name is None or NO_NAME.search(name) else name


class _Reached(msgspec.Struct, frozen=True):
    email: str | None = None
    name: str | None = None
    phone: str | None = None


def _reached(event: Told | AfterSale, order: Seen | None) -> _Reached:
    """Say how the buyer of an order is reached, and by what name greeted."""
    if (contact := event.contact) is not None:
        return _Reached(contact.email, greeting_name(contact.name), contact.phone)
    return _Reached(order.email, order.name, order.phone) if order else _Reached()


def _about_order(event: Told, order: Seen | None) -> Telling:
    buyer = _reached(event, order)
    step = event.type.split(".")[1].removeprefix("order_")
    brief: dict[str, Any] = {
        "order_id": event.order_id,
        "number": event.number,
        "name": buyer.name,
        "currency": event.currency,
        "totals": event.totals,
    }
    if isinstance(event, OrderCancelled):
        brief |= {"reason": event.reason, "was_confirmed": event.was_confirmed}
    lines = [
        {"title": line.title, "quantity": line.quantity, "gross_minor": line.gross_minor}
        for line in event.lines
    ]
    return Telling(
        fact=f"{event.order_id}.{step}",
        template=f"order_{step}",
        locale=event.locale,
        email=buyer.email,
        phone=buyer.phone,
        customer_id=event.customer_id,
        data={**brief, "lines": lines},
        brief=None if isinstance(event, OrderPlaced) else brief,
    )


def _after_sale(event: AfterSale, order: Seen | None) -> Telling:
    buyer = _reached(event, order)
    data: dict[str, Any] = {
        "order_id": event.order_id,
        "number": event.number,
        "name": buyer.name,
        "currency": event.currency,
        "lines": [
            {"title": line.title or "", "quantity": line.quantity}
            for line in event.lines
            if line.quantity
        ],
    }
    match event:
        case LinesShipped():
            fact, template = f"{event.shipment_id}.shipped", "order_shipped"
            url = event.tracking_url or ""
            data |= {
                "carrier": event.carrier,
                "tracking": event.tracking,
                "tracking_url": url if url.startswith(("https://", "http://")) else None,
                "complete": event.complete,
            }
        case ShipmentDelivered():
            fact, template = f"{event.shipment_id}.delivered", "shipment_delivered"
        case ReturnRequested():
            fact, template = f"{event.return_id}.return-requested", "return_requested"
        case ReturnReceived():
            fact, template = f"{event.return_id}.return-received", "return_received"
        case ReturnRejected():
            fact, template = f"{event.return_id}.return-rejected", "return_rejected"
            data["reason"] = event.reason
        case OrderCredited():
            of_lines = event.kind == "cancellation"
            fact = f"{event.credit_id}.credited"
            template = "lines_cancelled" if of_lines else "order_credited"
            data |= {
                "kind": event.kind,
                "amount_minor": event.amount_minor,
                "reason": event.reason,
            }
    return Telling(
        fact=fact,
        template=template,
        locale=event.locale,
        email=buyer.email,
        phone=buyer.phone,
        customer_id=event.customer_id,
        data=data,
        brief=data,
    )


def _about_payment(event: Paid, order: Seen) -> Telling:
    match event:
        case PaymentRefunded():
            fact, template = f"{event.refund_id}.refunded", "payment_refunded"
        case PaymentDeclined():
            fact, template = f"{event.order_id}.declined.{event.attempt}", "payment_declined"
        case PaymentActionRequired():
            fact = f"{event.order_id}.action-required.{event.attempt}"
            template = "payment_action_required"
    data = {
        "order_id": event.order_id,
        "number": order.number,
        "name": order.name,
        "currency": event.currency,
        "amount_minor": event.amount_minor,
    }
    if isinstance(event, PaymentDeclined):
        data["reason"] = event.reason
    return Telling(
        fact=fact,
        template=template,
        locale=order.locale,
        email=order.email,
        phone=order.phone,
        customer_id=order.customer_id,
        data=data,
        brief=data,
    )


def _about_account(event: Asked) -> Telling:
    data: dict[str, Any] = {}
    match event:
        case EmailVerificationRequested():
            fact, template = f"{event.token_id}.verification", "email_verification"
            data["token_id"] = event.token_id
        case PasswordResetRequested():
            fact, template = f"{event.token_id}.password-reset", "password_reset"
            data["token_id"] = event.token_id
        case RegistrationRepeated():
            fact, template = f"{event.request_id}.registration", "registration_repeated"
        case RefreshTokenReused():
            fact, template = f"{event.session_id}.reused", "refresh_token_reused"
        case EmailChanged():
            fact, template = f"{event.change_id}.email-changed", "email_changed"
            data["new_email"] = event.new_email
        case StaffInvited():
            fact, template = f"{event.invitation_id}.invitation", "staff_invited"
            data |= {"role": event.role, "invited_by": greeting_name(event.invited_by)}
            data["token_id"] = event.token_id
    if not isinstance(event, StaffInvited):
        data["name"] = greeting_name(event.name)
    return Telling(
        fact=fact,
        template=template,
        kind="account",
        locale=event.locale,
        email=event.email,
        customer_id=None if isinstance(event, StaffInvited) else event.user_id,
        data=data,
    )


def _to_staff(event: Alarm, order: Seen | None, address: str, locale: str) -> Telling:
    data: dict[str, Any] = {}
    if order is not None:
        data = {"order_id": order.order_id, "number": order.number, "currency": order.currency}
    match event:
        case StockLow():
            fact, template = f"{event.sku}.stock-low.{event.crossing}", "stock_low"
            data = {"sku": event.sku, "available": event.available, "threshold": event.threshold}
        case RefundFailed():
            fact, template = f"{event.refund_id}.refund-failed", "refund_failed"
            amount = event.amount_minor
            data |= {"refund_id": event.refund_id, "amount_minor": amount, "reason": event.reason}
        case ReservationLost():
            fact, template = f"{event.order_id}.reservation-lost", "reservation_lost"
            data["lines"] = [{"title": line.sku, "quantity": line.quantity} for line in event.lines]
    return Telling(
        fact=fact,
        template=template,
        kind="staff",
        locale=locale,
        email=address,
        customer_id=None,
        data=data,
    )
