"""Which fact is told to whom in which words. Pure.

queued --taken by the mail server--> sent
queued --refused for good, too old, erased--> failed
sent, failed --staff asks--> queued
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from merkato.contracts.event import Event
from merkato.contracts.inventory import StockLow
from merkato.contracts.orders import OrderCancelled, OrderConfirmed, OrderPlaced
from merkato.contracts.payments import PaymentActionRequired, PaymentDeclined, PaymentRefunded
from merkato.contracts.users import (
    EmailVerificationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
)

Told = OrderPlaced | OrderConfirmed | OrderCancelled
Paid = PaymentDeclined | PaymentActionRequired | PaymentRefunded
Asked = EmailVerificationRequested | PasswordResetRequested | RegistrationRepeated

WITH_LINK = frozenset({"email_verification", "password_reset"})  # users is asked for their link
FIRST_PAUSE_S = 5  # until the second try; doubled for each further one
LAST_PAUSE_S = 1_800
GIVE_UP_AFTER = timedelta(hours=48)  # a mail that could not be sent for so long is given up
NO_NAME = re.compile(r"[/@:\\]|\.\w\w|.{61}")  # what mail programs would turn into a link, or text
NOT_IN_A_MESSAGE_ID = re.compile(r"[^A-Za-z0-9.-]+")


class State(StrEnum):
    """Where a message is in its life."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


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


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell somebody: at most one message per (fact, template, recipient)."""

    channel: str  # email | inbox
    fact: str
    template: str
    locale: str
    recipient: str
    customer_id: UUID | None
    data: Mapping[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is kept."""

    id: UUID
    channel: str
    fact: str
    template: str
    locale: str
    recipient: str
    data: dict[str, Any]
    edition: int = 1
    tries: int = 0  # counts the try under way
    last_try: bool = False  # it has waited too long: if this try fails, it is given up


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one try. Neither `sent` nor `failed`: it will be tried again."""

    message: Message
    sent: bool = False
    failed: bool = False
    tried: bool = True  # False: its turn did not come
    reason: str = ""


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
    )


def needs_seen(event: Event) -> bool:
    """Tell whether whom to tell is known only from the order itself."""
    unaddressed = isinstance(event, OrderConfirmed | OrderCancelled) and event.contact is None
    return unaddressed or isinstance(event, Paid)


def notices(event: Event, order: Seen | None, staff: Sequence[str]) -> list[Notice]:
    """Say what is to be told; `order` must be there when `needs_seen(event)`."""
    match event:
        case OrderPlaced() | OrderConfirmed() | OrderCancelled():
            return _about_order(event, order)
        case PaymentDeclined(final=True):
            return []  # the cancellation that follows tells it
        case PaymentDeclined() | PaymentActionRequired() | PaymentRefunded() if order is not None:
            return _about_payment(event, order)
        case EmailVerificationRequested() | PasswordResetRequested() | RegistrationRepeated():
            return [_about_account(event)]
        case StockLow():
            return [_about_stock(event, address) for address in staff]
    return []


def greeting_name(name: str | None) -> str | None:
    """Give a name to greet with; None for what is no name but a message to whom we write to."""
    return None if name is None or NO_NAME.search(name) else name


def _about_order(event: Told, order: Seen | None) -> list[Notice]:
    contact = event.contact
    email = contact.email if contact else order.email if order else None
    name = greeting_name(contact.name) if contact else order.name if order else None
    step = event.type.split(".")[1].removeprefix("order_")
    brief: dict[str, Any] = {
        "order_id": event.order_id,
        "number": event.number,
        "name": name,
        "currency": event.currency,
        "totals": event.totals,
    }
    if isinstance(event, OrderCancelled):
        brief |= {"reason": event.reason, "was_confirmed": event.was_confirmed}
    lines = [
        {"title": line.title, "quantity": line.quantity, "gross_minor": line.gross_minor}
        for line in event.lines
    ]
    return _by_mail_and_inbox(
        fact=f"{event.order_id}.{step}",
        template=f"order_{step}",
        locale=event.locale,
        email=email,
        inbox_of=None if isinstance(event, OrderPlaced) else event.customer_id,
        customer_id=event.customer_id,
        data={**brief, "lines": lines},
        brief=brief,
    )


def _about_payment(event: Paid, order: Seen) -> list[Notice]:
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
    return _by_mail_and_inbox(
        fact=fact,
        template=template,
        locale=order.locale,
        email=order.email,
        inbox_of=order.customer_id if isinstance(event, PaymentRefunded) else None,
        customer_id=order.customer_id,
        data=data,
        brief=data,
    )


def _by_mail_and_inbox(
    *,
    fact: str,
    template: str,
    locale: str,
    email: str | None,
    inbox_of: UUID | None,
    customer_id: UUID | None,
    data: Mapping[str, Any],
    brief: Mapping[str, Any],
) -> list[Notice]:
    told = []
    if email is not None:
        told.append(("email", email, data))
    if inbox_of is not None:
        told.append(("inbox", f"user:{inbox_of}", brief))
    return [
        Notice(
            channel=channel,
            fact=fact,
            template=template,
            locale=locale,
            recipient=recipient,
            customer_id=customer_id,
            data=shown,
        )
        for channel, recipient, shown in told
    ]


def _about_account(event: Asked) -> Notice:
    match event:
        case EmailVerificationRequested():
            fact, template = f"{event.token_id}.verification", "email_verification"
        case PasswordResetRequested():
            fact, template = f"{event.token_id}.password-reset", "password_reset"
        case RegistrationRepeated():
            fact, template = f"{event.request_id}.registration", "registration_repeated"
    data: dict[str, Any] = {"name": greeting_name(event.name)}
    if not isinstance(event, RegistrationRepeated):
        data["token_id"] = event.token_id
    return Notice(
        channel="email",
        fact=fact,
        template=template,
        locale=event.locale,
        recipient=event.email,
        customer_id=event.user_id,
        data=data,
    )


def _about_stock(event: StockLow, address: str) -> Notice:
    return Notice(
        channel="email",
        fact=f"{event.sku}.stock-low.{event.crossing}",
        template="stock_low",
        locale="en",
        recipient=address,
        customer_id=None,
        data={"sku": event.sku, "available": event.available, "threshold": event.threshold},
    )


def message_id(message: Message, domain: str) -> str:
    """Name a mail so that each try has the same Message-ID (RFC 5322, 3.6.4), without brackets."""
    fact = NOT_IN_A_MESSAGE_ID.sub("-", message.fact).strip(".-").replace("..", ".")
    again = f".{message.edition}" if message.edition > 1 else ""
    return f"{fact}.{message.id.hex[:8]}{again}@{domain}"


def pause_s(tries: int) -> int:
    """Give the seconds to wait after so many tries: 5, 10, 20 … half an hour."""
    return min(FIRST_PAUSE_S << min(tries - 1, 20), LAST_PAUSE_S) if tries > 0 else 0
