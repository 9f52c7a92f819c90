"""Money given back out of goodwill. Credits for cancelled and returned goods come by themselves."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, post

from merkato.chassis.db import Row, Tx
from merkato.chassis.http import IdempotencyKey, respond, staff
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.contracts.values import AMOUNT_MAX, Line
from merkato.orders.actions import credits as actions
from merkato.orders.domain.credits import MoneyWish
from merkato.orders.http.desk import Desk
from merkato.orders.http.views import CreditView, from_row
from merkato.orders.store import life

Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]


class Credit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to give back, in minor units and with its tax.

    Either an `amount_minor` of the order as a whole, or amounts of `lines` and of the shipping.
    """

    amount_minor: Amount | None = None
    lines: Annotated[tuple[MoneyWish, ...], msgspec.Meta(min_length=1, max_length=2_000)] = ()
    shipping_minor: Amount | None = None
    reason: Line | None = None


@post("/api/v1/orders/{order_id:uuid}/credits", policy=staff("orders:credit"))
async def credit(
    order_id: UUID,
    data: Credit,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Give money back out of goodwill; its refund follows by itself. Needs a key.

    201 with the credit. 409 for more than is left of the order, or one that is not confirmed.
    """
    key = parse_key(idempotency_key, required=True)
    by_part = bool(data.lines or data.shipping_minor)
    if by_part == (data.amount_minor is not None):
        raise Validation.at("/amount_minor", "Send either this, or lines and shipping_minor.")
    wanted = data.lines if data.amount_minor is None else data.amount_minor

    async def work(tx: Tx) -> Answer:
        made = await actions.credit(
            tx, order_id, wanted, data.shipping_minor or 0, data.reason, caller.principal,
            datetime.now(UTC),
        )  # fmt: skip
        found = await life.views(tx, [order_id])
        return answer(201, _of(found[order_id], made), location=f"/api/v1/orders/{order_id}")

    scope = (caller.principal, f"POST /orders/{order_id}/credits", key)
    return respond(await once(desk.db, scope, data, work))


def _of(row: Row, credit_id: UUID) -> CreditView:
    [made] = [one for one in from_row(row).credits if one.id == credit_id]
    return made


ROUTES = (credit,)
