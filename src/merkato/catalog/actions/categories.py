"""What can be asked to change about the tree of categories."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.actions.products import write
from merkato.catalog.domain.categories import DEPTH_MAX, Category, CategoryPatch, NewCategory
from merkato.catalog.domain.products import Change
from merkato.catalog.domain.words import Words, checked_texts
from merkato.catalog.store import categories as store
from merkato.catalog.store import products
from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, PreconditionFailed, StateConflict, Validation

PRODUCTS_MAX = 500  # of a category that is deleted at once


async def create(
    tx: Tx, caller: Caller, category_id: UUID, new: NewCategory, default_locale: str
) -> None:
    """Make a category. Raises Validation, and StateConflict when a slug is taken."""
    texts = checked_texts(new.texts, default_locale)
    await store.hold_tree(tx)
    await _check_place(tx, category_id, new.parent_id)
    await store.insert(tx, category_id, new.parent_id, new.position)
    await _put_texts(tx, category_id, texts)
    note(tx, caller, "catalog.category_made", f"category:{category_id}", after=new)


async def change(
    tx: Tx,
    caller: Caller,
    category_id: UUID,
    patch: CategoryPatch,
    expected: int,
    default_locale: str,
) -> None:
    """Change or move a category.

    Raises NotFound, PreconditionFailed, Validation, and StateConflict for a place below itself.
    """
    await store.hold_tree(tx)
    before = await _lock(tx, category_id, expected)
    changes = {
        name: value
        for name in patch.__struct_fields__
        if (value := getattr(patch, name)) is not msgspec.UNSET
    }
    if not changes:
        raise Validation("There is nothing to change.")
    after = msgspec.structs.replace(before, **changes)
    if after.parent_id != before.parent_id:
        await _check_place(tx, category_id, after.parent_id)
    await store.update(tx, category_id, after.parent_id, after.position)
    if "texts" in changes:
        await _put_texts(tx, category_id, checked_texts(after.texts, default_locale))
    note(tx, caller, "catalog.category_changed", f"category:{category_id}", before, after)


async def delete(tx: Tx, caller: Caller, category_id: UUID, expected: int) -> None:
    """Delete a category; its products stay and are told of.

    Raises NotFound, PreconditionFailed, and StateConflict while something is below it.
    """
    await store.hold_tree(tx)
    members = await store.members(tx, category_id, PRODUCTS_MAX + 1)
    # Products are locked before the category, as whoever changes a product's categories does.
    found = await products.lock(tx, members[:PRODUCTS_MAX])
    gone = await _lock(tx, category_id, expected)
    if await store.has_children(tx, category_id):
        raise StateConflict("Move or delete the categories below it first.")
    if len(members) > PRODUCTS_MAX:
        raise StateConflict(f"More than {PRODUCTS_MAX} products are in it; move them first.")
    if members != await store.members(tx, category_id, PRODUCTS_MAX + 1):
        raise StateConflict("Its products have changed meanwhile; try again.")
    changes = []
    for before in found.values():
        left = tuple(other for other in before.categories if other != category_id)
        after = msgspec.structs.replace(before, categories=left, version=before.version + 1)
        changes.append(Change(before, after, frozenset()))
    await write(tx, None, changes)
    await store.delete(tx, category_id)
    note(tx, caller, "catalog.category_removed", f"category:{category_id}", before=gone)


async def _lock(tx: Tx, category_id: UUID, expected: int) -> Category:
    category = await store.lock(tx, category_id)
    if category is None:
        raise NotFound("There is no such category.")
    if category.version != expected:
        raise PreconditionFailed(f'It has changed; its ETag is "v{category.version}" now.')
    return category


async def _check_place(tx: Tx, category_id: UUID, parent_id: UUID | None) -> None:
    """Look whether the place exists, is not below the category, and not too deep."""
    if parent_id is None:
        return
    above: Sequence[UUID] = await store.path(tx, parent_id)
    if not above:
        raise Validation.at("/parent_id", "There is no such category.")
    if category_id in above:
        raise StateConflict("A category cannot be below itself.")
    if len(above) >= DEPTH_MAX:
        raise Validation.at("/parent_id", f"The tree is at most {DEPTH_MAX} deep.")


async def _put_texts(tx: Tx, category_id: UUID, texts: Mapping[str, Words]) -> None:
    taken = await store.replace_texts(tx, category_id, texts)
    if taken is not None:
        raise StateConflict(f"Another category has the slug {texts[taken].slug} in {taken}.")
