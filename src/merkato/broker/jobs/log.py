"""Keep the log: make its partitions, drop what is too old."""

from merkato.broker.store import deliveries, letters, log, topics
from merkato.chassis.service import Resources


async def keep_log(resources: Resources, *, days: int) -> int:
    """Make room for the next days, drop what is too old. Gives how much was forgotten."""
    async with resources.db.transaction() as tx:
        await log.keep(tx, days)
    async with resources.db.transaction() as tx:
        await letters.forget(tx)
        return await topics.forget(tx, days) + await deliveries.forget(tx, days)
