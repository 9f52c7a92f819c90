"""Products: made, read, changed and archived, and what is said of them."""

import pytest_asyncio
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import (
    ProductPublished,
    VariantPriced,
)

STAFF = user_token(role="staff")


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


def mug(**changes):
    body = {
        "status": "active",
        "texts": {
            "en": {"title": "Stone mug", "slug": "stone-mug", "description": "Holds coffee."},
            "de": {"title": "Steinbecher", "slug": "steinbecher"},
        },
        "options": [{"name": "colour", "values": ["moss", "sand"]}],
        "attributes": {"material": "stoneware", "volume_ml": 300, "dishwasher": True},
        "variants": [
            {
                "sku": "MUG-MOSS",
                "options": {"colour": "moss"},
                "weight_g": 400,
                "image": "/pictures/mug.svg",
                "prices": [
                    {"currency": "EUR", "amount_minor": 1_800},
                    {"currency": "EUR", "from_quantity": 10, "amount_minor": 1_500},
                    {"currency": "USD", "amount_minor": 2_000},
                ],
            },
            {
                "sku": "MUG-SAND",
                "options": {"colour": "sand"},
                "prices": [{"currency": "EUR", "amount_minor": 1_700}],
            },
        ],
    }
    return body | changes


async def test_a_product_is_made_and_read(catalog):
    made = await catalog.request("POST", "/api/v1/products", mug(), token=STAFF)
    assert made.status == 201, made
    assert made.headers["etag"] == '"v1"'
    product_id = made.json()["id"]
    for name in (product_id, "stone-mug", "steinbecher"):
        read = await catalog.request("GET", f"/api/v1/products/{name}")
        assert read.status == 200, read
        assert read.headers["etag"] == '"v1"'
    page = read.json()
    assert page["title"] == "Stone mug"
    assert page["variants"][0]["price"] == {"amount_minor": 1_800, "currency": "EUR"}
    said = await catalog.said(VariantPriced)
    assert [(e.sku, e.active, e.version) for e in said] == [
        ("MUG-MOSS", True, 1),
        ("MUG-SAND", True, 1),
    ]
    assert [p.amount_minor for p in said[0].prices] == [1_800, 1_500, 2_000]
    assert said[0].titles == {"en": "Stone mug", "de": "Steinbecher"}
    [published] = await catalog.said(ProductPublished)
    assert published.skus == ("MUG-MOSS", "MUG-SAND")
