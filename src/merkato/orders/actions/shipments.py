"""Goods go to their customer. Runs inside the transaction it is given."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.contracts.orders import LinesShipped, ShipmentDelivered
from merkato.contracts.problem import NotFound, StateConflict
from merkato.orders.actions.opened import opened
from merkato.orders.domain import goods
from merkato.orders.domain.goods import Wish
from merkato.orders.store import goods as store
from merkato.orders.store import life as rows


class Carriage(msgspec.Struct, frozen=True):
    """Who carries a shipment, its number there, and where to follow it."""

    carrier: str | None
    tracking: str | None
    tracking_url: str | None


async def ship(
    tx: Tx, order_id: UUID, wanted: Sequence[Wish] | None, by: Carriage, actor: str, now: datetime
) -> UUID:
    """Hand pieces to a carrier; without `wanted` all that is left. Gives the shipment's id.

    Raises NotFound, Validation, and StateConflict unless the order is confirmed and its payment
    stands.
    """
    order = await opened(tx, order_id, actor, now)
    owed = order.row["grand_minor"] > order.credited_minor
    if owed and order.row["payment_status"] == "voided":
        raise StateConflict("The card's promise was given back: there is nothing to charge.")
    chosen = goods.ship(order.lines, wanted)
    order.put(line for line, _ in chosen)
    shipment_id = new_id()
    pieces = [(line.line_no, n) for line, n in chosen]
    carried = (by.carrier, by.tracking, by.tracking_url)
    await store.add_shipment(tx, shipment_id, order_id, carried, now, actor, pieces)
    order.note("lines_shipped", _named(by))
    say(
        tx,
        LinesShipped(
            **order.about(),
            shipment_id=shipment_id,
            lines=order.pieces(chosen),
            carrier=by.carrier,
            tracking=by.tracking,
            tracking_url=by.tracking_url,
            complete=goods.complete(order.lines.values()),
            shipping_address=msgspec.convert(order.row["shipping_address"], rows.KnownAddress),
        ),
    )
    await order.close()
    return shipment_id


def _named(by: Carriage) -> str | None:
    return " ".join(part for part in (by.carrier, by.tracking) if part) or None


async def deliver(tx: Tx, shipment_id: UUID, actor: str, now: datetime) -> UUID:
    """Note that a shipment arrived; harmless to repeat. Gives the order. Raises NotFound."""
    found = await store.shipment(tx, shipment_id)
    if found is None:
        raise NotFound("There is no such shipment.")
    order = await opened(tx, found["order_id"], actor, now)
    found = await store.shipment(tx, shipment_id)
    assert found is not None  # shipments are never deleted
    if found["delivered_at"] is not None:
        return order.order_id
    pieces = dict(zip(found["line_nos"], found["quantities"], strict=True))
    order.put(goods.deliver(order.lines, pieces))
    await store.delivered(tx, shipment_id, now)
    order.note("shipment_delivered")
    lines = order.pieces([(order.lines[i], n) for i, n in pieces.items()])
    say(tx, ShipmentDelivered(**order.about(), shipment_id=shipment_id, lines=lines))
    await order.close()
    return order.order_id
