"""The rules of products: what one must be, what it costs, and what is said when."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from merkato.catalog.domain.images import Image, cover
from merkato.catalog.domain.price_lists import STANDARD, PriceListName
from merkato.catalog.domain.words import Body, Texts, Words, checked_texts
from merkato.contracts.catalog import (
    Price,
    ProductArchived,
    ProductChanged,
    ProductPublished,
    ProductTexts,
    VariantPriced,
)
from merkato.contracts.problem import StateConflict, Validation
from merkato.contracts.values import (
    VISIBLE,
    AmountMinor,
    Currency,
    Line,
    Metadata,
    Quantity,
    Sku,
    TaxClass,
)

VARIANTS_MAX = 100  # of one product
PRICES_MAX = 100  # of one sku
CATEGORIES_MAX = 50  # that one product is in
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # what a price without `valid_from` is valid from
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

CategoryIds = Annotated[tuple[UUID, ...], msgspec.Meta(max_length=CATEGORIES_MAX)]
Status: TypeAlias = Literal["draft", "active", "archived"]
Level: TypeAlias = Literal["yes", "few", "no"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=VISIBLE)]
ImagePath = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https?:/)?/[!-~]*\Z")]
Integer = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
AttributeValue: TypeAlias = Line | Integer | bool
Attributes = Annotated[dict[Name, AttributeValue], msgspec.Meta(max_length=50)]
OptionValues = Annotated[dict[Name, Line], msgspec.Meta(max_length=5)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=10**8)]  # grams


class Option(Body, frozen=True, kw_only=True):
    """One thing to choose, such as the colour, and what there is to choose from."""

    name: Name
    values: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=100)]


Options = Annotated[tuple[Option, ...], msgspec.Meta(max_length=5)]


class PriceRow(Body, frozen=True, kw_only=True):
    """What one piece costs from `from_quantity` pieces on, since `valid_from` (None: always)."""

    price_list: PriceListName = STANDARD
    currency: Currency
    from_quantity: Quantity = 1
    valid_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    amount_minor: AmountMinor


PriceRows = Annotated[tuple[PriceRow, ...], msgspec.Meta(max_length=PRICES_MAX)]


class VariantBody(Body, frozen=True, kw_only=True):
    """What is sold, priced and stocked. Without `prices` those that are there stay."""

    options: OptionValues = {}
    track_stock: bool = True
    requires_shipping: bool = True
    weight_g: Weight = 0
    tax_class: TaxClass = "standard"
    image: ImagePath | None = None
    metadata: Metadata = {}
    prices: PriceRows | None = None


class NewVariant(VariantBody, frozen=True, kw_only=True):
    """A variant that comes with its product."""

    sku: Sku


class NewProduct(Body, frozen=True, kw_only=True):
    """A product, with its variants and prices if they are known already."""

    status: Literal["draft", "active"] = "draft"
    texts: Texts
    categories: CategoryIds = ()
    options: Options = ()
    attributes: Attributes = {}
    metadata: Metadata = {}
    variants: Annotated[tuple[NewVariant, ...], msgspec.Meta(max_length=VARIANTS_MAX)] = ()


class ProductPatch(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What shall be different; what is left out stays. Each part is replaced as a whole."""

    status: Status | msgspec.UnsetType = msgspec.UNSET
    texts: Texts | msgspec.UnsetType = msgspec.UNSET
    categories: CategoryIds | msgspec.UnsetType = msgspec.UNSET
    options: Options | msgspec.UnsetType = msgspec.UNSET
    attributes: Attributes | msgspec.UnsetType = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as it is kept; `prices` are those in force when it was last announced."""

    sku: str
    options: dict[str, str]
    track_stock: bool
    requires_shipping: bool
    weight_g: int
    tax_class: str
    image: str | None
    metadata: dict[str, str]
    archived: bool = False
    version: int = 0
    prices: tuple[Price, ...] = ()


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it is kept, locked by whoever changes it."""

    id: UUID
    status: Status
    version: int
    options: tuple[Option, ...]
    attributes: dict[str, AttributeValue]
    metadata: dict[str, str]
    texts: dict[str, Words]
    categories: tuple[UUID, ...] = ()
    variants: tuple[Variant, ...] = ()
    images: tuple[Image, ...] = ()


class Change(NamedTuple):
    """A product that is new (`before` is None) or changed, and what of it is to be written."""

    before: Product | None
    after: Product
    skus: frozenset[str]  # sold differently from now on
    prices: Mapping[str, Sequence[PriceRow]] = {}  # all prices that these skus have from now on

    @property
    def texts_differ(self) -> bool:
        """Tell whether texts or the right to their slugs are others now."""
        if self.before is None:
            return True
        lived, lives = self.before.status != "archived", self.after.status != "archived"
        return self.before.texts != self.after.texts or lived != lives

    @property
    def categories_differ(self) -> bool:
        """Tell whether it is in other categories now."""
        return self.after.categories != (self.before.categories if self.before else ())

    @property
    def new_variants(self) -> tuple[Variant, ...]:
        """Give the variants behind those there were; the order of variants never changes."""
        return self.after.variants[len(self.before.variants) if self.before else 0 :]

    @property
    def changed_variants(self) -> list[Variant]:
        """Give the variants that are there and others now."""
        old = self.before.variants if self.before else ()
        return [new for new, known in zip(self.after.variants, old, strict=False) if new != known]


def check_options(options: Sequence[Option]) -> None:
    """Raise Validation when a name or a value is there twice."""
    names = [option.name for option in options]
    if len(set(names)) < len(names):
        raise Validation.at("/options", "Two options have one name.")
    for place, option in enumerate(options):
        if len(set(option.values)) < len(option.values):
            raise Validation.at(f"/options/{place}/values", "A value is there twice.")


def check_variants(
    options: Sequence[Option], variants: Sequence[Variant], pointer: str = "/variants/{}"
) -> None:
    """Raise Validation when living variants could not be told apart or chosen."""
    if len(variants) > VARIANTS_MAX:
        raise Validation.at("/variants", f"A product has at most {VARIANTS_MAX} variants.")
    allowed = {option.name: frozenset(option.values) for option in options}
    skus: set[str] = set()
    chosen: set[tuple[tuple[str, str], ...]] = set()
    for place, variant in enumerate(variants):
        at = pointer.format(place)
        if variant.sku.lower() in skus:
            raise Validation.at(f"{at}/sku", f"{variant.sku} is there twice.")
        skus.add(variant.sku.lower())
        if variant.archived:
            continue
        for name, value in variant.options.items():
            if value not in allowed.get(name, ()):
                raise Validation.at(f"{at}/options", f"{name} = {value} is not to be chosen.")
        missing = sorted(allowed.keys() - variant.options.keys())
        if missing:
            raise Validation.at(f"{at}/options", f"{missing[0]} is not chosen.")
        choice = tuple(sorted(variant.options.items()))
        if choice in chosen:
            raise Validation.at(f"{at}/options", "Another variant has the same options.")
        chosen.add(choice)


def check_prices(rows: Sequence[PriceRow], pointer: str = "/prices") -> None:
    """Raise Validation when two rows speak of the same price, or of a time that cannot be meant."""
    seen = set()
    for place, row in enumerate(rows):
        if not ALWAYS <= (row.valid_from or ALWAYS) <= LATEST:
            raise Validation.at(f"{pointer}/{place}/valid_from", "Between the years 1970 and 2200.")
        key = (row.price_list, row.currency, row.from_quantity, row.valid_from or ALWAYS)
        if key in seen:
            raise Validation.at(f"{pointer}/{place}", "Another row sets the same price.")
        seen.add(key)


def price_of(prices: Sequence[Price], currency: str, quantity: int) -> Price | None:
    """Choose what one of `quantity` pieces costs on the standard list; None: not for sale."""
    fitting = [
        price
        for price in prices
        if price.price_list == STANDARD
        and price.currency == currency
        and price.from_quantity <= quantity
    ]
    return max(fitting, key=lambda p: p.from_quantity, default=None)


def lowest_prices(variants: Sequence[Variant]) -> dict[str, int]:
    """Map currency to the least that one piece of a living variant costs, in minor units."""
    lowest: dict[str, int] = {}
    for variant in variants:
        for currency in () if variant.archived else {p.currency for p in variant.prices}:
            price = price_of(variant.prices, currency, 1)
            if price is not None:
                least = lowest.get(currency, price.amount_minor)
                lowest[currency] = min(least, price.amount_minor)
    return lowest


def stock_level(available: int, few_below: int) -> Level:
    """Say how much there is without saying how much."""
    if available <= 0:
        return "no"
    return "few" if available < few_below else "yes"


def patched(product: Product, patch: ProductPatch, default_locale: str) -> Product:
    """Apply a patch. Raises Validation and StateConflict."""
    changes = {
        name: value
        for name in patch.__struct_fields__
        if (value := getattr(patch, name)) is not msgspec.UNSET
    }
    if not changes:
        raise Validation("There is nothing to change.")
    if product.status == "archived" and set(changes) != {"status"}:
        raise StateConflict("It is archived; make it a draft again first.")
    if "texts" in changes:
        changes["texts"] = checked_texts(changes["texts"], default_locale)
    if "categories" in changes:
        changes["categories"] = tuple(sorted(set(changes["categories"])))
    after = msgspec.structs.replace(product, **changes, version=product.version + 1)
    check_options(after.options)
    check_variants(after.options, after.variants)
    return after


def sells_differently(before: Product, after: Product) -> bool:
    """Tell whether a change of the product concerns how each of its variants is sold."""
    return (before.status == "active") != (after.status == "active") or titles(before) != titles(
        after
    )


def shown_image(product: Product) -> str | None:
    """Give what stands for a product in lists: its first image, else the first of a variant."""
    own = (v.image for v in product.variants if v.image and not v.archived)
    return cover(product.images) or next(own, None)


def titles(product: Product) -> dict[str, str]:
    """Map locale to title."""
    return {locale: text.title for locale, text in product.texts.items()}


def news(
    before: Product | None, after: Product
) -> ProductPublished | ProductChanged | ProductArchived | None:
    """Give what is to be said about a product that changed, if anything."""
    was, is_ = before is not None and before.status == "active", after.status == "active"
    kind: type[ProductPublished | ProductChanged | ProductArchived]
    if is_ and not was:
        kind = ProductPublished
    elif was and not is_:
        kind = ProductArchived
    elif is_ and before is not None and _shown(before) != _shown(after):
        kind = ProductChanged
    else:
        return None
    texts, skus, categories = _shown(after)
    return kind(
        product_id=after.id, version=after.version, texts=texts, skus=skus, categories=categories
    )


def _shown(product: Product) -> tuple[dict[str, ProductTexts], tuple[str, ...], tuple[UUID, ...]]:
    texts = {
        locale: ProductTexts(title=text.title, slug=text.slug or "")
        for locale, text in product.texts.items()
    }
    skus = tuple(variant.sku for variant in product.variants if not variant.archived)
    return texts, skus, product.categories


def priced(product: Product, variant: Variant) -> VariantPriced:
    """Give all that must be known to sell a variant now."""
    return VariantPriced(
        sku=variant.sku,
        product_id=product.id,
        titles=titles(product),
        options=variant.options,
        image=variant.image or cover(product.images),
        active=product.status == "active" and not variant.archived,
        version=variant.version,
        prices=variant.prices,
        track_stock=variant.track_stock,
        requires_shipping=variant.requires_shipping,
        weight_g=variant.weight_g,
        tax_class=variant.tax_class,
    )
