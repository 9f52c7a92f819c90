"""Customers are given money back. Runs inside the transaction it is given."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.contracts.problem import StateConflict
from merkato.orders.actions.opened import opened
from merkato.orders.domain import credits, goods
from merkato.orders.domain.credits import MoneyWish, ShippingPart
from merkato.orders.domain.goods import Wish


async def cancel_lines(
    tx: Tx, order_id: UUID, wanted: Sequence[Wish], shipping: ShippingPart | None,
    words: tuple[str | None, str | None], actor: str, now: datetime,
) -> bool:  # fmt: skip
    """Take pieces off an order that were not shipped, and credit them.

    `words`: why, as staff put it for the customer, or as the customer says it.

    False, and nothing is done, when that is the whole order with its shipping: cancel it then.
    Raises NotFound, Validation, and StateConflict unless the order is confirmed.
    """
    order = await opened(tx, order_id, actor, now)
    before = dict(order.lines)
    chosen = goods.cancel(order.lines, wanted)
    order.put(line for line, _ in chosen)
    nothing_left = not any(line.kept + line.shipped for line in order.lines.values())
    if nothing_left and (shipping != "keep" or not order.shipping_left.gross_minor):
        return False
    pieces = {line.line_no: n for line, n in chosen}
    parts = credits.for_pieces(before, pieces, order.shipping_left, shipping)
    reason, own = words
    await order.credit("cancellation", parts, reason, words=own)
    await order.close()
    return True


async def lose(tx: Tx, order_id: UUID, dispute_id: UUID, amount_minor: int, now: datetime) -> None:
    """Credit what a lost dispute took, as far as the order still costs it.

    The credit has the dispute's id, so that payments knows it as given. An order that is not
    confirmed costs nothing.
    """
    try:
        order = await opened(tx, order_id, "payments", now)
    except StateConflict:
        return
    left = order.row["grand_minor"] - order.credited_minor
    parts = credits.of_order(order.lines, min(amount_minor, left), order.shipping_left)
    if parts:
        await order.credit("goodwill", parts, "dispute", credit_id=dispute_id)
        await order.close()


async def credit(
    tx: Tx, order_id: UUID, wanted: Sequence[MoneyWish] | int, shipping_minor: int,
    reason: str | None, actor: str, now: datetime,
) -> UUID:  # fmt: skip
    """Give money of lines and of the shipping back, or an amount of the order as a whole.

    Gives the credit's id. Raises NotFound, Validation, and StateConflict beyond what is left.
    """
    order = await opened(tx, order_id, actor, now)
    if isinstance(wanted, int):
        parts = credits.of_order(order.lines, wanted, order.shipping_left)
    else:
        parts = credits.of_lines(order.lines, wanted, order.shipping_left, shipping_minor)
    credit_id = await order.credit("goodwill", parts, reason)
    await order.close()
    return credit_id
