"""What inventory does on hearing an event."""

from collections.abc import Sequence

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.catalog import VariantPriced
from merkato.contracts.orders import OrderCancelled, OrderConfirmed, OrderPlaced
from merkato.inventory import actions, store
from merkato.inventory import domain as rules

OrderEvent = OrderPlaced | OrderConfirmed | OrderCancelled


async def on_order(tx: Tx, heard: Sequence[Heard[OrderEvent]]) -> None:
    """An order came, will be fulfilled or will not: keep, hand over or free its goods."""
    await actions.follow_orders(tx, [_news(one) for one in heard])


def _news(one: Heard[OrderEvent]) -> actions.OrderNews:
    match one.event:
        case OrderPlaced():
            what = rules.Heard.PLACED
        case OrderConfirmed():
            what = rules.Heard.CONFIRMED
        case OrderCancelled():
            what = rules.Heard.CANCELLED
    wanted: dict[str, int] = {}
    for line in one.event.lines:
        if line.tracked:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    return actions.OrderNews(one.event.order_id, what, dict(sorted(wanted.items())), one.id)


async def on_priced(tx: Tx, heard: Sequence[Heard[VariantPriced]]) -> None:
    """A sku is sold from now on: it gets a first row of stock."""
    tracked = [one.event.sku for one in heard if one.event.track_stock]
    if tracked:
        await store.ensure(tx, tracked)


HEARS: Hears = {
    OrderPlaced: on_order,
    OrderConfirmed: on_order,
    OrderCancelled: on_order,
    VariantPriced: on_priced,
}
