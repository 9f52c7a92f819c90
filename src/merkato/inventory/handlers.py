"""What inventory does on hearing an event."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.catalog import VariantPriced
from merkato.contracts.orders import (
    OrderCancelled,
    OrderConfirmed,
    OrderCredited,
    OrderPlaced,
    ReturnReceived,
)
from merkato.inventory import actions, store
from merkato.inventory import domain as rules

OrderEvent = OrderPlaced | OrderConfirmed | OrderCancelled | ReturnReceived | OrderCredited


async def on_order(tx: Tx, heard: Sequence[Heard[OrderEvent]]) -> None:
    """An order came, is fulfilled or not, or some of its goods come back."""
    await actions.follow_orders(tx, [_news(one.event, one.id) for one in heard])


def _news(event: OrderEvent, cause: UUID) -> actions.OrderNews:
    source: UUID | None = None
    match event:
        case OrderPlaced():
            what, pieces = rules.Heard.PLACED, _ordered(event)
        case OrderConfirmed():
            what, pieces = rules.Heard.CONFIRMED, _ordered(event)
        case OrderCancelled():
            what, pieces = rules.Heard.CANCELLED, _ordered(event)
        case ReturnReceived():
            what, source = rules.Heard.RETURNED, event.return_id
            pieces = [(line.sku, line.restocked) for line in event.lines if line.tracked]
        case OrderCredited():
            what, source = rules.Heard.RETURNED, event.credit_id
            pieces = _taken_off(event)
    wanted: Counter[str] = Counter()
    for sku, n in pieces:
        wanted[sku] += n
    tracked = {sku: n for sku, n in sorted(wanted.items()) if n}
    return actions.OrderNews(event.order_id, what, tracked, cause, source)


def _ordered(event: OrderPlaced | OrderConfirmed | OrderCancelled) -> list[tuple[str, int]]:
    return [(line.sku, line.quantity - line.cancelled) for line in event.lines if line.tracked]


def _taken_off(event: OrderCredited) -> list[tuple[str, int]]:
    if event.kind != "cancellation":
        return []
    return [(one.sku, one.quantity) for one in event.lines if one.sku and one.tracked]


async def on_priced(tx: Tx, heard: Sequence[Heard[VariantPriced]]) -> None:
    """A sku is sold from now on: it gets a first row of stock, or the one counted before."""
    tracked = [one.event for one in heard if one.event.track_stock]
    if tracked:
        await store.respell(tx, [event.sku for event in tracked if event.active])
        await store.ensure(tx, [event.sku for event in tracked])


HEARS: Hears = {
    OrderPlaced: on_order,
    OrderConfirmed: on_order,
    OrderCancelled: on_order,
    ReturnReceived: on_order,
    OrderCredited: on_order,
    VariantPriced: on_priced,
}
