"""Refunds, asked for by staff."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound
from merkato.contracts.values import AMOUNT_MAX
from merkato.payments import actions
from merkato.payments.domain import wishes
from merkato.payments.store import views

RefundStates = Literal["intent", "sent", "unknown", "succeeded", "failed", "mismatch"]


class Refund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to give back, in minor units, and the credit of the order that it pays.

    `outside`: it was given in another way, such as by bank; the processor is not asked.
    """

    amount_minor: Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
    credit_id: UUID | None = None
    outside: bool = False


@post(
    "/api/v1/payments/{payment_id:uuid}/refunds",
    policy=staff("payments:write"),
    answers=views.OperationView,
)
async def refund(
    payment_id: UUID,
    data: Refund,
    caller: Caller,
    db: Database,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Give money back for a credit whose own refund failed, or that is kept for nothing.

    The latter without a credit: what was taken too much, or is left of an order that ended.

    Refunds of credits begin by themselves: see POST /orders/{id}/credits. 201: it is on its way;
    409 beyond what is left of the credit and of what was captured.
    """

    async def work(tx: Tx) -> Answer:
        before, after = await actions.change(
            tx,
            payment_id,
            lambda p: wishes.refund_by_hand(
                p, data.amount_minor, data.credit_id, outside=data.outside, new_id=new_id
            ),
        )
        known = {o.id for o in before.operations}
        [made] = [o for o in after.operations if o.id not in known]
        note(tx, caller, "payments.refund_wanted", f"payment:{payment_id}", after=data)
        return answer(
            201, await views.operation(tx, made.id), location=f"/api/v1/refunds/{made.id}"
        )

    key = parse_key(idempotency_key, required=True)
    scope = (caller.principal, f"POST /payments/{payment_id}/refunds", key)
    return respond(await once(db, scope, data, work))


@get("/api/v1/refunds", policy=staff("payments:read"))
async def refunds(
    db: Database,
    refund_state: Annotated[RefundStates | None, Parameter(query="state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[views.RefundView]:
    """List refunds, newest first; `state=failed` those that have to be given in another way."""
    before = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        items = await views.refunds(tx, refund_state, before, limit + 1)
    last = items[limit - 1] if len(items) > limit else None
    next_cursor = encode_cursor(last.created_at, last.id) if last else None
    return Page(items=items[:limit], next_cursor=next_cursor)


@get("/api/v1/refunds/{refund_id:uuid}", policy=staff("payments:read"))
async def show(refund_id: UUID, db: Database) -> views.OperationView:
    """Show a refund: its state says how far it is."""
    async with db.reading() as tx:
        found = await views.operation(tx, refund_id)
    if found is None or found.kind != "refund":
        raise NotFound("There is no such refund.")
    return found


ROUTES = (refund, refunds, show)
