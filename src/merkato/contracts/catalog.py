"""What catalog says: products and their prices."""

from typing import ClassVar
from uuid import UUID

import msgspec

from merkato.contracts.event import Event
from merkato.contracts.values import Currency


class ProductTexts(msgspec.Struct, frozen=True, kw_only=True):
    """A product's texts in one locale."""

    title: str
    slug: str


class _AboutProduct(Event, frozen=True, kw_only=True):
    product_id: UUID
    version: int
    texts: dict[str, ProductTexts]  # by locale
    skus: tuple[str, ...]
    categories: tuple[UUID, ...] = ()

    type: ClassVar[str]
    last_value: ClassVar[bool] = True
    public: ClassVar[tuple[str, ...]] = ("product_id", "version", "texts", "skus", "categories")

    @property
    def key(self) -> str:
        return str(self.product_id)


class ProductPublished(_AboutProduct, frozen=True, kw_only=True):
    """A product can be bought from now on."""

    type: ClassVar[str] = "catalog.product_published.v1"


class ProductChanged(_AboutProduct, frozen=True, kw_only=True):
    """A product's texts, skus or categories are others now."""

    type: ClassVar[str] = "catalog.product_changed.v1"


class ProductArchived(_AboutProduct, frozen=True, kw_only=True):
    """A product cannot be bought any more; orders go on showing it."""

    type: ClassVar[str] = "catalog.product_archived.v1"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece costs from `from_quantity` pieces on."""

    price_list: str = "standard"
    currency: Currency
    from_quantity: int = 1
    amount_minor: int
    tax_included: bool = True


class VariantPriced(Event, frozen=True, kw_only=True):
    """All that must be known to sell a sku. Said whole at every change; the newest counts."""

    type: ClassVar[str] = "catalog.variant_priced.v1"
    last_value: ClassVar[bool] = True
    public: ClassVar[tuple[str, ...]] = (
        "sku", "product_id", "titles", "options", "image", "active", "version", "prices",
        "track_stock", "requires_shipping", "weight_g", "tax_class",
    )  # fmt: skip

    sku: str
    product_id: UUID
    titles: dict[str, str]  # by locale
    options: dict[str, str] = {}
    image: str | None = None  # path or URL
    active: bool
    version: int  # of this sku's sellable data; grows with every change
    prices: tuple[Price, ...]
    track_stock: bool = True
    requires_shipping: bool = True
    weight_g: int = 0
    tax_class: str = "standard"

    @property
    def key(self) -> str:
        """See Event."""
        return self.sku
