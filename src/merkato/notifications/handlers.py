"""What notifications does on hearing events: queue messages. Nothing is rendered or sent here."""

from collections.abc import Sequence
from typing import Any

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears, NotYet
from merkato.contracts.inventory import StockLow
from merkato.contracts.orders import OrderCancelled, OrderConfirmed, OrderPlaced
from merkato.contracts.payments import PaymentActionRequired, PaymentDeclined, PaymentRefunded
from merkato.contracts.users import (
    EmailVerificationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    UserErased,
)
from merkato.notifications import actions, domain, store

TOLD = (
    OrderPlaced,
    OrderConfirmed,
    OrderCancelled,
    PaymentDeclined,
    PaymentActionRequired,
    PaymentRefunded,
    EmailVerificationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    StockLow,
    UserErased,
)


async def on_fact(staff: Sequence[str], tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """Queue a message for everybody who should know, and forget those who asked for it.

    Raises NotYet for news of the payment of an order that was not heard of yet.
    """
    events = [one.event for one in heard]
    placed = [domain.seen(event) for event in events if isinstance(event, OrderPlaced)]
    if placed:
        await store.remember(tx, placed)
    wanted = {event.order_id for event in events if domain.needs_seen(event)}
    known = await store.seen(tx, list(wanted)) if wanted else {}
    if unknown := wanted - known.keys():
        raise NotYet(f"order {min(unknown)}")
    notices = []
    for event in events:
        order = known.get(event.order_id) if domain.needs_seen(event) else None
        notices += domain.notices(event, order, staff)
    await actions.tell(tx, notices)
    erased = [event.user_id for event in events if isinstance(event, UserErased)]
    if erased:
        await actions.erase(tx, erased)


def hears(staff: Sequence[str]) -> Hears:
    """Make the table of what is heard; `staff` are the addresses told of low stock."""

    async def on_told(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        await on_fact(staff, tx, heard)

    return dict.fromkeys(TOLD, on_told)
