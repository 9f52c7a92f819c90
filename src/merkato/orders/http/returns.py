"""Returns: asked for by customers or staff, received or refused by staff."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post

from merkato.chassis.db import Tx
from merkato.chassis.http import (
    ANYONE,
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
from merkato.contracts.problem import Forbidden, NotFound, Validation
from merkato.contracts.values import Line, Quantity
from merkato.orders.actions import returns as actions
from merkato.orders.actions.returns import Receipt
from merkato.orders.domain.credits import ShippingPart
from merkato.orders.domain.goods import LineNo, Wish
from merkato.orders.http.access import changeable, principal
from merkato.orders.http.desk import Desk
from merkato.orders.http.naming import Named, naming
from merkato.orders.http.views import ReturnView
from merkato.orders.store import life
from merkato.orders.store import returns as store

Reasons = Literal[
    "changed-mind", "damaged", "not-as-described", "too-late", "too-many", "wrong-item", "other"
]
Many = msgspec.Meta(min_length=1, max_length=2_000)
ReturnStates = Literal["requested", "received", "rejected"]
Note = Annotated[str, msgspec.Meta(max_length=1_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*\Z")]


class Back(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pieces of a line that come back, and why; `restock` counts with `received` alone."""

    line_no: LineNo
    quantity: Quantity
    reason: Reasons = "other"
    restock: bool = True


class SendBack(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes back. Staff may say that it is here already: `received`."""

    lines: Annotated[tuple[Back, ...], Many]
    note: Note | None = None
    received: bool = False
    shipping: ShippingPart | None = None  # with `received`: see POST /returns/{id}/receipt


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of a line arrived, and whether they can be sold again."""

    line_no: LineNo
    received: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    restock: bool = True


class Receive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What arrived; without `lines` all that was announced, to be sold again.

    The shipping goes back with the last piece of an order; `keep` it, or give back its `share`.
    """

    lines: Annotated[tuple[Arrived, ...], Many] | None = None
    shipping: ShippingPart | None = None


class Reject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a return is refused, for the customer to read."""

    reason: Line


@post("/api/v1/orders/{order_id:uuid}/returns", policy=ANYONE, answers=ReturnView)
async def request_return(
    order_id: UUID,
    data: SendBack,
    request: Request[Any, Any, Any],
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Announce that shipped pieces come back. Needs a key; of staff orders:write. 201.

    422 for more pieces than were shipped and are not coming back already.
    """
    key = parse_key(idempotency_key, required=True)
    async with desk.db.reading() as tx:
        row = changeable(await life.brief(tx, order_id), request, caller, desk)
    if (data.received or data.shipping) and not caller.may("orders:write"):
        raise Forbidden("That goods are here is said by staff.")
    actor = principal(caller, row)
    wanted = [(Wish(line_no=b.line_no, quantity=b.quantity), b.reason) for b in data.lines]
    here = {b.line_no: (b.quantity, b.quantity if b.restock else 0) for b in data.lines}
    receipt = Receipt(arrived=here, shipping=data.shipping) if data.received else None

    async def work(tx: Tx) -> Answer:
        now = datetime.now(UTC)
        async with naming(tx, caller, order_id, data):
            made = await actions.request(tx, order_id, wanted, data.note, receipt, actor, now)
        if caller.may("orders:write"):
            what = "orders.return_received" if receipt else "orders.return_requested"
            note(tx, caller, what, f"return:{made}", after={"order": order_id})
        return await _shown(tx, made, 201)

    scope = (actor, f"POST /orders/{order_id}/returns", key)
    return respond(await once(desk.db, scope, data, work))


@get("/api/v1/returns", policy=staff("orders:read"))
async def list_returns(
    desk: Desk,
    status: ReturnStates | None = None,
    order_id: UUID | None = None,
    customer_id: UUID | None = None,
    since: datetime | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ReturnView]:
    """List returns, newest first; `since` an RFC 3339 time."""
    before = decode_cursor(cursor, tuple[datetime, UUID])
    async with desk.db.reading() as tx:
        rows = await store.views(
            tx, status=status, order_id=order_id, customer_id=customer_id,
            since=moment("since", since), before=before, limit=limit + 1,
        )  # fmt: skip
    items = [msgspec.convert(dict(row), ReturnView) for row in rows[:limit]]
    more = encode_cursor(items[-1].requested_at, items[-1].id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


@get("/api/v1/returns/{return_id:uuid}", policy=staff("orders:read"))
async def get_return(return_id: UUID, desk: Desk) -> ReturnView:
    """Show a return."""
    async with desk.db.reading() as tx:
        rows = await store.views(tx, return_id=return_id)
    if not rows:
        raise NotFound("There is no such return.")
    return msgspec.convert(dict(rows[0]), ReturnView)


@post(
    "/api/v1/returns/{return_id:uuid}/receipt", policy=staff("orders:write"), status_code=200,
    answers=ReturnView,
)  # fmt: skip
async def receive_return(
    return_id: UUID,
    data: Receive,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Note what arrived of a return: it is credited, and restocked if so. Needs a key.

    200 with the return. 409 for one that was decided; 422 for more than was announced.
    """
    key = parse_key(idempotency_key, required=True)
    receipt = Receipt(arrived=_arrived(data.lines), shipping=data.shipping)

    async def work(tx: Tx) -> Answer:
        await actions.receive(tx, return_id, receipt, caller.principal, datetime.now(UTC))
        note(tx, caller, "orders.return_received", f"return:{return_id}")
        return await _shown(tx, return_id, 200)

    scope = (caller.principal, f"POST /returns/{return_id}/receipt", key)
    return respond(await once(desk.db, scope, data, work))


def _arrived(lines: Sequence[Arrived] | None) -> dict[int, tuple[int, int]] | None:
    if lines is None:
        return None
    arrived: dict[int, tuple[int, int]] = {}
    for at, one in enumerate(lines):
        if one.line_no in arrived:
            raise Validation.at(f"/lines/{at}/line_no", "This line is named twice.")
        arrived[one.line_no] = one.received, one.received if one.restock else 0
    return arrived


@post(
    "/api/v1/returns/{return_id:uuid}/rejection", policy=staff("orders:write"), status_code=200,
    answers=ReturnView,
)  # fmt: skip
async def reject_return(
    return_id: UUID,
    data: Reject,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Refuse a return: its pieces stay the customer's. Needs a key.

    200 with the return. 409 for one that was decided.
    """
    key = parse_key(idempotency_key, required=True)

    async def work(tx: Tx) -> Answer:
        await actions.reject(tx, return_id, data.reason, caller.principal, datetime.now(UTC))
        note(tx, caller, "orders.return_rejected", f"return:{return_id}")
        return await _shown(tx, return_id, 200)

    scope = (caller.principal, f"POST /returns/{return_id}/rejection", key)
    return respond(await once(desk.db, scope, data, work))


async def _shown(tx: Tx, return_id: UUID, status: int) -> Answer:
    [row] = await store.views(tx, return_id=return_id)
    shown = msgspec.convert(dict(row), ReturnView)
    return answer(status, shown, location=f"/api/v1/returns/{return_id}")


ROUTES = (request_return, list_returns, get_return, receive_return, reject_return)
