"""What catalog does on hearing an event."""

from collections.abc import Sequence
from functools import partial

from merkato.catalog.domain.products import stock_level
from merkato.catalog.store import availability, products
from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.inventory import StockChanged


async def on_stock_changed(tx: Tx, heard: Sequence[Heard[StockChanged]], *, few_below: int) -> None:
    """Keep the newest of each sku; show products anew of which a sku ran out or came back."""
    newest: dict[str, StockChanged] = {}
    for one in heard:
        key = one.event.sku.lower()
        known = newest.get(key)
        if known is None or known.version < one.event.version:
            newest[key] = one.event
    levels = {key: stock_level(event.available, few_below) for key, event in newest.items()}
    turned = await availability.keep(tx, newest, levels)
    if turned:
        changed = await availability.products_of(tx, turned)
        await products.show_stock(tx, await products.lock_all(tx, changed))


def hears(few_below: int) -> Hears:
    """Give the table of what is heard; fewer pieces than `few_below` are few."""
    return {StockChanged: partial(on_stock_changed, few_below=few_below)}
