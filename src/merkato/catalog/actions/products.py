"""What can be asked to change about products, their variants and prices."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain import products as domain
from merkato.catalog.domain.products import (
    Change,
    NewProduct,
    PriceRow,
    Product,
    ProductPatch,
    Variant,
    VariantBody,
)
from merkato.catalog.domain.words import checked_texts
from merkato.catalog.store import price_lists
from merkato.catalog.store import products as store
from merkato.catalog.store import texts as text_store
from merkato.chassis.db import Tx
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    StateConflict,
    Validation,
)


async def create(
    tx: Tx, caller: Caller, product_id: UUID, new: NewProduct, default_locale: str
) -> None:
    """Make a product with its variants and prices, all or nothing.

    Raises Validation, and StateConflict when a slug or a sku is taken.
    """
    product = Product(
        id=product_id, status=new.status, version=1, options=new.options,
        attributes=new.attributes, metadata=new.metadata,
        texts=checked_texts(new.texts, default_locale),
        categories=tuple(sorted(set(new.categories))),
        variants=tuple(_variant(variant.sku, variant) for variant in new.variants),
    )  # fmt: skip
    domain.check_options(product.options)
    domain.check_variants(product.options, product.variants)
    for place, variant in enumerate(new.variants):
        await _check_prices(tx, variant.prices or (), f"/variants/{place}/prices")
    rows = {v.sku: v.prices or () for v in new.variants}
    await write(tx, caller, [Change(None, product, frozenset(rows), rows)])


async def change(
    tx: Tx,
    caller: Caller,
    product_id: UUID,
    patch: ProductPatch,
    expected: int,
    default_locale: str,
) -> None:
    """Change a product. Raises NotFound, PreconditionFailed, Validation and StateConflict."""
    before = await lock(tx, product_id, expected)
    after = domain.patched(before, patch, default_locale)
    differs = domain.sells_differently(before, after)
    skus = frozenset(v.sku for v in after.variants if differs)
    await write(tx, caller, [Change(before, after, skus)])


async def archive(
    tx: Tx, caller: Caller, product_id: UUID, expected: int, default_locale: str
) -> None:
    """Take a product out of the shop for good; orders go on knowing it. Again: nothing."""
    product = await lock(tx, product_id, expected)
    if product.status != "archived":
        patch = ProductPatch(status="archived")
        await change(tx, caller, product_id, patch, expected, default_locale)


async def put_variant(
    tx: Tx, caller: Caller, product_id: UUID, sku: str, body: VariantBody, expected: int | None
) -> bool:
    """Make a variant or replace it; True when it is new. `expected`: version of the product.

    Raises NotFound, PreconditionRequired for one that exists, PreconditionFailed, Validation, and
    StateConflict when another product has the sku.
    """
    before = await lock(tx, product_id, expected)
    known = _find(before, sku)
    if known is not None and expected is None:
        raise PreconditionRequired("Send If-Match with the ETag of the product.")
    if before.status == "archived":
        raise StateConflict("The product is archived.")
    variant = _variant(known.sku if known else sku, body)
    if known is None:
        variants = (*before.variants, variant)
    else:
        variants = tuple(variant if v is known else v for v in before.variants)
    after = _next(before, variants)
    domain.check_variants(after.options, after.variants, "")
    await _check_prices(tx, body.prices or ())
    rows = {} if body.prices is None else {variant.sku: body.prices}
    await write(tx, caller, [Change(before, after, frozenset([variant.sku]), rows)])
    return known is None


async def archive_variant(
    tx: Tx, caller: Caller, product_id: UUID, sku: str, expected: int
) -> None:
    """Stop selling a variant; its sku is never free again. Putting it revives it.

    Again: nothing. Raises NotFound and PreconditionFailed.
    """
    before = await lock(tx, product_id, expected)
    known = _find(before, sku)
    if known is None:
        raise NotFound("There is no such variant.")
    if known.archived:
        return
    gone = msgspec.structs.replace(known, archived=True)
    after = _next(before, tuple(gone if v is known else v for v in before.variants))
    await write(tx, caller, [Change(before, after, frozenset([gone.sku]))])


async def put_prices(
    tx: Tx, caller: Caller, sku: str, rows: Sequence[PriceRow], expected: int
) -> UUID:
    """Replace all prices of a sku; gives its product. `expected`: version of the product.

    Raises NotFound, PreconditionFailed and Validation.
    """
    product_id = await store.product_of(tx, sku)
    if product_id is None:
        raise NotFound("There is no such variant.")
    await _check_prices(tx, rows)
    before = await lock(tx, product_id, expected)
    known = _find(before, sku)
    if known is None:
        raise NotFound("There is no such variant.")
    after = _next(before, before.variants)
    await write(tx, caller, [Change(before, after, frozenset([known.sku]), {known.sku: rows})])
    return product_id


async def tell_prices(tx: Tx, product_ids: Sequence[UUID]) -> None:
    """Say anew what is sold at a price that has come into force since it was said."""
    found = await store.lock(tx, product_ids)
    due = await store.due_of(tx, list(found))
    changes = [
        Change(product, product, frozenset(v.sku for v in product.variants) & due)
        for product in found.values()
    ]
    await announce(tx, changes)


async def lock(tx: Tx, product_id: UUID, expected: int | None) -> Product:
    """Read a product and keep others from changing it. Raises NotFound and PreconditionFailed."""
    product = (await store.lock(tx, [product_id])).get(product_id)
    if product is None:
        raise NotFound("There is no such product.")
    if expected is not None and product.version != expected:
        raise PreconditionFailed(f'It has changed; its ETag is "v{product.version}" now.')
    return product


async def _check_prices(tx: Tx, rows: Sequence[PriceRow], pointer: str = "/prices") -> None:
    domain.check_prices(rows, pointer)
    known = await price_lists.keep(tx, sorted({row.price_list for row in rows}))
    for place, row in enumerate(rows):
        if row.price_list not in known:
            raise Validation.at(f"{pointer}/{place}/price_list", "There is no such price list.")


def _find(product: Product, sku: str) -> Variant | None:
    return next((v for v in product.variants if v.sku.lower() == sku.lower()), None)


def _next(product: Product, variants: tuple[Variant, ...]) -> Product:
    return msgspec.structs.replace(product, variants=variants, version=product.version + 1)


def _variant(sku: str, body: VariantBody) -> Variant:
    return Variant(
        sku=sku, options=body.options, track_stock=body.track_stock,
        requires_shipping=body.requires_shipping, weight_g=body.weight_g, tax_class=body.tax_class,
        image=body.image, metadata=body.metadata,
    )  # fmt: skip


async def write(tx: Tx, caller: Caller | None, changes: Sequence[Change]) -> None:
    """Keep products that are new or changed, say so, and note it of `caller`; rows are locked.

    Raises StateConflict when a slug or a sku is taken, Validation for a category that is not there.
    """
    await store.insert(tx, [one.after for one in changes if one.before is None])
    await store.update(tx, [one.after for one in changes if one.before is not None])
    texts = [one.after for one in changes if one.texts_differ]
    if texts and (taken := await text_store.replace(tx, texts)):
        raise StateConflict(f"Another product has the slug {taken[1]} in {taken[0]}.")
    moved = [one.after for one in changes if one.categories_differ]
    if moved and not await store.replace_categories(tx, moved):
        raise Validation.at("/categories", "One of the categories does not exist.")
    if new := [(one.after, variant) for one in changes for variant in one.new_variants]:
        sku = await store.add_variants(tx, new)
        if sku is not None:
            raise StateConflict(f"The sku {sku} is taken.")
    if other := [variant for one in changes for variant in one.changed_variants]:
        await store.update_variants(tx, other)
    if prices := {sku: rows for one in changes for sku, rows in one.prices.items()}:
        await store.replace_prices(tx, prices)
    await announce(tx, changes)
    if caller is not None:
        for change in changes:
            _note(tx, caller, change)


def _note(tx: Tx, caller: Caller, change: Change) -> None:
    before, after = change.before, change.after
    prices = {"prices": change.prices} if change.prices else {}
    action = "catalog.product_made" if before is None else "catalog.product_changed"
    old = before and {name: getattr(before, name) for name in before.__struct_fields__}
    new = {name: getattr(after, name) for name in after.__struct_fields__} | prices
    note(tx, caller, action, f"product:{after.id}", old, new)


async def announce(tx: Tx, changes: Sequence[Change]) -> None:
    """Say what has changed: of each product, and of its skus that are sold differently, whole."""
    told = await _priced(tx, changes)
    await store.show(tx, told)
    for change, product in zip(changes, told, strict=True):
        about = domain.news(change.before, change.after)
        if about is not None:
            say(tx, about)
        say(tx, *(domain.priced(product, v) for v in product.variants if v.sku in change.skus))


async def _priced(tx: Tx, changes: Sequence[Change]) -> list[Product]:
    """Read the prices in force of what will be said, and count what is said of each sku."""
    skus = sorted(sku for change in changes for sku in change.skus)
    if not skus:
        return [change.after for change in changes]
    await store.mark_said(tx, skus)
    prices = await store.in_force(tx, skus)
    versions: Mapping[str, int] = await store.announce(tx, prices)

    def told(variant: Variant) -> Variant:
        if variant.sku not in versions:
            return variant
        now, version = tuple(prices[variant.sku]), versions[variant.sku]
        return msgspec.structs.replace(variant, prices=now, version=version)

    return [
        msgspec.structs.replace(one.after, variants=tuple(map(told, one.after.variants)))
        for one in changes
    ]
