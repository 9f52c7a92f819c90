"""What payments does on hearing of orders and of people who want to be forgotten."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.orders import LinesShipped, OrderCancelled, OrderCredited, OrderPlaced
from merkato.payments import actions
from merkato.payments.store import payments as store
from merkato.payments.store import webhooks


async def on_order(tx: Tx, heard: Sequence[Heard[actions.News]]) -> None:
    """Take down what is due. On account is decided here; for a card a job asks the provider."""
    await actions.follow_orders(tx, [actions.Told(one.id, one.event) for one in heard])


async def forget(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[UUID]:
    """Forget what is said about people; money stays. See chassis.forgetting."""
    rows = await store.of_people(tx, users, orders)
    ids = [row["id"] for row in rows]
    await store.forget_notes(tx, ids)
    await webhooks.forget(tx, ids)
    return [id for row in rows for id in (row["id"], row["order_id"])]


HEARS: Hears = {
    OrderPlaced: on_order,
    OrderCancelled: on_order,
    LinesShipped: on_order,
    OrderCredited: on_order,
}
