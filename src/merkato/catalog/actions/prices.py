"""Setting prices of many skus at once, all or none."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from merkato.catalog.actions.products import announce
from merkato.catalog.domain import prices as domain
from merkato.catalog.domain.prices import SetPrice
from merkato.catalog.domain.products import Change
from merkato.catalog.store import price_lists
from merkato.catalog.store import prices as store
from merkato.catalog.store import products as products_store
from merkato.chassis.db import Tx
from merkato.contracts.problem import UnknownProduct, Validation


async def set_prices(tx: Tx, rows: Sequence[SetPrice]) -> int:
    """Set prices that count at once; give how many are others now. A repeat changes nothing.

    Raises Validation, UnknownProduct for skus that are not there, and StateConflict for a price
    that is not the expected one.
    """
    domain.check(rows)
    known_lists = await price_lists.keep(tx, sorted({row.price_list for row in rows}))
    for place, row in enumerate(rows):
        if row.price_list not in known_lists:
            raise Validation.at(f"/items/{place}/price_list", "There is no such price list.")
    found = await store.find(tx, [row.sku for row in rows])
    unknown = sorted({row.sku for row in rows if row.sku.lower() not in found})
    if unknown:
        raise UnknownProduct(f"There is no {', '.join(unknown[:10])}.", skus=unknown)
    products = await products_store.lock(tx, sorted({product for _, product in found.values()}))
    variants = {v.sku: v for product in products.values() for v in product.variants}
    named = [msgspec.structs.replace(row, sku=found[row.sku.lower()][0]) for row in rows]
    for row in named:
        domain.check_expected(variants[row.sku], row)
    new = [row for row in named if not domain.is_so(variants[row.sku], row)]
    if not new:
        return 0
    await store.drop(tx, new)
    await store.add(tx, new)
    skus = defaultdict(set)
    for row in new:
        skus[found[row.sku.lower()][1]].add(row.sku)
    changes = [
        Change(before, msgspec.structs.replace(before, version=before.version + 1), frozenset(some))
        for before, some in ((products[product], some) for product, some in sorted(skus.items()))
    ]
    await products_store.update(tx, [change.after for change in changes])
    await announce(tx, changes)
    return len(new)
