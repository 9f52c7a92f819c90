"""Variants and their prices: put, archived, and in force when their time comes."""

from datetime import UTC, datetime, timedelta

import pytest_asyncio
from catalog_bodies import PRODUCTS, made, mug, pointer, writer
from harness import alone

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import ProductChanged, VariantPriced


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def test_variants_are_put_and_archived(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    clay = {"options": {"colour": "clay"}, "prices": [{"currency": "EUR", "amount_minor": 5}]}
    new = await send("PUT", f"{path}/variants/MUG-CLAY", clay)
    assert (new.status, new.headers["etag"]) == (201, '"v2"')
    assert (await send("PUT", f"{path}/variants/mug-clay", clay)).status == 428
    assert (await send("PUT", f"{path}/variants/mug-clay", clay, etag='"v1"')).status == 412
    heavier = await send("PUT", f"{path}/variants/mug-clay", {**clay, "weight_g": 7}, etag='"v2"')
    assert heavier.status == 200
    kept = heavier.json()["variants"][2]
    assert (kept["sku"], kept["weight_g"], kept["prices"][0]["amount_minor"]) == ("MUG-CLAY", 7, 5)
    gone = await send("DELETE", f"{path}/variants/MUG-CLAY", etag='"v3"')
    assert gone.status == 204
    said = [(e.version, e.active) for e in await catalog.said(VariantPriced) if e.sku == "MUG-CLAY"]
    assert said == [(1, True), (2, True), (3, False)]
    assert (await catalog.said(ProductChanged))[-1].skus == ("MUG-MOSS", "MUG-SAND")
    page = await catalog.request("GET", f"{PRODUCTS}/stone-mug")
    assert [v["sku"] for v in page.json()["variants"]] == ["MUG-MOSS", "MUG-SAND"]
    back = await send("PUT", f"{path}/variants/MUG-CLAY", clay, etag=page.headers["etag"])
    assert back.status == 200
    assert (await catalog.said(VariantPriced))[-1].active


async def test_variants_can_be_told_apart(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    for options in ({"colour": "moss"}, {}, {"colour": "red"}, {"colour": "clay", "size": "L"}):
        answer = await send("PUT", f"{path}/variants/NEW", {"options": options})
        assert (answer.status, pointer(answer)) == (422, "/options"), options


async def test_prices_are_replaced_whole(catalog):
    send = writer(catalog)
    await made(catalog, mug())
    prices = {"prices": [{"currency": "EUR", "amount_minor": 999}]}
    path = "/api/v1/variants/mug-moss/prices"
    assert (await send("PUT", path, prices)).status == 428
    assert (await send("PUT", path, prices, etag='"v9"')).status == 412
    assert (await send("PUT", "/api/v1/variants/none/prices", prices, etag='"v1"')).status == 404
    put = await send("PUT", path, prices, etag='"v1"')
    assert (put.status, put.headers["etag"]) == (200, '"v2"')
    said = (await catalog.said(VariantPriced))[-1]
    assert (said.sku, said.version) == ("MUG-MOSS", 2)
    assert [(p.currency, p.amount_minor, p.tax_included) for p in said.prices] == [
        ("EUR", 999, True)
    ]
    twice = {"prices": [prices["prices"][0], prices["prices"][0]]}
    answer = await send("PUT", path, twice, etag='"v2"')
    assert (answer.status, pointer(answer)) == (422, "/prices/1")


async def test_a_price_of_tomorrow_counts_tomorrow(catalog):
    send = writer(catalog)
    await made(catalog, mug())
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    prices = [
        {"currency": "EUR", "amount_minor": 100},
        {"currency": "EUR", "amount_minor": 90, "valid_from": tomorrow.isoformat()},
    ]
    await send("PUT", "/api/v1/variants/MUG-MOSS/prices", {"prices": prices}, etag='"v1"')
    assert await catalog.run_job("tell-prices") == 0
    assert [p.amount_minor for p in (await catalog.said(VariantPriced))[-1].prices] == [100]
    await catalog.fetch("update prices set valid_from = clock_timestamp() where amount_minor = 90")
    assert await catalog.run_job("tell-prices") == 1
    last = (await catalog.said(VariantPriced))[-1]
    assert (last.version, [p.amount_minor for p in last.prices]) == (3, [90])
    page = await catalog.request("GET", f"{PRODUCTS}/stone-mug")
    assert page.json()["variants"][0]["price"]["amount_minor"] == 90
    assert await catalog.run_job("tell-prices") == 0
