"""Statements about the people who ordered."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx

GUESTS_ORDERS = "select id from orders where id = any($1) and customer_id is null"


async def guests_orders(tx: Tx, order_ids: Sequence[UUID]) -> list[UUID]:
    """Name those of some orders that are of guests."""
    return [row["id"] for row in await tx.fetch(GUESTS_ORDERS, list(order_ids))]
