"""What a change would give back, before it is made: it is made, looked at, and undone."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import post

from merkato.chassis.db import Tx
from merkato.chassis.http import staff
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound, Validation
from merkato.contracts.values import AMOUNT_MAX
from merkato.orders.actions import credits, life, returns
from merkato.orders.actions.returns import Receipt
from merkato.orders.domain.credits import ShippingPart
from merkato.orders.domain.goods import Wish
from merkato.orders.http.desk import Desk
from merkato.orders.http.views import CreditLineView, OrderView, from_row
from merkato.orders.store import life as store
from merkato.orders.store import returns as return_store

PATH = "/api/v1/orders/{order_id:uuid}/credits/preview"
Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
Pieces = Annotated[tuple[Wish, ...], msgspec.Meta(min_length=1, max_length=2_000)]


class CreditWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is thought of: to cancel `lines` or all, to take back, or to give an amount.

    A return is of `lines`, or of what was announced as `return_id`; goodwill is an `amount_minor`.
    """

    kind: Literal["cancellation", "return", "goodwill"]
    lines: Pieces | None = None
    return_id: UUID | None = None
    amount_minor: Amount | None = None
    shipping: ShippingPart | None = None


class CreditPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be given back, in minor units with tax.

    Of `amount_minor`, `refund_minor` was paid already and is sent back; the rest need not be paid.
    `left_minor` is what the order would still cost. `lines` is empty for an order that was not
    confirmed: nothing of it was owed yet, and nothing is credited.
    """

    currency: str
    amount_minor: int
    tax_minor: int
    shipping_minor: int
    refund_minor: int
    left_minor: int
    lines: list[CreditLineView]


# The members that say what is thought of, by kind.
FITTING = {
    "cancellation": {"lines", "shipping"},
    "return": {"lines", "return_id", "shipping"},
    "goodwill": {"amount_minor"},
}


class _Undone(Exception):
    """Carries what was looked at out of the transaction that it ends."""

    def __init__(self, before: OrderView, after: OrderView) -> None:
        super().__init__()
        self.before, self.after = before, after


@post(PATH, policy=staff("orders:read"), status_code=200, example={"kind": "cancellation"})
async def preview_credit(
    order_id: UUID, data: CreditWish, caller: Caller, desk: Desk
) -> CreditPreview:
    """Say what a cancellation, a return or a goodwill would give back; nothing is changed.

    Refuses as the change itself would: 409 for an order that is not confirmed or of which less is
    left, 422 for more pieces than there are, or members that do not go with the kind.
    """
    _check(data)
    try:
        async with desk.db.transaction() as tx:
            if order_id not in await store.lock(tx, [order_id]):
                raise NotFound("There is no such order.")
            before = await _view(tx, order_id)
            await _change(tx, order_id, data, caller.principal)
            raise _Undone(before, await _view(tx, order_id))
    except _Undone as undone:
        return _difference(undone.before, undone.after)


def _check(wish: CreditWish) -> None:
    for name in ("lines", "return_id", "amount_minor", "shipping"):
        if getattr(wish, name) is not None and name not in FITTING[wish.kind]:
            raise Validation.at(f"/{name}", f"This does not go with a {wish.kind}.")


async def _view(tx: Tx, order_id: UUID) -> OrderView:
    return from_row((await store.views(tx, [order_id]))[order_id])


async def _change(tx: Tx, order_id: UUID, wish: CreditWish, actor: str) -> None:
    now = datetime.now(UTC)
    match wish:
        case CreditWish(kind="cancellation", lines=None):
            await life.cancel(tx, order_id, "staff", now, actor=actor)
        case CreditWish(kind="cancellation", lines=tuple() as lines, shipping=shipping):
            words = (None, None)
            if not await credits.cancel_lines(tx, order_id, lines, shipping, words, actor, now):
                await life.cancel(tx, order_id, "staff", now, actor=actor)
        case CreditWish(
            kind="return", lines=None, return_id=UUID() as return_id, shipping=shipping
        ):
            if await return_store.order_of(tx, return_id) != order_id:
                raise NotFound("There is no such return.")
            await returns.receive(tx, return_id, Receipt(shipping=shipping), actor, now)
        case CreditWish(kind="return", lines=tuple() as lines, return_id=None, shipping=shipping):
            arrived = {line.line_no: (line.quantity, 0) for line in lines}
            receipt = Receipt(arrived=arrived, shipping=shipping)
            wanted = [(line, "other") for line in lines]
            await returns.request(tx, order_id, wanted, None, receipt, actor, now)
        case CreditWish(kind="goodwill", amount_minor=int() as amount):
            await credits.credit(tx, order_id, amount, 0, None, actor, now)
        case _:
            raise Validation.at("", "A return names lines or a return_id, goodwill an amount.")


def _difference(before: OrderView, after: OrderView) -> CreditPreview:
    known = {one.id for one in before.credits}
    lines = [line for one in after.credits if one.id not in known for line in one.lines]
    owed_before = 0 if before.status == "cancelled" else _owed(before)
    owed_after = 0 if after.status == "cancelled" else _owed(after)
    paid = before.totals.captured_minor - before.totals.refunded_minor
    of_shipping = sum(line.gross_minor for line in lines if line.line_no is None)
    ends_unpaid = (before.status, after.status) == ("placed", "cancelled")
    unpaid = before.totals if ends_unpaid else None
    return CreditPreview(
        currency=before.currency,
        amount_minor=owed_before - owed_after,
        tax_minor=unpaid.tax_minor if unpaid else sum(line.tax_minor for line in lines),
        shipping_minor=unpaid.shipping_minor if unpaid else of_shipping,
        refund_minor=max(0, paid - owed_after) - max(0, paid - owed_before),
        left_minor=owed_after,
        lines=lines,
    )


def _owed(order: OrderView) -> int:
    return order.totals.grand_minor - order.totals.credited_minor


ROUTES = (preview_credit,)
