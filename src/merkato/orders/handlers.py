"""What orders does on hearing an event."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears, NotYet
from merkato.contracts.catalog import (
    ProductArchived,
    ProductChanged,
    ProductPublished,
    VariantPriced,
)
from merkato.contracts.inventory import ReservationLost
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
    RefundFailed,
)
from merkato.orders.actions import life as actions
from merkato.orders.actions.credits import lose
from merkato.orders.actions.placing import newest_offers
from merkato.orders.domain.life import Verdict
from merkato.orders.store import offers, reports


async def on_verdict(tx: Tx, heard: Sequence[Heard[Verdict]]) -> None:
    """Payments or inventory has decided: move the orders on."""
    verdicts = [
        (one.event.order_id, one.event, one.id, one.event.type.partition(".")[0]) for one in heard
    ]
    unknown = await actions.settle(tx, verdicts, datetime.now(UTC))
    if unknown:
        raise NotYet(f"orders not known yet: {sorted(unknown)}")


async def on_dispute(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """A charge is denied. If it is lost its money is gone, and the order costs that much less."""
    await on_verdict(tx, heard)
    for one in heard:
        if one.event.state == "lost":
            about = one.event.order_id, one.event.dispute_id, one.event.amount_minor
            await lose(tx, *about, datetime.now(UTC))


async def on_priced(tx: Tx, heard: Sequence[Heard[VariantPriced]]) -> None:
    """Keep our copy of what is sold up to date."""
    await offers.keep_offers(tx, newest_offers([one.event for one in heard]))


async def on_product(tx: Tx, heard: Sequence[Heard[reports.ProductNews]]) -> None:
    """Keep which product and which categories each sku is of; reports count by them."""
    await reports.keep_products(tx, [one.event for one in heard])


HEARS: Hears = {
    PaymentAuthorised: on_verdict,
    PaymentCaptured: on_verdict,
    PaymentDeclined: on_verdict,
    PaymentActionRequired: on_verdict,
    PaymentVoided: on_verdict,
    PaymentRefunded: on_verdict,
    RefundFailed: on_verdict,
    PaymentDisputed: on_dispute,
    ReservationLost: on_verdict,
    VariantPriced: on_priced,
    ProductPublished: on_product,
    ProductChanged: on_product,
    ProductArchived: on_product,
}
