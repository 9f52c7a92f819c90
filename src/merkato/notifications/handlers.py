"""What notifications does on hearing events: queue messages. Nothing is rendered or sent here."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

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
from merkato.notifications.actions import messages as actions
from merkato.notifications.domain import facts
from merkato.notifications.domain.preferences import notices as spread
from merkato.notifications.store import messages, preferences

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


NOBODY = UUID(int=0)


class House(msgspec.Struct, frozen=True):
    """Who hears of what staff must look at, and the channels there are."""

    staff: facts.Staff
    channels: frozenset[str]


async def on_fact(house: House, tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """Queue a message for everybody who should know.

    Raises NotYet for news of the payment of an order that was not heard of yet.
    """
    events = [one.event for one in heard]
    placed = [facts.seen(event) for event in events if isinstance(event, OrderPlaced)]
    if placed:
        await messages.remember(tx, placed)
    wanted = {event.order_id for event in events if facts.needs_seen(event)}
    known = await messages.seen(tx, list(wanted)) if wanted else {}
    if unknown := wanted - known.keys():
        raise NotYet(f"order {min(unknown)}")
    told: list[facts.Telling] = []
    for event in events:
        order = known.get(event.order_id) if facts.needs_seen(event) else None
        told += facts.tellings(event, order, house.staff)
    users = {one.customer_id for one in told if one.customer_id and one.brief is not None}
    choices = await preferences.choices(tx, sorted(users)) if users else {}
    notices = [
        notice
        for one in told
        for notice in spread(one, choices.get(one.customer_id or NOBODY, {}), house.channels)
    ]
    await actions.tell(tx, notices)


def hears(house: House) -> Hears:
    """Make the table of what is heard, told as the house is furnished for."""

    async def on_told(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        await on_fact(house, tx, heard)

    return dict.fromkeys(TOLD, on_told)
