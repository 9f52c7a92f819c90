"""What inventory does by the clock: end holds nobody stands behind, tell how much there is."""

import asyncio
from uuid import UUID

import structlog

from merkato.chassis.ask import Refusal
from merkato.chassis.outbox import say
from merkato.chassis.service import Resources
from merkato.contracts.inventory import StockChanged, StockLow
from merkato.contracts.orders import OrderState
from merkato.contracts.problem import Problem
from merkato.inventory import actions, store

log = structlog.get_logger()

EXPIRE_MAX = 100  # holds per turn
NEWS_MAX = 500  # skus per turn
LAG_S = 30.0  # how late a change is told that makes no difference to a customer


async def expire(resources: Resources) -> int:
    """End provisional holds that are over time and have no order. Gives how many ended.

    Orders is asked first: if the order exists the hold is kept, without an answer it is left.
    """
    async with resources.db.reading() as tx:
        late = await store.overdue(tx, EXPIRE_MAX)
    exists = await asyncio.gather(*(_order_exists(resources, order_id) for order_id in late))
    keep = [order_id for order_id, yes in zip(late, exists, strict=True) if yes]
    orphans = [order_id for order_id, yes in zip(late, exists, strict=True) if yes is False]
    ended: list[UUID] = []
    if keep or orphans:
        async with resources.db.transaction() as tx:
            ended = await actions.end_provisional(tx, orphans, overdue=True)
            await store.keep(tx, keep)
    return len(ended)


async def _order_exists(resources: Resources, order_id: UUID) -> bool | None:
    try:
        path = f"/api/v1/orders/{order_id}/state"
        await resources.asks.ask("orders", "GET", path, OrderState)
    except Refusal as refusal:
        return False if refusal.status == 404 else None
    except Problem as silent:
        log.warning("orders does not say whether an order exists", error=str(silent))
        return None
    return True


async def stock_news(resources: Resources, *, threshold: int) -> int:
    """Say what changed in a way that matters at once, and the rest after LAG_S."""
    async with resources.db.transaction() as tx:
        rows = await store.lock_unsaid(tx, threshold, LAG_S, NEWS_MAX)
        said = []
        for row in rows:
            low = row["available"] <= row["threshold"]
            crossings = row["crossings"] + (low and not row["low"])
            version = row["version"] + 1
            sku, available = row["sku"], row["available"]
            if row["said"] != available:
                say(tx, StockChanged(sku=sku, available=available, version=version))
            if low and not row["low"]:
                say(tx, StockLow(sku=sku, available=available, threshold=row["threshold"],
                                 crossing=crossings))  # fmt: skip
            said.append((sku, available, low, crossings, version))
        if said:
            await store.set_said(tx, said)
    return len(said) if len(said) == NEWS_MAX else 0
