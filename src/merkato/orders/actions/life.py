"""Orders move on by verdicts, or are cancelled. Runs inside the transaction it is given."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from merkato.chassis.db import Row, Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.contracts.orders import Line, OrderCancelled, OrderConfirmed, Totals
from merkato.contracts.problem import NotFound
from merkato.contracts.values import Contact
from merkato.orders.actions import coupons
from merkato.orders.domain import life
from merkato.orders.domain.life import State, Status, Step
from merkato.orders.store import life as rows


async def settle(
    tx: Tx, verdicts: Sequence[tuple[UUID, life.Verdict, UUID | None, str]], now: datetime
) -> set[UUID]:
    """Move orders on after hearing verdicts: (order, verdict, cause, actor), in order per order.

    Late and repeated verdicts change nothing. Gives the orders that are not here.
    """
    locked = await rows.lock(tx, [order_id for order_id, *_ in verdicts])
    moves = _Moves(locked)
    for order_id, verdict, cause, actor in verdicts:
        if order_id in locked:
            moves.take(life.advance(moves.states[order_id], verdict), cause, actor)
    await moves.write(tx, now)
    return {order_id for order_id, *_ in verdicts} - locked.keys()


async def cancel(
    tx: Tx, order_id: UUID, reason: str, now: datetime, *, actor: str, detail: str | None = None
) -> None:
    """End an order. Harmless to repeat; raises NotFound, and StateConflict once shipped."""
    locked = await rows.lock(tx, [order_id])
    if order_id not in locked:
        raise NotFound("There is no such order.")
    moves = _Moves(locked)
    moves.take(life.cancel(moves.states[order_id], reason, detail=detail), None, actor)
    await moves.write(tx, now)


class _Moves:
    """Steps of locked orders, gathered in memory and written in one go."""

    def __init__(self, locked: Mapping[UUID, Row]) -> None:
        self.locked = locked
        self.states = {order_id: rows.state(row) for order_id, row in locked.items()}
        self.timeline: list[tuple[Any, ...]] = []
        self.ended: list[tuple[Step, UUID | None]] = []
        self.changed: dict[UUID, State] = {}

    def take(self, step: Step | None, cause: UUID | None, actor: str) -> None:
        """Note one step."""
        if step is None:
            return
        after = step.after
        before = self.states[after.order_id]
        self.timeline.append(
            (
                after.order_id, after.steps, step.what, before.status.value if step.moved else None,
                after.status.value if step.moved else None, actor, cause, step.detail,
            )
        )  # fmt: skip
        self.states[after.order_id] = self.changed[after.order_id] = after
        if step.moved:
            self.ended.append((step, cause))

    async def write(self, tx: Tx, now: datetime) -> None:
        """Write the steps and say what is to be said of them."""
        if not self.changed:
            return
        await rows.update(tx, list(self.changed.values()), now)
        await rows.add_steps(tx, self.timeline, now)
        credits = {
            step.after.order_id: (new_id(), step.credit_minor)
            for step, _ in self.ended
            if step.credit_minor
        }
        if self.ended:
            await rows.no_longer_standing(tx, [step.after.order_id for step, _ in self.ended])
            told = sorted({step.after.order_id for step, _ in self.ended})
            lines, contacts = await rows.lines(tx, told), await rows.contacts(tx, told)
            for step, cause in self.ended:
                order_id = step.after.order_id
                about = self.locked[order_id], lines[order_id], contacts.get(order_id)
                credit_id, _ = credits.get(order_id, (None, 0))
                say(tx, _event(step, *about, credit_id), cause=cause)
        if credits:
            whole = [(id, order_id, amount) for order_id, (id, amount) in credits.items()]
            await rows.credit_whole(tx, whole)
        if any(row["coupon"] for row in self.locked.values()):
            await self._follow_coupons(tx)
        by_card = [i for i in self.changed if self.locked[i]["payment_method"] == "card"]
        if by_card:
            await rows.hide_tokens(tx, by_card)

    async def _follow_coupons(self, tx: Tx) -> None:
        ends: dict[Status, list[UUID]] = {Status.CONFIRMED: [], Status.CANCELLED: []}
        for step, _ in self.ended:
            if self.locked[step.after.order_id]["coupon"]:
                ends[step.after.status].append(step.after.order_id)
        await coupons.follow(tx, ends[Status.CONFIRMED], ends[Status.CANCELLED])


def _event(
    step: Step,
    row: Row,
    lines: tuple[Line, ...],
    contact: Contact | None,
    credit_id: UUID | None,
) -> OrderConfirmed | OrderCancelled:
    common: dict[str, Any] = {
        "order_id": row["order_id"],
        "number": row["number"],
        "customer_id": row["customer_id"],
        "lines": lines,
        "totals": Totals(
            items_minor=row["items_minor"],
            discount_minor=row["discount_minor"],
            shipping_minor=row["shipping_minor"],
            tax_minor=row["tax_minor"],
            grand_minor=row["grand_minor"],
            credited_minor=step.after.credited_minor,
        ),
        "currency": row["currency"],
        "locale": row["locale"],
        "contact": contact,
    }
    if step.after.status is Status.CONFIRMED:
        return OrderConfirmed(**common)
    reason = step.after.reason or "customer"
    return OrderCancelled(
        **common, reason=reason, was_confirmed=step.was_confirmed, credit_id=credit_id
    )
