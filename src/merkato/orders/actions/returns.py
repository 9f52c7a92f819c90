"""Goods come back. Runs inside the transaction it is given."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.contracts.orders import PiecesBack, ReturnReceived, ReturnRejected, ReturnRequested
from merkato.contracts.problem import NotFound, StateConflict, Validation
from merkato.orders.actions.opened import Opened, opened
from merkato.orders.domain import credits, goods
from merkato.orders.domain.credits import ShippingPart
from merkato.orders.domain.goods import Wish
from merkato.orders.store import returns as store


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived of a return: by line, pieces and pieces that can be sold again; null: all."""

    arrived: Mapping[int, tuple[int, int]] | None = None
    shipping: ShippingPart | None = None  # what of the shipping goes back


async def request(
    tx: Tx, order_id: UUID, wanted: Sequence[tuple[Wish, str]], note: str | None,
    receipt: Receipt | None, actor: str, now: datetime,
) -> UUID:  # fmt: skip
    """Announce that pieces come back, each line with a reason; with a receipt they are here.

    Gives the return's id. Raises NotFound, Validation, StateConflict.
    """
    order = await opened(tx, order_id, actor, now)
    chosen = goods.announce(order.lines, [wish for wish, _ in wanted])
    order.put(line for line, _ in chosen)
    return_id = new_id()
    lines = [(wish.line_no, wish.quantity, reason) for wish, reason in wanted]
    await store.add(tx, return_id, order_id, note, actor, now, lines)
    if receipt is None:
        order.note("return_requested")
        say(tx, ReturnRequested(**order.about(), return_id=return_id, lines=order.pieces(chosen)))
    else:
        announced = {line.line_no: n for line, n in chosen}
        await _receive(order, return_id, announced, receipt)
    await order.close()
    return return_id


async def receive(tx: Tx, return_id: UUID, receipt: Receipt, actor: str, now: datetime) -> None:
    """Note what arrived, have it restocked, and credit it.

    Raises NotFound, Validation, and StateConflict for a return that was decided.
    """
    order, announced = await _requested(tx, return_id, actor, now)
    await _receive(order, return_id, announced, receipt)
    await order.close()


async def reject(tx: Tx, return_id: UUID, reason: str, actor: str, now: datetime) -> None:
    """Refuse a return. Raises NotFound, and StateConflict for one that was decided."""
    order, announced = await _requested(tx, return_id, actor, now)
    order.put(goods.receive(order.lines, announced, {}))
    await store.decide(tx, return_id, "rejected", reason, now)
    order.note("return_rejected", reason)
    lines = order.pieces([(order.lines[i], n) for i, n in announced.items()])
    say(tx, ReturnRejected(**order.about(), return_id=return_id, lines=lines, reason=reason))
    await order.close()


async def _requested(
    tx: Tx, return_id: UUID, actor: str, now: datetime
) -> tuple[Opened, dict[int, int]]:
    order_id = await store.order_of(tx, return_id)
    if order_id is None:
        raise NotFound("There is no such return.")
    order = await opened(tx, order_id, actor, now)
    found = await store.find(tx, return_id)
    assert found is not None  # returns are never deleted
    if found["status"] != "requested":
        raise StateConflict(f"This return was {found['status']}.")
    return order, dict(zip(found["line_nos"], found["quantities"], strict=True))


async def _receive(
    order: Opened, return_id: UUID, announced: Mapping[int, int], receipt: Receipt
) -> None:
    told = receipt.arrived
    if told is None:
        told = {line_no: (n, n) for line_no, n in announced.items()}
    arrived = {line_no: both for line_no, both in told.items() if both[0]}
    for line_no, (received, _) in arrived.items():
        if received > announced.get(line_no, 0):
            detail = f"Of line {line_no}, {announced.get(line_no, 0)} pieces were announced."
            raise Validation.at("/lines", detail)
    if not arrived:
        raise Validation.at("/lines", "Nothing arrived; such a return is rejected.")
    before = dict(order.lines)
    pieces = {line_no: received for line_no, (received, _) in arrived.items()}
    parts = credits.for_pieces(before, pieces, order.shipping_left, receipt.shipping)
    order.put(goods.receive(order.lines, announced, arrived))
    await store.decide(order.tx, return_id, "received", None, order.now)
    counted = [(i, received, restocked) for i, (received, restocked) in arrived.items()]
    await store.received(order.tx, return_id, counted)
    order.note("return_received")
    lines = tuple(
        PiecesBack(
            line_no=line_no, sku=before[line_no].sku, title=before[line_no].title,
            quantity=received, tracked=before[line_no].tracked, restocked=restocked,
        )
        for line_no, received, restocked in counted
    )  # fmt: skip
    say(order.tx, ReturnReceived(**order.about(), return_id=return_id, lines=lines))
    if any(part.gross_minor for part in parts):
        await order.credit("return", parts, return_id=return_id)
