"""Forgetting who ordered. What was ordered, for how much and where it was taxed stays."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from merkato.chassis import forgetting
from merkato.chassis.db import Tx
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.orders import OrderErased
from merkato.contracts.problem import NotFound
from merkato.orders.domain.people import spellings
from merkato.orders.store import people as store


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders were erased, and how many were left because they belong to accounts."""

    erased: int
    of_accounts: int = 0


async def forget(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[UUID]:
    """Overwrite the buyers of orders, by account or by order; see chassis.forgetting."""
    rows = await store.lock(tx, users, orders)
    ids = [row["id"] for row in rows]
    carts = [row["cart_id"] for row in rows if row["cart_id"] is not None]
    await store.forget_contacts(tx, ids)
    await store.forget_notes(tx, ids)
    await store.forget_words(tx, ids)
    await store.forget_returns(tx, ids)
    await store.forget_credits(tx, ids)
    await store.forget_carts(tx, users, carts)
    return [*ids, *carts]


async def erase_order(tx: Tx, caller: Caller, order_id: UUID) -> Erased:
    """Forget the buyer of one order, here and everywhere. Raises NotFound."""
    if not await store.lock(tx, [], [order_id]):
        raise NotFound("There is no such order.")
    await _erase(tx, caller, [order_id])
    return Erased(erased=1)


async def erase_guest(tx: Tx, caller: Caller, email: str) -> Erased:
    """Forget a guest by mail address, in all orders; those of accounts go with their account."""
    rows = await store.reached_by(tx, spellings(email))
    guests = sorted(row["order_id"] for row in rows if row["customer_id"] is None)
    await _erase(tx, caller, guests)
    return Erased(erased=len(guests), of_accounts=len(rows) - len(guests))


async def _erase(tx: Tx, caller: Caller, order_ids: Sequence[UUID]) -> None:
    await forget(tx, [], order_ids)
    await forgetting.note(tx, [], order_ids)
    for order_id in order_ids:
        note(tx, caller, "orders.buyer_erased", f"order:{order_id}")
    say(tx, *(OrderErased(order_id=order_id) for order_id in order_ids))
