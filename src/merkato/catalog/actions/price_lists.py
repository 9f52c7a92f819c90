"""What can be asked to change about price lists."""

import msgspec

from merkato.catalog.domain.price_lists import (
    LISTS_MAX,
    NewPriceList,
    PriceList,
    PriceListPatch,
    check_removal,
)
from merkato.catalog.store import price_lists as store
from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, PreconditionFailed, StateConflict, Validation

BELL = "tell-prices"  # the job that says anew what is sold at a price nobody was told of


async def create(tx: Tx, caller: Caller, new: NewPriceList) -> PriceList:
    """Make a price list. Raises StateConflict when its name is taken."""
    if not await store.insert(tx, new, LISTS_MAX):
        raise StateConflict(f"The name {new.name} is taken, or there are {LISTS_MAX} lists.")
    note(tx, caller, "catalog.price_list_made", f"price_list:{new.name}", after=new)
    return await _lock(tx, new.name, 1)


async def change(
    tx: Tx, caller: Caller, name: str, patch: PriceListPatch, expected: int
) -> PriceList:
    """Change a price list; another meaning of its prices is told of soon, sku by sku.

    Raises NotFound, PreconditionFailed and Validation.
    """
    before = await _lock(tx, name, expected)
    if patch == PriceListPatch():
        raise Validation("There is nothing to change.")
    changes = {
        field: value
        for field in patch.__struct_fields__
        if (value := getattr(patch, field)) is not msgspec.UNSET
    }
    after = msgspec.structs.replace(before, **changes, version=before.version + 1)
    await store.update(tx, after)
    if after.tax_included != before.tax_included:
        await store.say_anew(tx, name)
        tx.wake(BELL)
    note(tx, caller, "catalog.price_list_changed", f"price_list:{name}", before, after)
    return after


async def remove(tx: Tx, caller: Caller, name: str, expected: int) -> None:
    """Remove a list without prices. Raises NotFound, PreconditionFailed and StateConflict."""
    gone = await _lock(tx, name, expected)
    check_removal(name, has_prices=await store.has_prices(tx, name))
    await store.delete(tx, name)
    note(tx, caller, "catalog.price_list_removed", f"price_list:{name}", before=gone)


async def _lock(tx: Tx, name: str, expected: int) -> PriceList:
    found = await store.lock(tx, name)
    if found is None:
        raise NotFound("There is no such price list.")
    if found.version != expected:
        raise PreconditionFailed(f'It has changed; its ETag is "v{found.version}" now.')
    return found
