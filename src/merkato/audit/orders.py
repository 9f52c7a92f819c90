"""Walks all orders beside their holds, payments and mails, and applies the laws across them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from merkato.audit.laws import across
from merkato.audit.laws.mail import MAILS, MAILS_CHANGED
from merkato.audit.laws.money import PAYMENTS, PAYMENTS_CHANGED
from merkato.audit.laws.orders import ORDERS, ORDERS_CHANGED
from merkato.audit.laws.stock import HOLDS, HOLDS_CHANGED
from merkato.audit.reading import Scope, Stream, side_by_side
from merkato.audit.result import Tally
from merkato.chassis.db import Row, Tx

_NEEDS = {  # service -> its statement, what has changed lately there, laws that need it
    "inventory": (HOLDS, HOLDS_CHANGED, ("S4", "S5")),
    "payments": (PAYMENTS, PAYMENTS_CHANGED, ("M3", "M4", "M7")),
    "notifications": (MAILS, MAILS_CHANGED, ("N1",)),
}
_LAWS = {
    "S4": ("inventory", across.s4),
    "S5": ("inventory", across.s5),
    "M3": ("payments", across.m3),
    "M4": ("payments", across.m4),
    "N1": ("notifications", across.n1),
}
SUSPECTS_MAX = 20_000  # orders that are looked at again one by one; beyond that, all are
ACROSS = {law for _, _, laws in _NEEDS.values() for law in laws}


class OrdersWalk:
    """The laws across databases, over the orders of a scope."""

    def __init__(self, snapshots: Mapping[str, Tx], scope: Scope) -> None:
        self._snapshots = snapshots
        self._scope = scope
        self._off: defaultdict[str, Counter[str]] = defaultdict(Counter)  # currency -> order -> by
        self.waiting = self.undelivered = 0  # confirmations that no mail server has taken
        self.suspects: set[UUID] = set()

    def missing(self) -> dict[str, str]:
        """Map each law that cannot be checked to the service whose tables are missing."""
        gone = {
            law: service
            for service, (_, _, laws) in _NEEDS.items()
            for law in laws
            if service not in self._snapshots
        }
        return gone if "orders" in self._snapshots else dict.fromkeys(ACROSS, "orders")

    async def walk(self, tallies: Mapping[str, Tally]) -> None:
        """Check every order of the scope, in pieces. Needs the tables of orders at least."""
        values = (self._scope.orders, float(self._scope.settle_s))
        names = [name for name in _NEEDS if name in self._snapshots]
        streams = [
            Stream(self._snapshots[name], f"audit_{name}", _NEEDS[name][0], *values)
            for name in names
        ]
        streams.append(Stream(self._snapshots["orders"], "audit_orders", ORDERS, *values))
        async for pieces in side_by_side(streams):
            *others, orders = pieces
            self._judge(orders, dict(zip(names, others, strict=True)), tallies)
        self._sum_up(tallies)

    def _judge(
        self,
        orders: Mapping[str, Row],
        others: Mapping[str, Mapping[str, Row]],
        tallies: Mapping[str, Tally],
    ) -> None:
        at_rest = {id: row for id, row in orders.items() if row["settled"]}
        for law, (service, judge) in _LAWS.items():
            if service not in others:
                continue
            tally, facts = tallies[law], others[service]
            tally.checked += len(at_rest)
            for id, order in at_rest.items():
                self._blame(tally, id, judge(order, facts.get(id)))
            for id in facts.keys() - orders.keys():
                if facts[id]["settled"] is not False:
                    self._blame(tally, id, judge(None, facts[id]))
        if "payments" in others:
            self._weigh(at_rest, others["payments"], orders)
            tallies["M7"].checked += len(at_rest)
        for row in others.get("notifications", {}).values():
            self.waiting += row["queued"]
            self.undelivered += row["failed"]

    def _blame(self, tally: Tally, id: str, why: str | None) -> None:
        if why is not None:
            tally.blame(id, why)
            self.suspects.add(UUID(id))

    def _weigh(
        self, at_rest: Mapping[str, Row], payments: Mapping[str, Row], orders: Mapping[str, Row]
    ) -> None:
        for id, order in at_rest.items():
            if off := across.m7(order, payments.get(id)):
                self._off[order["currency"]][id] = off
        for id in payments.keys() - orders.keys():
            if payments[id]["settled"] and (off := across.m7(None, payments[id])):
                self._off[payments[id]["currency"]][id] = off

    def _sum_up(self, tallies: Mapping[str, Tally]) -> None:
        for currency, orders in self._off.items():
            self.suspects.update(UUID(id) for id in orders)
            if total := orders.total():
                shown = ", ".join(sorted(orders)[:3])
                why = f"the ledger holds {total:+} more than {len(orders)} orders cost: {shown}"
                tallies["M7"].blame(currency, why)


async def changed(snapshots: Mapping[str, Tx], since: Any) -> set[UUID]:
    """Give the orders about which any service has written something since then."""
    statements = {name: statement for name, (_, statement, _) in _NEEDS.items()}
    statements["orders"] = ORDERS_CHANGED
    found: set[UUID] = set()
    for name, statement in statements.items():
        if name in snapshots:
            found |= {row["order_id"] for row in await snapshots[name].fetch(statement, since)}
    return found
