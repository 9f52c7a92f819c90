"""Which price counts, and what a product says when it changes."""

from uuid import UUID

import msgspec
import pytest

from merkato.catalog.domain.products import (
    Product,
    Variant,
    lowest_prices,
    news,
    price_of,
    stock_level,
)
from merkato.catalog.domain.words import Words
from merkato.contracts.catalog import Price, ProductArchived, ProductChanged, ProductPublished

PRICES = [
    Price(currency="EUR", from_quantity=10, amount_minor=80),
    Price(currency="EUR", from_quantity=1, amount_minor=100),
    Price(currency="USD", from_quantity=5, amount_minor=90),
]


@pytest.mark.parametrize(
    ("currency", "quantity", "amount"),
    [
        ("EUR", 1, 100),
        ("EUR", 9, 100),
        ("EUR", 10, 80),
        ("EUR", 10_000, 80),
        ("USD", 5, 90),
        ("USD", 4, None),
        ("JPY", 1, None),
    ],
)
def test_the_price_of_a_quantity(currency, quantity, amount):
    price = price_of(PRICES, currency, quantity)
    assert (price and price.amount_minor) == amount


def variant(sku, *prices, archived=False):
    return Variant(
        sku=sku, options={}, track_stock=True, requires_shipping=True, weight_g=0,
        tax_class="standard", image=None, metadata={}, archived=archived, prices=prices,
    )  # fmt: skip


def test_the_lowest_price_is_of_one_piece_of_a_living_variant():
    cheap = Price(currency="EUR", amount_minor=1)
    variants = [variant("A", *PRICES), variant("B", cheap, archived=True)]
    assert lowest_prices(variants) == {"EUR": 100}
    assert lowest_prices([]) == {}


def test_levels():
    assert [stock_level(n, 5) for n in (-1, 0, 1, 4, 5, 99)] == [
        "no", "no", "few", "few", "yes", "yes",
    ]  # fmt: skip


def product(status, title="Mug"):
    return Product(
        id=UUID(int=1), status=status, version=3, options=(), attributes={}, metadata={},
        texts={"en": Words(title=title, slug="mug")},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, product("draft"), None),
        (None, product("active"), ProductPublished),
        (product("draft"), product("active"), ProductPublished),
        (product("archived"), product("active"), ProductPublished),
        (product("active"), product("active"), None),
        (product("active"), product("active", "Cup"), ProductChanged),
        (product("draft"), product("draft", "Cup"), None),
        (product("active"), product("draft"), ProductArchived),
        (product("active"), product("archived"), ProductArchived),
        (product("draft"), product("archived"), None),
    ],
)
def test_what_is_said(before, after, said):
    about = news(before, after)
    assert (type(about) if about else None) == said
    if about is not None:
        assert about.version == after.version
        assert msgspec.to_builtins(about.texts) == {
            "en": {"title": after.texts["en"].title, "slug": "mug"}
        }
