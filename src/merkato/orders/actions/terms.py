"""The terms of the shop are changed by staff. Runs inside the transaction it is given."""

from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, PreconditionFailed, PreconditionRequired
from merkato.orders.domain.offers import STANDARD
from merkato.orders.domain.terms import MethodBody, ShippingMethod, TaxRate, check_method
from merkato.orders.store import terms as store


async def put_method(
    tx: Tx, caller: Caller, method_id: str, body: MethodBody, expected: int | None
) -> tuple[ShippingMethod | None, ShippingMethod]:
    """Make or replace a method; give it before (None: new) and after. An archived one lives again.

    Raises Validation, PreconditionRequired and PreconditionFailed.
    """
    check_method(body)
    new = await store.insert_method(tx, method_id, body)
    before = await _lock(tx, method_id)
    if new:
        note(tx, caller, "orders.shipping_method_made", f"method:{method_id}", after=before)
        return None, before
    _check_version(before, expected)
    await store.update_method(tx, method_id, body, archived=False)
    after = await _lock(tx, method_id)
    note(tx, caller, "orders.shipping_method_changed", f"method:{method_id}", before, after)
    return before, after


async def archive_method(tx: Tx, caller: Caller, method_id: str, expected: int) -> None:
    """Offer a method no more; orders go on naming it. Again: nothing. Raises as `put_method`."""
    before = await _lock(tx, method_id)
    if not before.archived:
        _check_version(before, expected)
        await store.update_method(tx, method_id, before, archived=True)
        note(tx, caller, "orders.shipping_method_archived", f"method:{method_id}", before=before)


async def _lock(tx: Tx, method_id: str) -> ShippingMethod:
    found = await store.lock_method(tx, method_id)
    if found is None:
        raise NotFound("There is no such shipping method.")
    return found


def _check_version(method: ShippingMethod, expected: int | None) -> None:
    if expected is None:
        raise PreconditionRequired("Send If-Match with the ETag of the method.")
    if method.version != expected:
        raise PreconditionFailed(f'It has changed; its ETag is "v{method.version}" now.')


async def put_rate(tx: Tx, caller: Caller, rate: TaxRate) -> None:
    """Make or replace a tax rate. Orders that exist keep theirs. Harmless to repeat."""
    had = await store.lock_rate(tx, rate.country, rate.tax_class, rate.valid_from)
    await store.put_rate(tx, rate)
    before = None if had is None else {"basis_points": had}
    after = {"basis_points": rate.basis_points}
    note(tx, caller, "orders.tax_rate_set", _named(rate), before, after)


async def delete_rate(tx: Tx, caller: Caller, rate: TaxRate) -> None:
    """Remove the tax rate of a country, class and day. Harmless to repeat."""
    had = await store.lock_rate(tx, rate.country, rate.tax_class, rate.valid_from)
    if had is not None:
        await store.delete_rate(tx, rate.country, rate.tax_class, rate.valid_from)
        before = {"basis_points": had}
        note(tx, caller, "orders.tax_rate_removed", _named(rate), before=before)


def _named(rate: TaxRate) -> str:
    return f"tax_rate:{rate.country}/{rate.tax_class}/{rate.valid_from}"


async def promise_list(tx: Tx, caller: Caller, customer_id: UUID, price_list: str) -> None:
    """Have a customer pay by a price list; `standard`: by the one for all. Harmless to repeat."""
    before = {"price_list": await store.list_of(tx, customer_id) or STANDARD}
    if price_list == STANDARD:
        await store.delete_list(tx, customer_id)
    else:
        await store.put_list(tx, customer_id, price_list)
    after = {"price_list": price_list}
    note(tx, caller, "orders.price_list_promised", f"customer:{customer_id}", before, after)
