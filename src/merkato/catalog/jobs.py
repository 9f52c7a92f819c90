"""What catalog does by the clock."""

from merkato.catalog.actions import products as actions
from merkato.catalog.store import products as store
from merkato.chassis.service import Resources

DUE_MAX = 100  # products per turn


async def tell_prices(resources: Resources) -> int:
    """Say what has a new price since a moment ago, by its `valid_from`. Gives how many products."""
    async with resources.db.reading() as tx:
        due = await store.prices_due(tx, DUE_MAX)
    async with resources.db.transaction() as tx:
        await actions.tell_prices(tx, due)
    return len(due)
