"""Changing many products at once: what of it concerns each of them. Pure."""

from typing import Annotated
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import (
    CATEGORIES_MAX,
    CategoryIds,
    Product,
    ProductPatch,
    Status,
)
from merkato.catalog.domain.words import Body
from merkato.contracts.problem import StateConflict

PRODUCTS_MAX = 1_000  # changed at once
Ids = Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=PRODUCTS_MAX)]


class ManyChange(Body, frozen=True, kw_only=True):
    """What shall be different about these products; what is left out stays."""

    ids: Ids
    status: Status | None = None
    add_categories: CategoryIds = ()
    remove_categories: CategoryIds = ()


def patch_of(product: Product, change: ManyChange) -> ProductPatch | None:
    """Give what changes about a product; None for one that is so already.

    Raises StateConflict when it would be in too many categories.
    """
    kept = [one for one in product.categories if one not in change.remove_categories]
    categories = tuple(sorted({*kept, *change.add_categories}))
    fields: dict[str, object] = {}
    if change.status not in (None, product.status):
        fields["status"] = change.status
    if categories != product.categories:
        if len(categories) > CATEGORIES_MAX:
            raise StateConflict(f"A product is in at most {CATEGORIES_MAX} categories.")
        fields["categories"] = categories
    return msgspec.convert(fields, ProductPatch) if fields else None
