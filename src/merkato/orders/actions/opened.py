"""An order opened for a change of its goods or its money: locked, changed, written whole."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.contracts.orders import CreditLine, OrderCredited, Pieces
from merkato.contracts.problem import NotFound, StateConflict
from merkato.orders.domain import credits, life
from merkato.orders.domain.credits import Part
from merkato.orders.domain.goods import Goods, complete, fulfilment
from merkato.orders.domain.life import Status
from merkato.orders.store import goods as store
from merkato.orders.store import life as rows

Kind = Literal["cancellation", "return", "goodwill"]


class Opened:
    """A locked order, what was changed of it so far, and what is to be said of that."""

    def __init__(
        self, tx: Tx, row: Row, lines: dict[int, Goods], actor: str, now: datetime
    ) -> None:
        self.tx, self.row, self.lines, self.actor, self.now = tx, row, lines, actor, now
        self.order_id: UUID = row["order_id"]
        self.steps: int = row["steps"]
        self.credited_minor: int = row["credited_minor"]
        self.shipping = (row["credited_shipping_minor"], row["credited_shipping_tax_minor"])
        self._changed: set[int] = set()
        self._timeline: list[tuple[Any, ...]] = []

    def put(self, changed: Iterable[Goods]) -> None:
        """Exchange lines."""
        for line in changed:
            self.lines[line.line_no] = line
            self._changed.add(line.line_no)

    def note(self, what: str, detail: str | None = None) -> None:
        """Add a line to the timeline."""
        self.steps += 1
        entry = (self.order_id, self.steps, what, None, None, self.actor, None, detail)
        self._timeline.append(entry)

    def about(self) -> dict[str, Any]:
        """Give the fields that every event of these has."""
        fields = ("order_id", "number", "customer_id", "currency", "locale")
        contact = msgspec.convert(self.row["contact"], rows.KnownContact)
        return {name: self.row[name] for name in fields} | {"contact": contact}

    def pieces(self, chosen: Sequence[tuple[Goods, int]]) -> tuple[Pieces, ...]:
        """Tell of pieces of lines."""
        return tuple(
            Pieces(line_no=g.line_no, sku=g.sku, title=g.title, quantity=n, tracked=g.tracked)
            for g, n in chosen
        )

    @property
    def shipping_left(self) -> credits.Money:
        """Give what of the shipping was not credited yet."""
        gross, tax = self.shipping
        return credits.Money(
            gross_minor=self.row["shipping_minor"] - gross,
            tax_minor=self.row["shipping_tax_minor"] - tax,
        )

    async def credit(
        self,
        kind: Kind,
        parts: Sequence[Part],
        reason: str | None = None,
        *,
        return_id: UUID | None = None,
        words: str | None = None,
        credit_id: UUID | None = None,
    ) -> UUID:
        """Give money back, and say so; the lines are those after the change. Gives its id.

        `reason` is for the customer and shown to everybody; `words` are the customer's own.
        """
        credit_id = credit_id or new_id()
        amount = sum(part.gross_minor for part in parts)
        self.put(credits.book(self.lines, parts))
        for part in parts:
            if part.line_no == credits.SHIPPING:
                gross, tax = self.shipping
                self.shipping = gross + part.gross_minor, tax + part.tax_minor
        self.credited_minor += amount
        await store.add_credit(
            self.tx, credit_id, self.order_id, kind, amount, return_id, reason, self.actor,
            [(p.line_no, p.quantity, p.net_minor, p.tax_minor, p.gross_minor) for p in parts],
        )  # fmt: skip
        what = "lines_cancelled" if kind == "cancellation" else "credited"
        self.note(what, words or reason or f"{amount} minor")
        say(
            self.tx,
            OrderCredited(
                **self.about(),
                credit_id=credit_id,
                kind=kind,
                amount_minor=amount,
                lines=tuple(self._credit_line(part) for part in parts),
                return_id=return_id,
                reason=reason,
                credited_minor=self.credited_minor,
                complete=complete(self.lines.values()),
            ),
        )
        return credit_id

    def _credit_line(self, part: Part) -> CreditLine:
        line = self.lines.get(part.line_no)
        return CreditLine(
            line_no=line.line_no if line else None,
            sku=line.sku if line else None,
            title=line.title if line else None,
            quantity=part.quantity,
            net_minor=part.net_minor,
            tax_minor=part.tax_minor,
            gross_minor=part.gross_minor,
            tracked=line.tracked if line else False,
        )

    async def close(self) -> None:
        """Write what changed."""
        if self._changed:
            changed = [self.lines[line_no] for line_no in sorted(self._changed)]
            await store.put_goods(self.tx, self.order_id, changed)
        paid = life.payment_status(
            self.row["payment_status"],
            owed_minor=self.row["grand_minor"] - self.credited_minor,
            captured_minor=self.row["captured_minor"],
            refunded_minor=self.row["refunded_minor"],
        )
        far = fulfilment(self.lines.values())
        await store.put_order(
            self.tx, self.order_id, paid, far, self.steps, self.credited_minor, self.shipping,
            self.now,
        )  # fmt: skip
        await rows.add_steps(self.tx, self._timeline, self.now)


async def opened(tx: Tx, order_id: UUID, actor: str, now: datetime) -> Opened:
    """Open a confirmed order. Raises NotFound and StateConflict."""
    row = await store.lock(tx, order_id)
    if row is None:
        raise NotFound("There is no such order.")
    if row["status"] != Status.CONFIRMED.value:
        raise StateConflict("This order is not confirmed.", status_of_order=row["status"])
    return Opened(tx, row, await store.goods(tx, order_id), actor, now)
