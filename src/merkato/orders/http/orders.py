"""Orders after placing: to look at, to follow, to cancel."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import Parameter

from merkato.chassis.db import Tx
from merkato.chassis.http import (
    ANYONE,
    SERVICE,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    moment,
    respond,
    user_or,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.orders import OrderState
from merkato.contracts.problem import Forbidden, NotFound, Validation
from merkato.contracts.values import Contact, Line
from merkato.orders.actions import life as actions
from merkato.orders.actions.credits import cancel_lines
from merkato.orders.domain.credits import ShippingPart
from merkato.orders.domain.goods import Wish
from merkato.orders.domain.life import Status
from merkato.orders.http import views
from merkato.orders.http.access import changeable, may_see, principal
from merkato.orders.http.desk import Desk
from merkato.orders.http.naming import Named, naming
from merkato.orders.store import life

HTTPRequest = Request[Any, Any, Any]
Paid = Literal[
    "due", "action_required", "declined", "authorised", "partly_paid", "paid", "voided",
    "partly_refunded", "refunded", "refund_failed",
]  # fmt: skip
Far = Literal[
    "unfulfilled", "partial", "shipped", "delivered", "partly_returned", "returned"
]  # fmt: skip


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a list; `contact`, who bought, is given to whoever may read all orders."""

    id: UUID
    number: str
    customer_id: UUID | None
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    grand_minor: int
    shipping_minor: int
    credited_minor: int
    placed_at: datetime
    reference: str | None
    reference_time: datetime | None
    contact: Contact | None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an order; a move has from_status and to_status."""

    n: int
    what: str
    from_status: str | None
    to_status: str | None
    at: datetime
    actor: str
    cause: UUID | None
    detail: str | None


class Cancellation(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not wanted any more: the whole order, or pieces of `lines` not shipped yet.

    The shipping goes back with the last piece; staff may `keep` it, or give back its `share`.
    """

    reason: Line | None = None
    lines: Annotated[tuple[Wish, ...], msgspec.Meta(min_length=1, max_length=2_000)] | None = None
    shipping: ShippingPart | None = None


@get("/api/v1/orders", policy=user_or("orders:read"))
async def list_orders(
    caller: Caller,
    desk: Desk,
    customer: Annotated[str | None, Parameter(max_length=40)] = None,
    status: Status | None = None,
    payment_status: Paid | None = None,
    fulfilment_status: Annotated[list[Far] | None, Parameter(max_items=10)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    q: Annotated[str | None, Parameter(max_length=254)] = None,
    reference: Annotated[str | None, Parameter(max_length=100)] = None,
    reference_prefix: Annotated[str | None, Parameter(max_length=100)] = None,
    id: Annotated[list[UUID] | None, Parameter(max_items=100)] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[OrderSummary]:
    """List my orders, newest first; staff see everybody's, or with `customer` one person's.

    `q` is an order number or an e-mail address; `since` and `until` (exclusive) RFC 3339 times;
    `reference` what the order was placed under, `reference_prefix` how that begins;
    `fulfilment_status` and `id` may be given several times.
    """
    whose, staff = caller.user_id, caller.may("orders:read")
    if staff and customer != "me":
        whose = _customer(customer) if customer else None
    wanted = life.Wanted(
        customer_id=whose, status=status.value if status else None, payment_status=payment_status,
        fulfilment=fulfilment_status, since=moment("since", since), until=moment("until", until),
        q=q, reference=reference, reference_prefix=reference_prefix, ids=id,
    )  # fmt: skip
    before = decode_cursor(cursor, tuple[datetime, UUID])
    async with desk.db.reading() as tx:
        rows = await life.list_orders(tx, wanted, before, limit + 1, contacts=staff)
    items = [msgspec.convert(dict(row), OrderSummary) for row in rows[:limit]]
    more = encode_cursor(items[-1].placed_at, items[-1].id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


def _customer(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Validation.at("/customer", "`me` or a customer's id.") from error


@get("/api/v1/orders/{order_id:uuid}", policy=ANYONE)
async def get_order(
    order_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk
) -> views.OrderView:
    """Show an order to its customer (a guest by X-Order-Token) or to staff."""
    row = await desk.order(order_id)
    if row is None or not may_see(row, request, caller, desk):
        raise NotFound("There is no such order.")
    return views.from_row(row)


@get("/api/v1/orders/{order_id:uuid}/timeline", policy=ANYONE)
async def get_timeline(
    order_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk
) -> Page[TimelineEntry]:
    """List what happened to an order, oldest first."""
    async with desk.db.reading() as tx:
        row = await life.brief(tx, order_id)
        if row is None or not may_see(row, request, caller, desk):
            raise NotFound("There is no such order.")
        rows = await life.timeline(tx, order_id)
    return Page(items=[msgspec.convert(dict(row), TimelineEntry) for row in rows])


@post(
    "/api/v1/orders/{order_id:uuid}/cancellation", policy=ANYONE, status_code=200,
    answers=views.OrderView,
)  # fmt: skip
async def cancel_order(
    order_id: UUID,
    data: Cancellation,
    request: HTTPRequest,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """End an order while nothing is shipped, or take pieces off it; what was paid goes back.

    Needs a key; of staff orders:write. Cancelling again is harmless; 409 state-conflict for an
    order of which something is shipped, and for `lines` of one that is not confirmed; 422 for more
    pieces than are left.
    """
    key = parse_key(idempotency_key, required=True)
    async with desk.db.reading() as tx:
        row = changeable(await life.brief(tx, order_id), request, caller, desk)
    own = caller.user_id is not None and row["customer_id"] == caller.user_id
    by_staff = caller.may("orders:write") and not own
    if data.shipping is not None and not by_staff:
        raise Forbidden("What becomes of the shipping is decided by staff.")
    actor = principal(caller, row)

    async def work(tx: Tx) -> Answer:
        now, why = datetime.now(UTC), data.reason
        words = (why, None) if by_staff else (None, why)
        async with naming(tx, caller, order_id, data):
            if data.lines is None or not await cancel_lines(
                tx, order_id, data.lines, data.shipping, words, actor, now
            ):
                reason = "staff" if by_staff else "customer"
                await actions.cancel(tx, order_id, reason, now, actor=actor, detail=why)
        if by_staff:
            after = {"lines": data.lines}
            note(tx, caller, "orders.order_cancelled", f"order:{order_id}", after=after)
        found = await life.views(tx, [order_id])
        return answer(200, views.from_row(found[order_id]))

    scope = (actor, f"POST /orders/{order_id}/cancellation", key)
    return respond(await once(desk.db, scope, data, work))


@get("/api/v1/orders/{order_id:uuid}/state", policy=SERVICE)
async def get_state(order_id: UUID, desk: Desk) -> OrderState:
    """Tell another service whether an order exists and how it stands."""
    async with desk.db.reading() as tx:
        row = await life.brief(tx, order_id)
    if row is None:
        raise NotFound("There is no such order.")
    return msgspec.convert(dict(row), OrderState)


ROUTES = (list_orders, get_order, get_timeline, cancel_order, get_state)
