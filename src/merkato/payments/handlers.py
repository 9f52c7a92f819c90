"""What payments does on hearing of orders and of people who want to be forgotten."""

from collections.abc import Sequence

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.orders import OrderCancelled, OrderPlaced
from merkato.contracts.users import UserErased
from merkato.payments import actions
from merkato.payments.store import payments as store


async def on_order(tx: Tx, heard: Sequence[Heard[OrderPlaced | OrderCancelled]]) -> None:
    """Take down what is due. On account is decided here; for a card a job asks the provider."""
    await actions.follow_orders(tx, [actions.Told(one.id, one.event) for one in heard])


async def on_user_erased(tx: Tx, heard: Sequence[Heard[UserErased]]) -> None:
    """Forget what is said about them."""
    await store.forget(tx, [one.event.user_id for one in heard])


HEARS: Hears = {OrderPlaced: on_order, OrderCancelled: on_order, UserErased: on_user_erased}
