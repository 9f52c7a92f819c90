"""What orders does by the clock: ask about every order that stands still, so that all of them end.

It needs no broker: what it learns by asking goes through the same rules as an event, and an event
that seems lost is published again under its own id.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from merkato.chassis import outbox
from merkato.chassis.ask import Refusal
from merkato.chassis.service import Resources
from merkato.config import Seller
from merkato.contracts.orders import OrderPlaced
from merkato.contracts.payments import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentState,
)
from merkato.contracts.problem import Problem
from merkato.orders.actions import life as actions
from merkato.orders.domain.life import Verdict
from merkato.orders.store import life, sellers

log = structlog.get_logger()

WATCH_MAX = 100  # orders per turn
AGAIN_S = 30.0  # how long until one that still stands is asked about again
ACTOR = "watch"


async def watch(resources: Resources) -> int:
    """Ask payments about placed orders that stand still. Gives how many were moved."""
    async with resources.db.reading() as tx:
        standing = await life.standing(tx, WATCH_MAX)
    if not standing:
        return 0
    answers = await asyncio.gather(*(_ask(resources, row["id"]) for row in standing))
    moved = 0
    for row, answer in zip(standing, answers, strict=True):
        if answer is not None:
            moved += await _decide(resources, row["id"], row["over"], answer)
    async with resources.db.transaction() as tx:
        await life.look_later(tx, [row["id"] for row in standing], AGAIN_S)
    return moved if len(standing) == WATCH_MAX else 0


async def _ask(resources: Resources, order_id: UUID) -> PaymentState | str | None:
    """Give what payments knows, ``unheard`` if it never heard of the order, None for silence."""
    try:
        path = f"/api/v1/payments/by-order/{order_id}"
        return await resources.asks.ask("payments", "GET", path, PaymentState)
    except Refusal as refusal:
        return "unheard" if refusal.status == 404 else None
    except Problem as silent:
        log.warning("payments does not answer", error=str(silent))
        return None


async def _decide(
    resources: Resources, order_id: UUID, over: bool, answer: PaymentState | str
) -> bool:
    """Move one order by what was learnt; without news it is cancelled once its time is over."""
    verdict = _verdict(answer) if isinstance(answer, PaymentState) else None
    now = datetime.now(UTC)
    async with resources.db.transaction() as tx:
        if verdict is not None:
            await actions.settle(tx, [(order_id, verdict, None, ACTOR)], now)
        elif over:
            await actions.cancel(tx, order_id, "payment-timeout", now, actor=ACTOR)
        elif answer == "unheard":
            log.warning("payments never heard of an order; said again", order_id=order_id)
            await outbox.ask_again(tx, str(order_id), OrderPlaced.type)
            return False
        else:
            return False
    return True


def _verdict(known: PaymentState) -> Verdict | None:
    about: dict[str, Any] = {
        "order_id": known.order_id, "payment_id": known.payment_id,
        "amount_minor": known.amount_minor, "currency": known.currency,
    }  # fmt: skip
    match known.state:
        case "authorised":
            return PaymentAuthorised(**about, method=known.method)
        case "captured":
            return PaymentCaptured(**about)
        case "declined" if known.final:
            why = known.reason or "declined"
            return PaymentDeclined(**about, attempt=known.attempt, reason=why, final=True)
        case _:
            return None


async def keep_seller(resources: Resources, *, seller: Seller) -> int:
    """Note who sells, when that has changed."""
    async with resources.db.transaction() as tx:
        await sellers.keep(tx, seller)
    return 0
