"""Carts become orders, and offers are kept. Runs inside the transaction it is given."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.chassis.outbox import say
from merkato.chassis.trail import note
from merkato.contracts.orders import Line, OrderPlaced, Totals
from merkato.contracts.problem import Problem, StateConflict, Validation
from merkato.orders.actions import coupons
from merkato.orders.domain import placing as rules
from merkato.orders.store import carts
from merkato.orders.store import placing as store
from merkato.orders.store.placing import NewOrder

PLACED, PRICE_CHANGED, CONFLICT, TAKEN = "placed", "price-changed", "conflict", "taken"
EXHAUSTED = "exhausted"
PLACED_MAX_BYTES = 480 * 1024  # the outbox takes 512 KiB; later events of an order say a bit more
PLACED_FOR = "orders.order_placed_for_customer"


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request to place: `existing` is the order that has its key already."""

    verdict: str
    existing: Row | None = None
    refusal: Problem | None = None  # of EXHAUSTED


async def place(tx: Tx, orders: Sequence[NewOrder]) -> list[Outcome]:
    """Place a batch of orders and say so: each whole, or not at all. One verdict each, in order.

    Keys differ within a batch. Nothing is placed when a price or the coupon changed, when the cart
    changed or was ordered (CONFLICT), when key, number or reference are taken (TAKEN), or when the
    coupon is used up (EXHAUSTED); a known key gives its order.
    """
    with_carts = ready = await _with_their_carts(tx, orders)
    admitted = None
    if any(order.priced.coupon for order in ready):
        admitted = await coupons.admit(tx, ready)
        ready = admitted.orders
    done = await store.place(tx, ready) if ready else {}
    placed = [order for order in ready if done[order.id]["placed"]]
    ids = {order.id for order in placed}
    left = [o.cart_id for o in with_carts if o.cart_id is not None and o.id not in ids]
    if left:
        await store.open_again(tx, left)
    if any(order.priced.coupon for order in placed):
        await coupons.hold(tx, placed)
    for order in placed:
        say(tx, _placed(order))
        if order.placed_by is not None:
            note(tx, order.placed_by, PLACED_FOR, f"order:{order.id}", after=_agreed(order))
    if len(placed) == len(orders):
        return [Outcome(PLACED)] * len(orders)
    existing = await store.by_keys(tx, [(order.principal, order.key) for order in orders])
    verdicts = {order.id: CONFLICT for order in orders}
    for order_id, row in done.items():
        verdicts[order_id] = PLACED if row["placed"] else PRICE_CHANGED if row["stale"] else TAKEN
    refused: dict[UUID, Problem] = {}
    if admitted is not None:
        verdicts |= dict.fromkeys(admitted.old, PRICE_CHANGED)
        # one that had its coupon and was not placed leaves room for those refused after it
        again = len(placed) < len(ready)
        verdicts |= dict.fromkeys(admitted.refused, PRICE_CHANGED if again else EXHAUSTED)
        refused |= admitted.refused
    return [
        Outcome(
            verdicts[order.id],
            existing.get((order.principal, order.key)),
            refused.get(order.id),
        )
        if verdicts[order.id] != PLACED
        else Outcome(PLACED)
        for order in orders
    ]


async def _with_their_carts(tx: Tx, orders: Sequence[NewOrder]) -> list[NewOrder]:
    """Take the carts of orders; leave out orders whose cart is not to be had, or had twice."""
    wanted = {o.cart_id: o for o in reversed(orders) if o.cart_id is not None}
    if not wanted:
        return list(orders)
    closed = await store.close_carts(tx, [(c, o.cart_version or 0) for c, o in wanted.items()])
    return [
        o for o in orders if o.cart_id is None or (o.cart_id in closed and wanted[o.cart_id] is o)
    ]


def _agreed(order: NewOrder) -> dict[str, Any]:
    """Tell for the audit trail what was placed for whom, and which prices are not the list's."""
    priced = order.priced
    return {
        "customer_id": order.customer_id,
        "reference": order.reference,
        "reference_time": order.reference_time,
        "currency": priced.currency,
        "grand_minor": priced.grand_minor,
        "shipping_minor": priced.shipping.gross_minor,
        "agreed": [
            {"line_no": n, "sku": line.offer.sku, "unit_price_minor": line.unit_price_minor}
            for n, line in enumerate(priced.lines, 1)
            if line.agreed
        ],
    }


def _placed(order: NewOrder) -> OrderPlaced:
    priced = order.priced
    return OrderPlaced(
        order_id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        lines=tuple(
            Line(
                line_no=n,
                sku=line.offer.sku,
                quantity=line.quantity,
                title=line.title,
                unit_price_minor=line.unit_price_minor,
                net_minor=line.share.net_minor,
                tax_minor=line.share.tax_minor,
                gross_minor=line.share.gross_minor,
                tracked=line.offer.track_stock,
            )
            for n, line in enumerate(priced.lines, 1)
        ),
        totals=Totals(
            items_minor=priced.items_minor,
            discount_minor=priced.discount_minor,
            shipping_minor=priced.shipping.gross_minor,
            tax_minor=priced.tax_minor,
            grand_minor=priced.grand_minor,
        ),
        currency=priced.currency,
        payment_method=order.payment_method,
        placed_at=order.placed_at,
        pay_until=order.pay_until,
        reference=order.reference,
        locale=order.locale,
        contact=order.contact,
        shipping_address=order.shipping_address,
        payment_token=order.payment_token,
    )


def fits(order: NewOrder) -> bool:
    """Tell whether what is said of an order goes into one event."""
    return len(msgspec.json.encode(_placed(order))) <= PLACED_MAX_BYTES


async def merge_carts(tx: Tx, source: UUID, target: UUID) -> None:
    """Pour a guest's cart into a customer's.

    Raises StateConflict when one is not open, Validation for more lines than a cart may have.
    Merging the same cart again is harmless: it has nothing left to give.
    """
    status = await carts.lock(tx, *sorted((source, target)))
    if status.get(source) == "merged":
        return
    if status.get(source) != "open" or status.get(target) != "open":
        raise StateConflict("One of the carts has been ordered.")
    await carts.pour(tx, source, target)
    if await carts.line_count(tx, target) > rules.LINES_MAX:
        raise Validation.at("/cart_id", f"A cart has at most {rules.LINES_MAX} lines.")
    await carts.mark_merged(tx, source)
    await carts.touch(tx, target, source)


def newest_offers(events: Sequence[Any]) -> list[Any]:
    """Keep the newest offer of each sku, by version."""
    by_sku: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        by_sku[event.sku].append(event)
    return [max(by_sku[sku], key=lambda event: event.version) for sku in sorted(by_sku)]
