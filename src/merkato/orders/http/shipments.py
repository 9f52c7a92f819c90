"""Shipments: staff say what was handed to whom, and that it arrived."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, post

from merkato.chassis.db import Tx
from merkato.chassis.http import IdempotencyKey, respond, staff
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.values import Line
from merkato.orders.actions import shipments as actions
from merkato.orders.actions.shipments import Carriage
from merkato.orders.domain.goods import Wish
from merkato.orders.http import views
from merkato.orders.http.desk import Desk
from merkato.orders.store import life

Link = Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^https?://[!-~]+\Z")]
Wishes = Annotated[tuple[Wish, ...], msgspec.Meta(min_length=1, max_length=2_000)]


class Ship(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shipped (without `lines` all that is left), by whom, and where to follow it."""

    lines: Wishes | None = None
    carrier: Line | None = None
    tracking: Line | None = None
    tracking_url: Link | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing more needs to be said of it."""


@post(
    "/api/v1/orders/{order_id:uuid}/shipments", policy=staff("orders:ship"),
    answers=views.OrderView,
)  # fmt: skip
async def ship(
    order_id: UUID,
    data: Ship,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Ship pieces of a confirmed order, in as many parts as it takes. Needs a key.

    201 with the order. With its last piece a card is charged (setting `payments.capture`). 409
    unless it is confirmed and its payment stands; 422 for more pieces than are left.
    """
    key = parse_key(idempotency_key, required=True)
    by = Carriage(data.carrier, data.tracking, data.tracking_url)

    async def work(tx: Tx) -> Answer:
        now = datetime.now(UTC)
        made = await actions.ship(tx, order_id, data.lines, by, caller.principal, now)
        note(tx, caller, "orders.lines_shipped", f"order:{order_id}", after={"shipment": made})
        return await _shown(tx, order_id, 201)

    scope = (caller.principal, f"POST /orders/{order_id}/shipments", key)
    return respond(await once(desk.db, scope, data, work))


@post(
    "/api/v1/shipments/{shipment_id:uuid}/delivery", policy=staff("orders:ship"), status_code=200,
    answers=views.OrderView,
)  # fmt: skip
async def deliver(
    shipment_id: UUID,
    data: Delivery,
    caller: Caller,
    desk: Desk,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Note that a shipment arrived; harmless to repeat. Needs a key. 200 with the order."""
    key = parse_key(idempotency_key, required=True)

    async def work(tx: Tx) -> Answer:
        order_id = await actions.deliver(tx, shipment_id, caller.principal, datetime.now(UTC))
        note(tx, caller, "orders.shipment_delivered", f"shipment:{shipment_id}")
        return await _shown(tx, order_id, 200)

    scope = (caller.principal, f"POST /shipments/{shipment_id}/delivery", key)
    return respond(await once(desk.db, scope, data, work))


async def _shown(tx: Tx, order_id: UUID, status: int) -> Answer:
    found = await life.views(tx, [order_id])
    shown = views.from_row(found[order_id])
    return answer(status, shown, location=f"/api/v1/orders/{order_id}")


ROUTES = (ship, deliver)
