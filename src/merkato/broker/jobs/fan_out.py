"""Make deliveries of what was logged: for each endpoint, what it wants, up to a bounded queue."""

from merkato.broker.actions.webhooks import WEBHOOKS
from merkato.broker.store import log
from merkato.broker.store import webhooks as store
from merkato.chassis.service import Resources

PAGE = 1_000  # events looked at per turn, for all endpoints together: their rows are locked
WAITING_MAX = 5_000  # deliveries that wait for one endpoint; the log keeps the rest


async def fan_out(resources: Resources) -> int:
    """Go on for every endpoint that is behind the log. Gives how many were."""
    async with resources.db.reading() as tx:  # most of the time there is nothing to do
        head = await log.head(tx)
        if not await store.is_behind(tx, head):
            return 0
    made = 0
    async with resources.db.transaction() as tx:
        behind = await store.lock_behind(tx, head, WAITING_MAX)
        page = max(1, PAGE // max(1, len(behind)))
        for one in behind:
            made += await store.fan_out(tx, one["id"], one["position"], head, page, one["topics"])
        if made:
            tx.wake(WEBHOOKS)
    return len(behind)
