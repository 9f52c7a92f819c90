"""What notifications does on hearing events: queue messages. Nothing is rendered or sent here."""

from collections.abc import Sequence
from typing import Any

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears, NotYet
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
from merkato.notifications import actions, store
from merkato.notifications.domain import facts

TOLD = (
    OrderPlaced,
    OrderConfirmed,
    OrderCancelled,
    LinesShipped,
    ShipmentDelivered,
    ReturnRequested,
    ReturnReceived,
    ReturnRejected,
    OrderCredited,
    PaymentDeclined,
    PaymentActionRequired,
    PaymentRefunded,
    RefundFailed,
    ReservationLost,
    EmailVerificationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    RefreshTokenReused,
    EmailChanged,
    StaffInvited,
    StockLow,
)


async def on_fact(staff: facts.Staff, tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """Queue a message for everybody who should know.

    Raises NotYet for news of the payment of an order that was not heard of yet.
    """
    events = [one.event for one in heard]
    placed = [facts.seen(event) for event in events if isinstance(event, OrderPlaced)]
    if placed:
        await store.remember(tx, placed)
    wanted = {event.order_id for event in events if facts.needs_seen(event)}
    known = await store.seen(tx, list(wanted)) if wanted else {}
    if unknown := wanted - known.keys():
        raise NotYet(f"order {min(unknown)}")
    told = []
    for event in events:
        order = known.get(event.order_id) if facts.needs_seen(event) else None
        told += facts.notices(event, order, staff)
    await actions.tell(tx, told)


def hears(staff: facts.Staff) -> Hears:
    """Make the table of what is heard; `staff` hear of what people have to look at."""

    async def on_told(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        await on_fact(staff, tx, heard)

    return dict.fromkeys(TOLD, on_told)
