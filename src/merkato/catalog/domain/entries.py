"""The rules of entries: a product as a file brings it, and how it changes what is there.

An entry is read as a merge patch (RFC 7396): what is left out stays, null takes away, and lists
are replaced as a whole. Variants are told apart by sku; those that are not named stay.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from merkato.catalog.domain.amounts import PriceKey, parse_key
from merkato.catalog.domain.products import (
    ALWAYS,
    CATEGORIES_MAX,
    Attributes,
    AttributeValue,
    Change,
    ImagePath,
    Name,
    Option,
    Options,
    OptionValues,
    PriceRow,
    PriceRows,
    Product,
    Status,
    Variant,
    Weight,
    check_options,
    check_prices,
    check_variants,
    sells_differently,
)
from merkato.catalog.domain.words import Body, Slug, Title, Words, checked_texts
from merkato.contracts.problem import StateConflict, Validation
from merkato.contracts.values import (
    AmountMinor,
    Locale,
    Metadata,
    MetadataKey,
    MetadataValue,
    Sku,
    TaxClass,
    Text,
)

T = TypeVar("T")
MetadataPatch = Annotated[dict[MetadataKey, MetadataValue | None], msgspec.Meta(max_length=100)]


class EntryTexts(Body, frozen=True, kw_only=True, omit_defaults=True):
    """Texts in one locale."""

    title: Title | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET


class EntryVariant(Body, frozen=True, kw_only=True, omit_defaults=True):
    """A variant. `prices` are all its prices; `amounts` some of them, in minor units, by key."""

    sku: Sku
    options: OptionValues | UnsetType = UNSET
    track_stock: bool | UnsetType = UNSET
    requires_shipping: bool | UnsetType = UNSET
    weight_g: Weight | UnsetType = UNSET
    tax_class: TaxClass | UnsetType = UNSET
    image: ImagePath | UnsetType | None = UNSET
    metadata: MetadataPatch | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    prices: PriceRows | UnsetType = UNSET
    amounts: dict[str, AmountMinor | None] | UnsetType = UNSET


class Entry(Body, frozen=True, kw_only=True, omit_defaults=True):
    """A product by its slug in the shop's locale; without one, by the sku of its first variant."""

    slug: Slug | None = None
    status: Status | UnsetType = UNSET
    texts: dict[Locale, EntryTexts] | UnsetType = UNSET
    categories: tuple[Slug, ...] | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    attributes: dict[Name, AttributeValue | None] | UnsetType = UNSET
    metadata: MetadataPatch | UnsetType = UNSET
    variants: tuple[EntryVariant, ...] = ()


class Stand(NamedTuple):
    """A product with all price rows of its variants, by sku."""

    product: Product
    prices: Mapping[str, Sequence[PriceRow]]


class Known(NamedTuple):
    """What a file may speak of, and what counts when it does not say."""

    default_locale: str
    categories: Mapping[str, UUID]  # by slug
    price_lists: frozenset[str]
    now: datetime


def merged(before: Stand | None, entry: Entry, known: Known, product_id: UUID) -> Stand:
    """Apply an entry to a product, or make one of it (with `product_id`).

    The version stays; `change` counts. Raises Validation, and StateConflict for what is archived.
    """
    stand = before or Stand(_empty(product_id), {})
    product, prices = stand.product, dict(stand.prices)
    variants = list(product.variants)
    for place, one in enumerate(entry.variants):
        at = next((n for n, v in enumerate(variants) if v.sku.lower() == one.sku.lower()), None)
        old = None if at is None else variants[at]
        new = _variant(old, one)
        if at is None:
            variants.append(new)
        else:
            variants[at] = new
        prices[new.sku] = _prices(prices.get(new.sku, ()), one, known, f"/variants/{place}")
    after = replace(
        product,
        status=_status(product, entry, new=before is None),
        texts=_texts(product, entry, known.default_locale),
        categories=_categories(product, entry, known),
        attributes=_limited(
            _patched(product.attributes, entry.attributes), Attributes, "attributes"
        ),
        metadata=_limited(_patched(product.metadata, entry.metadata), Metadata, "metadata"),
        options=_options(_given(entry.options, product.options), variants),
        variants=tuple(variants),
    )
    if product.status == after.status == "archived" and after != product:
        raise StateConflict("It is archived; give it another status first.")
    check_options(after.options)
    check_variants(after.options, after.variants)
    return Stand(after, prices)


def change(before: Stand | None, after: Stand) -> Change | None:
    """Give what is to be written when `before` has become `after`; None when nothing has."""
    if before is None:
        product = replace(after.product, version=1)
        skus = frozenset(variant.sku for variant in product.variants)
        return Change(None, product, skus, after.prices)
    priced = {
        sku: rows
        for sku, rows in after.prices.items()
        if sorted(map(_row_key, rows)) != sorted(map(_row_key, before.prices.get(sku, ())))
    }
    if after.product == before.product and not priced:
        return None
    old = {variant.sku: variant for variant in before.product.variants}
    anew = sells_differently(before.product, after.product)
    skus = frozenset(v.sku for v in after.product.variants if anew or v != old.get(v.sku))
    product = replace(after.product, version=before.product.version + 1)
    return Change(before.product, product, skus | frozenset(priced), priced)


def _empty(product_id: UUID) -> Product:
    return Product(
        id=product_id, status="draft", version=0, options=(), attributes={}, metadata={}, texts={}
    )


def _given(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(value, UnsetType) else value


def _patched(old: Mapping[str, Any], patch: Mapping[str, Any] | UnsetType) -> dict[str, Any]:
    whole = {**old, **_given(patch, {})}
    return {name: value for name, value in whole.items() if value is not None}


def _limited(value: dict[str, Any], kind: Any, field: str) -> dict[str, Any]:
    try:
        whole: dict[str, Any] = msgspec.convert(value, kind)
        return whole
    except msgspec.ValidationError as error:
        raise Validation.at(f"/{field}", str(error)) from error


def _status(product: Product, entry: Entry, *, new: bool) -> Status:
    status = _given(entry.status, product.status)
    if new and status == "archived":
        raise Validation.at("/status", "A new product is a draft or active.")
    return status


def _texts(product: Product, entry: Entry, default: str) -> dict[str, Words]:
    texts: dict[str, Words] = dict(product.texts)
    given = _given(entry.texts, {})
    for locale, patch in given.items():
        old = texts.get(locale)
        title = _given(patch.title, old.title if old else "")
        if not title:
            raise Validation.at(f"/texts/{locale}/title", "A title is missing.")
        slug = _given(patch.slug, old.slug if old else None)
        description = _given(patch.description, old.description if old else "")
        texts[locale] = Words(title=title, description=description, slug=slug)
    if not product.texts:  # a new one: its key is its slug
        if default not in texts:
            raise Validation.at(f"/texts/{default}/title", "A new product needs a title.")
        if entry.slug is not None and texts[default].slug is None:
            texts[default] = replace(texts[default], slug=entry.slug)
    return checked_texts(texts, default)


def _categories(product: Product, entry: Entry, known: Known) -> tuple[UUID, ...]:
    if isinstance(entry.categories, UnsetType):
        return product.categories
    for slug in entry.categories:
        if slug not in known.categories:
            raise Validation.at("/categories", f"There is no category {slug}.")
    if len(entry.categories) > CATEGORIES_MAX:
        raise Validation.at("/categories", f"A product is in at most {CATEGORIES_MAX} categories.")
    return tuple(sorted({known.categories[slug] for slug in entry.categories}))


def _options(options: Sequence[Option], variants: Sequence[Variant]) -> tuple[Option, ...]:
    """Add to what there is to choose what the living variants have chosen."""
    values = {option.name: dict.fromkeys(option.values) for option in options}
    for variant in variants:
        for name, value in {} if variant.archived else variant.options.items():
            values.setdefault(name, {}).setdefault(value)
    return tuple(Option(name=name, values=tuple(each)) for name, each in values.items())


def _variant(old: Variant | None, one: EntryVariant) -> Variant:
    was = old or Variant(
        sku=one.sku, options={}, track_stock=True, requires_shipping=True, weight_g=0,
        tax_class="standard", image=None, metadata={},
    )  # fmt: skip
    metadata = _limited(_patched(was.metadata, one.metadata), Metadata, "metadata")
    fields = ("options", "track_stock", "requires_shipping", "weight_g", "tax_class", "image")
    given = {field: _given(getattr(one, field), getattr(was, field)) for field in fields}
    return replace(was, **given, metadata=metadata, archived=_given(one.archived, was.archived))


def _prices(
    old: Sequence[PriceRow], one: EntryVariant, known: Known, pointer: str
) -> Sequence[PriceRow]:
    rows = list(_given(one.prices, tuple(old)))
    for name, amount in _given(one.amounts, {}).items():
        try:
            key = parse_key(name)
        except ValueError as error:
            raise Validation.at(f"{pointer}/amounts/{name}", str(error)) from error
        rows = _with_amount(rows, key, amount, known.now)
    check_prices(rows, f"{pointer}/prices")
    for row in rows:
        if row.price_list not in known.price_lists:
            raise Validation.at(f"{pointer}/prices", f"There is no price list {row.price_list}.")
    return rows


def _with_amount(
    rows: Sequence[PriceRow], key: PriceKey, amount: int | None, now: datetime
) -> list[PriceRow]:
    """Set what a price is from now on; what has been announced for later stays."""
    if in_force(rows, now).get(key) == amount:
        return list(rows)
    left = [row for row in rows if _key(row) != key or (row.valid_from or ALWAYS) > now]
    if amount is None:
        return left
    new = PriceRow(
        currency=key.currency, price_list=key.price_list, from_quantity=key.from_quantity,
        amount_minor=amount,
    )  # fmt: skip
    return [*left, new]


def in_force(rows: Sequence[PriceRow], now: datetime) -> dict[PriceKey, int]:
    """Map each price of a sku to what it is now, in minor units."""
    valid = [row for row in rows if (row.valid_from or ALWAYS) <= now]
    ordered = sorted(valid, key=lambda row: row.valid_from or ALWAYS)
    return {_key(row): row.amount_minor for row in ordered}


def _key(row: PriceRow) -> PriceKey:
    return PriceKey(row.currency, row.price_list, row.from_quantity)


def entry_of(stand: Stand, slugs: Mapping[UUID, str], default_locale: str) -> Entry:
    """Write a product as the entry that makes it; `slugs` of the categories, by id."""
    product = stand.product
    variants = tuple(
        EntryVariant(
            sku=v.sku, options=v.options, track_stock=v.track_stock, weight_g=v.weight_g,
            requires_shipping=v.requires_shipping, tax_class=v.tax_class, image=v.image,
            metadata=dict(v.metadata), archived=v.archived,
            prices=tuple(stand.prices.get(v.sku, ())),
        )
        for v in product.variants
    )  # fmt: skip
    texts = {
        locale: EntryTexts(title=t.title, description=t.description, slug=t.slug or UNSET)
        for locale, t in product.texts.items()
    }
    return Entry(
        slug=product.texts[default_locale].slug, status=product.status, texts=texts,
        categories=tuple(slugs[one] for one in product.categories), options=product.options,
        attributes=dict(product.attributes), metadata=dict(product.metadata), variants=variants,
    )  # fmt: skip


def _row_key(row: PriceRow) -> tuple[str, str, int, datetime, int]:
    valid_from = row.valid_from or ALWAYS
    return row.price_list, row.currency, row.from_quantity, valid_from, row.amount_minor
