"""What inventory can be asked to change. Each runs inside the transaction it is given."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.outbox import say
from merkato.contracts.inventory import ReservationLost, StockLine
from merkato.contracts.problem import NotFound, StateConflict, Validation
from merkato.inventory import domain, store
from merkato.inventory.domain import Heard, Hold


class OrderNews(msgspec.Struct, frozen=True):
    """What happened to an order, as far as stock is concerned."""

    order_id: UUID
    heard: Heard
    wanted: dict[str, int]  # tracked pieces by sku
    cause: UUID  # the event
    source: UUID | None = None  # the return or credit; null: the order as a whole


async def follow_orders(tx: Tx, news: Sequence[OrderNews]) -> None:
    """Apply a batch of orders' events to their holds.

    That an order was placed changes nothing while its hold lasts: before the clock ends a hold,
    orders is asked. What only gives goods away or back is decided by what was read without locks
    and written by one function that compares; what takes goods is decided under locks.
    """
    states = await store.states(tx, [one.order_id for one in news])
    known = {order_id: Hold(state) for order_id, state in states.items()}
    folding = _Folding({}, known)
    taking: list[OrderNews] = []
    for one in news:
        late = any(other.order_id == one.order_id for other in taking)
        if late or not folding.apply(one):
            taking.append(one)
    await folding.settle(tx)
    if taking:
        await _take_again(tx, taking)


async def _take_again(tx: Tx, news: Sequence[OrderNews]) -> None:
    """Apply events of orders whose hold has ended: rare, so it may hold locks longer."""
    shelf = await store.lock_stock(tx, [sku for one in news for sku in one.wanted])
    rows = await store.lock_holds(tx, [one.order_id for one in news])
    room = {sku: on_hand - reserved for sku, (on_hand, reserved) in shelf.items()}
    folding = _Folding(room, {order_id: Hold(row["state"]) for order_id, row in rows.items()})
    for one in news:
        folding.apply(one, under_lock=True)
    new = [one for order_id, one in folding.news.items() if order_id not in rows]
    await folding.settle(tx)
    lines = [(one.order_id, sku, n) for one in new for sku, n in one.wanted.items()]
    if lines:
        await store.ensure(tx, [sku for _, sku, _ in lines])
        await store.add_lines(tx, lines)
    for cause, lost in folding.lost:
        say(tx, lost, cause=cause)


class _Folding:
    """The effect of a batch, gathered in memory."""

    def __init__(self, room: dict[str, int], states: dict[UUID, Hold]) -> None:
        self.room = room
        self.before = dict(states)
        self.states = states
        self.moves: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.journal: list[tuple[str, int, str, UUID, UUID | None]] = []
        self.lost: list[tuple[UUID, ReservationLost]] = []
        self.news: dict[UUID, OrderNews] = {}

    def apply(self, one: OrderNews, *, under_lock: bool = False) -> bool:
        """Take one step of one order; False when it takes goods, which needs their locks."""
        move = domain.step(self.states.get(one.order_id, Hold.NONE), one.heard)
        if move.takes:
            if not under_lock:
                return False
            missing = [sku for sku, n in one.wanted.items() if self.room.get(sku, 0) < n]
            if missing:
                lines = tuple(StockLine(sku=sku, quantity=one.wanted[sku]) for sku in missing)
                self.lost.append((one.cause, ReservationLost(order_id=one.order_id, lines=lines)))
                return True
        for sku, quantity in one.wanted.items():
            on_hand, reserved = move.on_hand * quantity, move.reserved * quantity
            self.moves[sku][0] += on_hand
            self.moves[sku][1] += reserved
            self.room[sku] = self.room.get(sku, 0) + on_hand - reserved
            if on_hand:
                kind = "committed" if on_hand < 0 else "returned"
                self.journal.append((sku, on_hand, kind, one.order_id, one.source))
        if one.heard is Heard.RETURNED:
            if move.on_hand:  # the hold stays, and must be what it was when this was decided
                self.news.setdefault(one.order_id, one)
        else:
            self.states[one.order_id] = move.to
            self.news[one.order_id] = one
        return True

    async def settle(self, tx: Tx) -> None:
        """Write what changed, in one statement."""
        holds = [
            (i, domain.body_of(one.wanted), self.before.get(i, Hold.NONE).value, after.value)
            for i, one in self.news.items()
            if (after := self.states[i]) is not self.before.get(i) or one.heard is Heard.RETURNED
        ]
        moves = [(sku, a, b) for sku, (a, b) in sorted(self.moves.items()) if a or b]
        if holds or moves:
            await store.settle(tx, holds, moves, self.journal)


async def end_provisional(
    tx: Tx, order_ids: Sequence[UUID], *, overdue: bool = False
) -> list[UUID]:
    """End holds that no order stands behind and free their stock. Harmless to repeat.

    With `overdue` a hold stays that was renewed since somebody found its time over.
    """
    lines = await store.lines(tx, order_ids)
    await store.lock_stock(tx, [line["sku"] for line in lines])
    await store.lock_holds(tx, order_ids)
    ended = set(await store.end_holds(tx, order_ids, overdue=overdue))
    freed: dict[str, int] = defaultdict(int)
    for line in lines:
        if line["order_id"] in ended:
            freed[line["sku"]] -= line["quantity"]
    if freed:
        await store.move_stock(tx, {sku: (0, n) for sku, n in freed.items()})
    return sorted(ended)


async def set_stock(
    tx: Tx, sku: str, on_hand: int, threshold: int | None, *, actor: str, reason: str | None
) -> None:
    """Say how many there are. Raises StateConflict below what is reserved."""
    new = await store.ensure(tx, [sku])
    before, reserved = await _locked(tx, sku)
    await _change(tx, sku, on_hand - before, reserved - before, "initial" if new else "adjusted",
                  actor=actor, reason=reason)  # fmt: skip
    if threshold is not None:
        await store.set_threshold(tx, sku, threshold)
    tx.wake("stock-news")


async def adjust(tx: Tx, sku: str, delta: int, *, kind: str, actor: str, reason: str) -> None:
    """Add or take pieces. Raises NotFound, Validation, and StateConflict below what is reserved."""
    before, reserved = await _locked(tx, sku)
    if before + delta > domain.ON_HAND_MAX:
        raise Validation.at("/delta", f"No more than {domain.ON_HAND_MAX} pieces of a sku.")
    await _change(tx, sku, delta, reserved - before, kind, actor=actor, reason=reason)
    tx.wake("stock-news")


async def _locked(tx: Tx, sku: str) -> tuple[int, int]:
    row = (await store.lock_stock(tx, [sku])).get(sku)
    if row is None:
        raise NotFound(f"No stock is kept of {sku}.")
    return row


async def _change(
    tx: Tx, sku: str, delta: int, least: int, kind: str, *, actor: str, reason: str | None
) -> None:
    if delta < least:
        raise StateConflict(f"{-least} of {sku} could be taken; the rest is reserved by orders.")
    if delta:
        await store.move_stock(tx, {sku: (delta, 0)})
        await store.write_journal(tx, [(sku, delta, kind, reason, None, actor)])
