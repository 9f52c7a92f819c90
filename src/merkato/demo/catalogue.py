"""The goods of the demo shop, read from `catalogue.json` and the drawings under `pictures/`."""

from importlib.resources import files
from typing import Annotated

import msgspec

from merkato.contracts.values import (
    AmountMinor,
    Currency,
    Line,
    Locale,
    Metadata,
    Sku,
    TaxClass,
    Text,
)

Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=100)]
Slug = Key
Options = dict[Line, Line]  # option -> value: {"colour": "moss"}


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file; a field that it does not know is an error."""


class CategoryTexts(Strict, frozen=True, kw_only=True):
    """A category's texts in one locale."""

    title: Line
    slug: Slug


class Category(Strict, frozen=True, kw_only=True):
    """A node of the category tree."""

    key: Key
    parent: Key | None = None  # another category's key; None at the top
    texts: dict[Locale, CategoryTexts]


class ProductTexts(Strict, frozen=True, kw_only=True):
    """A product's texts in one locale."""

    title: Line
    description: Text
    slug: Slug


class Option(Strict, frozen=True, kw_only=True):
    """One thing to choose, such as the colour, and what there is to choose from."""

    name: Line
    values: tuple[Line, ...]


class Price(Strict, frozen=True, kw_only=True):
    """What one piece costs on the standard price list, tax included."""

    currency: Currency
    amount_minor: AmountMinor


class Variant(Strict, frozen=True, kw_only=True):
    """What is sold, priced and stocked."""

    sku: Sku
    options: Options = {}
    weight_g: Annotated[int, msgspec.Meta(ge=0)]  # grams, packed
    tax_class: TaxClass
    track_stock: bool = True
    requires_shipping: bool = True
    prices: Annotated[tuple[Price, ...], msgspec.Meta(min_length=1)]
    stock: Annotated[int, msgspec.Meta(ge=0)] | None  # pieces on hand; None: not counted


class Product(Strict, frozen=True, kw_only=True):
    """A product with its variants; a simple one has a single variant without options."""

    key: Key
    texts: dict[Locale, ProductTexts]
    categories: Annotated[tuple[Key, ...], msgspec.Meta(min_length=1)]
    attributes: dict[Line, str | int | bool]
    options: tuple[Option, ...]
    picture: str  # file name under `pictures/`
    metadata: Metadata
    variants: Annotated[tuple[Variant, ...], msgspec.Meta(min_length=1)]


class Demo(Strict, frozen=True, kw_only=True):
    """The whole shop. Parents stand before their children in `categories`."""

    name: Line
    default_locale: Locale
    locales: tuple[Locale, ...]
    categories: tuple[Category, ...]
    products: tuple[Product, ...]


def load() -> Demo:
    """Read the demo shop. msgspec.ValidationError if the file breaks its shape."""
    return msgspec.json.decode(
        files(__package__).joinpath("catalogue.json").read_bytes(), type=Demo
    )


def picture(product: Product) -> bytes:
    """Read the product's drawing: an SVG of 800 by 800 units, at most 4 KiB, nothing active."""
    return files(__package__).joinpath("pictures", product.picture).read_bytes()
