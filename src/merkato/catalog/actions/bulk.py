"""What can be asked to change about many products at once, all or none."""

from merkato.catalog.actions.products import write
from merkato.catalog.domain import products as domain
from merkato.catalog.domain.bulk import ManyChange, patch_of
from merkato.catalog.domain.products import Change, Product
from merkato.catalog.store import products as store
from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import StateConflict, Validation


async def change_many(tx: Tx, caller: Caller, change: ManyChange, default_locale: str) -> int:
    """Change products, all or none; gives how many are others now. A repeat changes nothing.

    Raises Validation for products or categories that are not there, and StateConflict, naming the
    product, for one that cannot be changed so.
    """
    found = await store.lock(tx, sorted(set(change.ids)))
    if missing := next((one for one in change.ids if one not in found), None):
        raise Validation.at("/ids", f"There is no product {missing}.")
    changes = []
    for before in found.values():
        try:
            patch = patch_of(before, change)
            if patch is None:
                continue
            after = domain.patched(before, patch, default_locale)
        except StateConflict as conflict:
            raise StateConflict(f"{_title(before, default_locale)}: {conflict.detail}") from None
        differs = domain.sells_differently(before, after)
        skus = frozenset(v.sku for v in after.variants if differs)
        changes.append(Change(before, after, skus))
    await write(tx, caller, changes)
    return len(changes)


def _title(product: Product, default_locale: str) -> str:
    words = product.texts.get(default_locale) or next(iter(product.texts.values()))
    return words.title
