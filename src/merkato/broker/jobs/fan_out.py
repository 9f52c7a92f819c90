"""Make deliveries of what was logged: for each endpoint, what it wants, up to a bounded queue."""

import asyncio
import time

from merkato.broker.actions.webhooks import WEBHOOKS
from merkato.broker.store import log
from merkato.broker.store import webhooks as store
from merkato.chassis.load import in_turn
from merkato.chassis.service import Resources

PAGE = 200  # events looked at for each endpoint in one turn
WAITING_MAX = 5_000  # deliveries that wait for one endpoint; the log keeps the rest
PACE_S = 0.15  # what is logged within this becomes deliveries together
REST = 2  # times as long as a turn took is rested after it: who sends is to have the database too


async def fan_out(resources: Resources) -> int:
    """Go on for every endpoint that is behind the log. Gives how many were."""
    async with resources.db.reading() as tx:  # most of the time there is nothing to do
        head = await log.head(tx)
        if not await store.is_behind(tx, head):
            return 0
    async with in_turn():
        began = time.monotonic()
        async with resources.db.transaction() as tx:
            moved, made = await store.fan_out(tx, head, WAITING_MAX, PAGE)
            if made:
                tx.wake(WEBHOOKS)
        took = time.monotonic() - began
    await asyncio.sleep(max(PACE_S, REST * took))
    return moved
