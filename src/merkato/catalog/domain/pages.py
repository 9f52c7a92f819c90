"""What the pages of products say, to customers and to staff.

The database writes them as JSON (store/pages.py); these types are what the documents promise of it,
and tests hold every answer against them.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import AttributeValue, Level, Option, Status
from merkato.catalog.domain.words import Words
from merkato.contracts.values import Money


class ShownCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A category of a product, in the words of one locale."""

    id: UUID
    slug: str
    title: str


class ShownFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an image; width and height in pixels."""

    url: str
    width: int
    height: int


class ShownImage(ShownFile, frozen=True, kw_only=True):
    """An image: its largest file, all of them from small to large, and what it shows in words."""

    id: UUID
    alt: str | None  # in the locale of the page
    alts: dict[str, str]
    sizes: list[ShownFile]


class ShownPrice(Money, frozen=True, kw_only=True):
    """What a piece costs from `from_quantity` pieces on, now."""

    from_quantity: int
    tax_included: bool


class ShownVariant(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold. `price` is that of one piece; None: not for sale in this currency."""

    sku: str
    options: dict[str, str]
    image: str | None
    price: Money | None
    prices: list[ShownPrice]
    in_stock: Level
    track_stock: bool
    requires_shipping: bool
    weight_g: int
    tax_class: str


class ProductShown(msgspec.Struct, frozen=True, kw_only=True):
    """A product on sale, in the words of one locale and the prices of one currency."""

    id: UUID
    slug: str
    locale: str
    title: str
    description: str
    attributes: dict[str, AttributeValue]
    options: list[Option]
    in_stock: Level
    published_at: datetime | None
    image: str | None
    images: list[ShownImage]
    slugs: dict[str, str]  # by locale
    categories: list[ShownCategory]
    variants: list[ShownVariant]


class KeptPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A row of prices as staff set it; `valid_from` None: always."""

    price_list: str
    currency: str
    from_quantity: int
    valid_from: datetime | None
    amount_minor: int


class KeptVariant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant with all that staff may change."""

    sku: str
    archived: bool
    options: dict[str, str]
    image: str | None
    price: Money | None
    prices: list[KeptPrice]
    in_stock: Level
    track_stock: bool
    requires_shipping: bool
    weight_g: int
    tax_class: str
    metadata: dict[str, str]
    version: int


class ProductKept(msgspec.Struct, frozen=True, kw_only=True):
    """A product as staff see it: drafts, archived variants, every text and every row of prices."""

    id: UUID
    status: Status
    version: int
    slug: str
    locale: str
    title: str
    description: str
    texts: dict[str, Words]
    attributes: dict[str, AttributeValue]
    options: list[Option]
    metadata: dict[str, str]
    in_stock: Level
    image: str | None
    images: list[ShownImage]
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None
    categories: list[ShownCategory]
    variants: list[KeptVariant]
