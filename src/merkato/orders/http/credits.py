"""Money given back out of goodwill. Credits for cancelled and returned goods come by themselves."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from merkato.chassis.db import Row, Tx
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    moment,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.event import Personal
from merkato.contracts.problem import Validation
from merkato.contracts.values import AMOUNT_MAX, Line
from merkato.orders.actions import credits as actions
from merkato.orders.domain.credits import MoneyWish
from merkato.orders.http.desk import Desk
from merkato.orders.http.naming import Named, naming
from merkato.orders.http.views import CreditView, from_row
from merkato.orders.store import credits as store
from merkato.orders.store import life

Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]


class Credit(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to give back, in minor units and with its tax.

    Either an `amount_minor` of the order as a whole, or amounts of `lines` and of the shipping.
    """

    amount_minor: Amount | None = None
    lines: Annotated[tuple[MoneyWish, ...], msgspec.Meta(min_length=1, max_length=2_000)] = ()
    shipping_minor: Amount | None = None
    reason: Personal[Line | None] = None


@post("/api/v1/orders/{order_id:uuid}/credits", policy=staff("orders:credit"), answers=CreditView)
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
        async with naming(tx, caller, order_id, data):
            made = await actions.credit(
                tx, order_id, wanted, data.shipping_minor or 0, data.reason, caller.principal,
                datetime.now(UTC),
            )  # fmt: skip
        note(tx, caller, "orders.order_credited", f"order:{order_id}", after=data)
        found = await life.views(tx, [order_id])
        return answer(201, _of(found[order_id], made), location=f"/api/v1/orders/{order_id}")

    scope = (caller.principal, f"POST /orders/{order_id}/credits", key)
    return respond(await once(desk.db, scope, data, work))


def _of(row: Row, credit_id: UUID) -> CreditView:
    [made] = [one for one in from_row(row).credits if one.id == credit_id]
    return made


class CreditSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A credit in a list."""

    id: UUID
    order_id: UUID
    number: str  # of the order
    currency: str
    kind: str  # cancellation | return | goodwill
    amount_minor: int
    return_id: UUID | None
    reason: str | None
    reference: str | None
    reference_time: datetime | None
    created_at: datetime


@get("/api/v1/credits", policy=staff("orders:read"))
async def list_credits(
    desk: Desk,
    order_id: UUID | None = None,
    kind: Literal["cancellation", "return", "goodwill"] | None = None,
    reference: Annotated[str | None, Parameter(max_length=100)] = None,
    reference_prefix: Annotated[str | None, Parameter(max_length=100)] = None,
    since: datetime | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[CreditSummary]:
    """List what was given back, newest first.

    `since` an RFC 3339 time; `reference` the caller's name of it, `reference_prefix` how it begins.
    """
    before, since = decode_cursor(cursor, tuple[datetime, UUID]), moment("since", since)
    async with desk.db.reading() as tx:
        rows = await store.list_credits(
            tx, order_id, kind, reference, reference_prefix, since, before, limit + 1
        )
    items = [msgspec.convert(dict(row), CreditSummary) for row in rows[:limit]]
    more = encode_cursor(items[-1].created_at, items[-1].id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


ROUTES = (credit, list_credits)
