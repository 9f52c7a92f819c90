"""Coupons are made, held by orders, used and freed. Runs inside the transaction it is given."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    StateConflict,
)
from merkato.orders.domain.coupons import Coupon, CouponBody, CouponExhausted, check_body, exhausted
from merkato.orders.store import coupons as store
from merkato.orders.store.placing import NewOrder


class Admitted(msgspec.Struct, frozen=True):
    """Which orders of a batch may have their coupon, and what of the others: by order.

    `old`: priced by a coupon that says something else by now, or is not valid any more.
    """

    orders: list[NewOrder]
    refused: dict[UUID, CouponExhausted]
    old: set[UUID]


async def admit(tx: Tx, orders: Sequence[NewOrder]) -> Admitted:
    """Lock the coupons of orders and decide, first come first served, who may have them."""
    admitted = Admitted([], {}, set())
    wanted = [(o.priced.coupon.code, o.coupon_customer or "") for o in orders if o.priced.coupon]
    locked = await store.lock(tx, [code for code, _ in wanted])
    uses = Counter({code: coupon.uses for code, (coupon, _) in locked.items()})
    of_customer = Counter(await store.of_customers(tx, wanted))
    for order in orders:
        priced_by = order.priced.coupon
        if priced_by is None:
            admitted.orders.append(order)
            continue
        coupon, valid = locked[priced_by.code]
        at = (coupon.code, order.coupon_customer or "")
        refusal = exhausted(coupon, uses[coupon.code], of_customer[at])
        if coupon.version != priced_by.version or not valid:
            admitted.old.add(order.id)
        elif refusal is not None:
            admitted.refused[order.id] = refusal
        else:
            uses[coupon.code] += 1
            of_customer[at] += 1
            admitted.orders.append(order)
    return admitted


async def hold(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Hold the coupons of orders that were admitted and placed; write what they take off."""
    uses = [
        (o.id, o.priced.coupon.code, o.coupon_customer or "") for o in orders if o.priced.coupon
    ]
    held = await store.hold(tx, uses)
    if held != len(uses):
        raise RuntimeError(f"{len(uses)} coupons were admitted, {held} held")
    rows = [
        (order.id, n, one.line_no, one.source, one.code, one.amount_minor)
        for order in orders
        for n, one in enumerate(order.priced.adjustments, 1)
    ]
    if rows:
        await store.adjust(tx, rows)


async def follow(tx: Tx, confirmed: Sequence[UUID], cancelled: Sequence[UUID]) -> None:
    """Use the coupons of confirmed orders, free those of cancelled ones. Harmless to repeat."""
    if confirmed:
        await store.use(tx, confirmed)
    if cancelled:
        await store.free(tx, cancelled)


async def put(
    tx: Tx, caller: Caller, code: str, body: CouponBody, expected: int | None
) -> tuple[Coupon | None, Coupon]:
    """Make or replace a coupon; give it before (None: new) and after. An archived one lives again.

    Raises Validation, PreconditionRequired, PreconditionFailed, and StateConflict for limits below
    what was used.
    """
    check_body(body)
    if await store.insert(tx, code, body):
        made = (await store.coupons(tx, [code]))[code]
        note(tx, caller, "orders.coupon_made", f"coupon:{code}", after=made)
        return None, made
    before = await _lock(tx, code)
    _check_version(before, expected)
    if body.uses_max is not None and body.uses_max < before.uses:
        raise StateConflict(f"It has been used {before.uses} times.", uses=before.uses)
    most = body.uses_per_customer_max
    if most is not None and most < (had := await store.most_of_a_customer(tx, code)):
        raise StateConflict(f"A customer has used it {had} times.", uses=had)
    await store.update(tx, code, body, archived=False)
    after = (await store.coupons(tx, [code]))[code]
    note(tx, caller, "orders.coupon_changed", f"coupon:{code}", before, after)
    return before, after


async def archive(tx: Tx, caller: Caller, code: str, expected: int) -> None:
    """Take a coupon out of use; orders keep it. Again: nothing happens. Raises as `put`."""
    before = await _lock(tx, code)
    if not before.archived:
        _check_version(before, expected)
        await store.update(tx, code, before, archived=True)
        note(tx, caller, "orders.coupon_archived", f"coupon:{code}", before=before)


async def _lock(tx: Tx, code: str) -> Coupon:
    found = (await store.lock(tx, [code])).get(code)
    if found is None:
        raise NotFound("There is no such coupon.")
    return found[0]


def _check_version(coupon: Coupon, expected: int | None) -> None:
    if expected is None:
        raise PreconditionRequired("Send If-Match with the ETag of the coupon.")
    if coupon.version != expected:
        raise PreconditionFailed(f'It has changed; its ETag is "v{coupon.version}" now.')
