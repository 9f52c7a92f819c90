"""What can be asked to change about products, their variants and prices."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain import products as domain
from merkato.catalog.domain.products import (
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
from merkato.chassis.db import Tx
from merkato.chassis.outbox import say
from merkato.contracts.problem import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    StateConflict,
    Validation,
)


async def create(tx: Tx, product_id: UUID, new: NewProduct, default_locale: str) -> None:
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
    await store.insert(tx, product)
    await _put_texts(tx, product)
    await _put_categories(tx, product)
    await _add_variants(tx, product, product.variants, 0)
    await store.replace_prices(tx, {v.sku: v.prices or () for v in new.variants})
    await announce(tx, None, product, [variant.sku for variant in product.variants])


async def change(
    tx: Tx, product_id: UUID, patch: ProductPatch, expected: int, default_locale: str
) -> None:
    """Change a product. Raises NotFound, PreconditionFailed, Validation and StateConflict."""
    before = await lock(tx, product_id, expected)
    after = domain.patched(before, patch, default_locale)
    await store.update(tx, after)
    living = before.status != "archived", after.status != "archived"
    if after.texts != before.texts or living[0] != living[1]:
        await _put_texts(tx, after)
    if after.categories != before.categories:
        await _put_categories(tx, after)
    differs = domain.sells_differently(before, after)
    await announce(tx, before, after, [v.sku for v in after.variants] if differs else [])


async def archive(tx: Tx, product_id: UUID, expected: int, default_locale: str) -> None:
    """Take a product out of the shop for good; orders go on knowing it. Again: nothing."""
    product = await lock(tx, product_id, expected)
    if product.status != "archived":
        patch = ProductPatch(status="archived")
        await change(tx, product_id, patch, expected, default_locale)


async def put_variant(
    tx: Tx, product_id: UUID, sku: str, body: VariantBody, expected: int | None
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
    if known is None:
        await _add_variants(tx, after, [variant], len(before.variants))
    else:
        await store.update_variant(tx, variant)
    if body.prices is not None:
        await store.replace_prices(tx, {variant.sku: body.prices})
    await store.update(tx, after)
    await announce(tx, before, after, [variant.sku])
    return known is None


async def archive_variant(tx: Tx, product_id: UUID, sku: str, expected: int) -> None:
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
    await store.update_variant(tx, gone)
    await store.update(tx, after)
    await announce(tx, before, after, [gone.sku])


async def put_prices(tx: Tx, sku: str, rows: Sequence[PriceRow], expected: int) -> UUID:
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
    await store.replace_prices(tx, {known.sku: rows})
    await store.update(tx, after)
    await announce(tx, before, after, [known.sku])
    return product_id


async def tell_prices(tx: Tx, product_id: UUID) -> None:
    """Say anew what is sold at a price that has come into force since it was said."""
    product = await store.lock(tx, product_id)
    if product is not None:
        skus = await store.due_of(tx, product_id)
        await announce(tx, product, product, skus)


async def lock(tx: Tx, product_id: UUID, expected: int | None) -> Product:
    """Read a product and keep others from changing it. Raises NotFound and PreconditionFailed."""
    product = await store.lock(tx, product_id)
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


async def _put_texts(tx: Tx, product: Product) -> None:
    taken = await store.replace_texts(tx, product)
    if taken is not None:
        slug = product.texts[taken].slug
        raise StateConflict(f"Another product has the slug {slug} in {taken}.")


async def _put_categories(tx: Tx, product: Product) -> None:
    if not await store.replace_categories(tx, product):
        raise Validation.at("/categories", "One of the categories does not exist.")


async def _add_variants(tx: Tx, product: Product, variants: Sequence[Variant], first: int) -> None:
    taken = await store.add_variants(tx, product.id, variants, first)
    if taken is not None:
        raise StateConflict(f"The sku {taken} is taken.")


async def announce(tx: Tx, before: Product | None, after: Product, skus: Sequence[str]) -> None:
    """Say what has changed: the product, and these skus whole. All rows are locked."""
    told = await _price(tx, after, sorted(skus))
    lowest = domain.lowest_prices(told.variants)
    await store.show(tx, after.id, lowest, domain.shown_image(after))
    await store.show_stock(tx, [after.id])
    about = domain.news(before, after)
    if about is not None:
        say(tx, about)
    say(tx, *(domain.priced(told, v) for v in told.variants if v.sku in skus))


async def _price(tx: Tx, product: Product, skus: Sequence[str]) -> Product:
    """Read the prices in force of these skus and count what is said of them."""
    if not skus:
        return product
    await store.mark_said(tx, skus)
    prices = await store.in_force(tx, skus)
    versions: Mapping[str, int] = await store.announce(tx, prices)
    variants = [
        msgspec.structs.replace(v, prices=tuple(prices[v.sku]), version=versions[v.sku])
        if v.sku in versions
        else v
        for v in product.variants
    ]
    return msgspec.structs.replace(product, variants=tuple(variants))
