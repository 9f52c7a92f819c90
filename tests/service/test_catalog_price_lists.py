"""Price lists: made and changed by staff, told with every sku, and never shown to the public."""

import pytest_asyncio
from catalog_bodies import PRODUCTS, made, mug, pointer, writer
from harness import alone

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import Price, VariantPriced

LISTS = "/api/v1/price-lists"
TRADE = {"name": "trade", "title": "For resellers", "tax_included": False}


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def priced(catalog, rows):
    """Give MUG-SAND these prices."""
    send = writer(catalog)
    etag = (await send("GET", f"{PRODUCTS}/stone-mug")).headers["etag"]
    return await send("PUT", "/api/v1/variants/MUG-SAND/prices", {"prices": rows}, etag=etag)


ROWS = [
    {"currency": "EUR", "amount_minor": 1_700},
    {"price_list": "trade", "currency": "EUR", "amount_minor": 1_000},
    {"price_list": "trade", "currency": "EUR", "from_quantity": 50, "amount_minor": 800},
]


async def test_a_list_says_whether_its_prices_include_tax(catalog):
    send = writer(catalog)
    assert (await send("POST", LISTS, TRADE)).status == 201
    assert (await send("POST", LISTS, TRADE)).status == 409
    await made(catalog, mug())
    assert (await priced(catalog, ROWS)).status == 200
    event = (await catalog.said(VariantPriced))[-1]
    assert set(event.prices) == {
        Price(currency="EUR", amount_minor=1_700),
        Price(price_list="trade", currency="EUR", amount_minor=1_000, tax_included=False),
        Price(
            price_list="trade", currency="EUR", from_quantity=50, amount_minor=800,
            tax_included=False,
        ),
    }  # fmt: skip


async def test_customers_see_the_standard_list_alone(catalog):
    await writer(catalog)("POST", LISTS, TRADE)
    await made(catalog, mug())
    await priced(catalog, ROWS)
    page = (await catalog.request("GET", f"{PRODUCTS}/stone-mug")).json()
    assert [price["amount_minor"] for price in page["variants"][1]["prices"]] == [1_700]
    assert page["variants"][1]["price"]["amount_minor"] == 1_700
    listed = (await catalog.request("GET", PRODUCTS)).json()["items"]
    assert listed[0]["price"]["amount_minor"] == 1_700
    staff = (await writer(catalog)("GET", f"{PRODUCTS}/stone-mug")).json()
    assert [row["price_list"] for row in staff["variants"][1]["prices"]] == [
        "standard", "trade", "trade"
    ]  # fmt: skip


async def test_a_price_on_no_list_is_refused(catalog):
    await made(catalog, mug())
    answer = await priced(catalog, [ROWS[1]])
    assert (answer.status, pointer(answer)) == (422, "/prices/0/price_list")


async def test_another_meaning_of_prices_is_told(catalog):
    send = writer(catalog)
    etag = (await send("POST", LISTS, TRADE)).headers["etag"]
    await made(catalog, mug())
    await priced(catalog, ROWS)
    before = (await catalog.said(VariantPriced))[-1]
    changed = await send("PATCH", f"{LISTS}/trade", {"tax_included": True}, etag=etag)
    assert (changed.status, changed.json()["version"]) == (200, 2)
    assert await catalog.run_job("tell-prices") == 1
    after = (await catalog.said(VariantPriced))[-1]
    assert (after.sku, after.version) == ("MUG-SAND", before.version + 1)
    assert {price.tax_included for price in after.prices} == {True}
    assert (await send("PATCH", f"{LISTS}/trade", {"title": None}, etag=etag)).status == 412


async def test_lists_are_removed_once_they_are_empty(catalog):
    send = writer(catalog)
    etag = (await send("POST", LISTS, TRADE)).headers["etag"]
    await made(catalog, mug())
    await priced(catalog, ROWS)
    assert (await send("DELETE", f"{LISTS}/trade", etag=etag)).status == 409
    await priced(catalog, ROWS[:1])
    assert (await send("DELETE", f"{LISTS}/trade", etag=etag)).status == 204
    assert (await send("DELETE", f"{LISTS}/standard", etag='"v1"')).status == 409
    names = [one["name"] for one in (await send("GET", LISTS)).json()["items"]]
    assert names == ["standard"]
