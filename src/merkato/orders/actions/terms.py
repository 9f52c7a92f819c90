"""The terms of the shop are changed by staff. Runs inside the transaction it is given."""

from datetime import date

from merkato.chassis.db import Tx
from merkato.contracts.problem import NotFound, PreconditionFailed, PreconditionRequired
from merkato.orders.domain.terms import MethodBody, ShippingMethod, TaxRate, check_method
from merkato.orders.store import terms as store


async def put_method(
    tx: Tx, method_id: str, body: MethodBody, expected: int | None
) -> tuple[ShippingMethod | None, ShippingMethod]:
    """Make or replace a method; give it before (None: new) and after. An archived one lives again.

    Raises Validation, PreconditionRequired and PreconditionFailed.
    """
    check_method(body)
    new = await store.insert_method(tx, method_id, body)
    before = await _lock(tx, method_id)
    if new:
        return None, before
    _check_version(before, expected)
    await store.update_method(tx, method_id, body, archived=False)
    return before, await _lock(tx, method_id)


async def archive_method(tx: Tx, method_id: str, expected: int) -> ShippingMethod:
    """Offer a method no more; orders go on naming it. Gives it as it was. Again: nothing."""
    before = await _lock(tx, method_id)
    if not before.archived:
        _check_version(before, expected)
        await store.update_method(tx, method_id, before, archived=True)
    return before


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


async def put_rate(tx: Tx, rate: TaxRate) -> int | None:
    """Make or replace a tax rate; give what it was before. Orders that exist keep theirs."""
    before = await store.lock_rate(tx, rate.country, rate.tax_class, rate.valid_from)
    await store.put_rate(tx, rate)
    return before


async def delete_rate(tx: Tx, country: str, tax_class: str, valid_from: date) -> int | None:
    """Remove a tax rate; give what it was. Harmless to repeat."""
    before = await store.lock_rate(tx, country, tax_class, valid_from)
    await store.delete_rate(tx, country, tax_class, valid_from)
    return before
