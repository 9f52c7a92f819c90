"""The demo shop is a shop: whole, well-formed, and its pictures are only pictures."""

import re
from collections import Counter
from importlib.resources import files
from xml.etree import ElementTree

import msgspec
import pytest

from merkato.chassis.idempotency import parse_key
from merkato.demo import catalogue
from merkato.demo.catalogue import Category, Demo, Product
from merkato.demo.seed import key_of

SHOP = catalogue.load()
VARIANTS = [(product, variant) for product in SHOP.products for variant in product.variants]
SHAPES = {"svg", "g", "rect", "circle", "ellipse", "path", "clipPath"}
DRAWING = {
    "viewBox", "x", "y", "width", "height", "rx", "ry", "cx", "cy", "r", "d", "id", "fill",
    "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin", "opacity", "transform",
    "clip-path",
}  # fmt: skip


def repeated(values):
    return [value for value, times in Counter(values).items() if times > 1]


def depth(categories: tuple[Category, ...], key: str) -> int:
    """Levels from the top to `key`; ValueError in a cycle, KeyError without a parent."""
    parents = {category.key: category.parent for category in categories}
    seen = [key]
    while (parent := parents[seen[-1]]) is not None:
        if parent in seen:
            raise ValueError(f"{parent} is its own ancestor")
        seen.append(parent)
    return len(seen)


def active_parts(svg: bytes) -> list[str]:
    """Everything in a drawing that is not plain drawing."""
    found = []
    if re.search(rb"<!|<\?|&", svg):
        found.append("declaration or entity")
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.removeprefix("{http://www.w3.org/2000/svg}") not in SHAPES:
            found.append(element.tag)
        for name, value in element.attrib.items():
            local = re.fullmatch(r"url\(#[a-z0-9]+\)", value)
            if name not in DRAWING or ("(" in value and name != "transform" and not local):
                found.append(f"{name}={value}")
        if (element.text or "").strip() or (element.tail or "").strip():
            found.append("text")
    return found


def test_the_shop_is_about_sixty_products_in_a_tree_of_three_levels():
    assert 55 <= len(SHOP.products) <= 70
    assert len([product for product in SHOP.products if len(product.variants) > 1]) >= 10
    assert {depth(SHOP.categories, category.key) for category in SHOP.categories} == {1, 2, 3}


def test_parents_stand_before_their_children():
    known: set[str | None] = {None}
    for category in SHOP.categories:
        assert category.parent in known
        known.add(category.key)


def test_every_category_of_a_product_exists_and_none_is_empty():
    used = {key for product in SHOP.products for key in product.categories}
    known = {category.key for category in SHOP.categories}
    assert used <= known
    parents = {category.parent for category in SHOP.categories}
    assert known - parents <= used


def test_keys_slugs_and_skus_are_unique():
    for things in (SHOP.categories, SHOP.products):
        assert repeated(thing.key for thing in things) == []
        for locale in SHOP.locales:
            assert repeated(thing.texts[locale].slug for thing in things) == []
    assert repeated(variant.sku.lower() for _, variant in VARIANTS) == []


@pytest.mark.parametrize("product", SHOP.products, ids=lambda product: product.key)
def test_a_product_is_complete(product: Product):
    assert list(product.texts) == list(SHOP.locales) == ["en", "de"]
    for texts in product.texts.values():
        assert 2 <= len(re.findall(r"[.?!](?= |$)", texts.description)) <= 4
    chosen = [tuple(variant.options.items()) for variant in product.variants]
    assert repeated(chosen) == []
    for variant in product.variants:
        assert [option.name for option in product.options] == list(variant.options)
        assert {"EUR", "USD"} <= {price.currency for price in variant.prices}
        assert repeated(price.currency for price in variant.prices) == []
        assert (variant.stock is None) == (not variant.track_stock)
        assert (variant.weight_g > 0) == variant.requires_shipping
        assert variant.tax_class in {"standard", "reduced"}
    for option in product.options:
        assert set(option.values) == {variant.options[option.name] for variant in product.variants}


@pytest.mark.parametrize("product", SHOP.products, ids=lambda product: product.key)
def test_a_picture_is_a_small_plain_drawing(product: Product):
    svg = catalogue.picture(product)
    assert len(svg) <= 4096
    assert ElementTree.fromstring(svg).attrib == {"viewBox": "0 0 800 800"}
    assert active_parts(svg) == []


def test_every_picture_belongs_to_one_product():
    drawn = [file.name for file in files("merkato.demo").joinpath("pictures").iterdir()]
    assert sorted(drawn) == sorted(product.picture for product in SHOP.products)


def test_the_shelves_tell_a_story():
    counted = [variant.stock for _, variant in VARIANTS if variant.stock is not None]
    assert counted.count(0) == 1
    assert len([stock for stock in counted if 0 < stock < 5]) in {2, 3}
    gifts = [variant for _, variant in VARIANTS if not variant.track_stock]
    assert gifts
    assert not any(variant.requires_shipping for variant in gifts)
    yen = {price.currency for _, variant in VARIANTS for price in variant.prices}
    assert "JPY" in yen


def test_accents_are_in_the_texts_and_not_in_the_slugs():
    titles = " ".join(t.title for product in SHOP.products for t in product.texts.values())
    assert all(letter in titles for letter in "äöüéèñ")
    assert all(t.slug.isascii() for product in SHOP.products for t in product.texts.values())


@pytest.mark.parametrize(
    "offence",
    [
        {"amount_minor": 18.9},
        {"amount_minor": "1890"},
        {"amount_minor": -1},
        {"currency": "euro"},
        {"discount": 1},
    ],
)
def test_a_price_that_is_no_integer_of_a_currency_is_refused(offence):
    raw = msgspec.to_builtins(SHOP)
    raw["products"][0]["variants"][0]["prices"][0].update(offence)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Demo)


def test_a_cycle_and_an_orphan_are_seen():
    a, b = SHOP.categories[:2]
    changed = (msgspec.structs.replace(a, parent=b.key), msgspec.structs.replace(b, parent=a.key))
    with pytest.raises(ValueError, match="own ancestor"):
        depth(changed, a.key)
    with pytest.raises(KeyError):
        depth((msgspec.structs.replace(b, parent="nowhere"),), b.key)


@pytest.mark.parametrize(
    "inside",
    [
        b"<script>alert(1)</script>",
        b'<rect onload="alert(1)"/>',
        b'<image href="https://example.com/x.png"/>',
        b'<rect fill="url(https://example.com/x.svg#a)"/>',
        b"<style>rect{fill:red}</style>",
        b"<foreignObject/>",
        b"<g>words</g>",
    ],
)
def test_an_active_picture_is_seen(inside):
    assert active_parts(b'<svg xmlns="http://www.w3.org/2000/svg">' + inside + b"</svg>")


def test_the_same_request_has_the_same_key_in_every_run_and_no_other_has_it():
    requests = [
        ("POST", "/products", b"{}"),
        ("PUT", "/products", b"{}"),
        ("POST", "/categories", b"{}"),
        ("POST", "/products", b"{ }"),
    ]
    keys = [key_of(*request) for request in requests]
    assert [parse_key(key, required=True) for key in keys] == keys
    assert repeated(keys) == []
    assert key_of(*requests[0]) == keys[0]
