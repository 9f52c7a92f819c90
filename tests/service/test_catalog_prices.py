"""Prices of many skus set at once: all or none, and what is not named stays."""

import pytest
import pytest_asyncio
from catalog_bodies import PRODUCTS, made, mug, simple, writer
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import ProductChanged, VariantPriced
from merkato.contracts.trail import ActionNoted

PATH = "/api/v1/prices"


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        await made(running, mug())
        row = {"sku": "T", "prices": [{"currency": "EUR", "amount_minor": 500}]}
        await made(running, simple("towel", variants=[row]))
        yield running


def euros(sku, amount, **more):
    return {"sku": sku, "currency": "EUR", "amount_minor": amount, **more}


async def send(catalog, *items, **more):
    return await writer(catalog)("POST", PATH, {"items": list(items)}, **more)


async def shown(catalog, slug):
    page = (await catalog.request("GET", f"{PRODUCTS}/{slug}")).json()
    return {
        (v["sku"], p["currency"], p["from_quantity"]): p["amount_minor"]
        for v in page["variants"]
        for p in v["prices"]
    }


async def test_prices_of_many_skus_change_and_the_others_stay(catalog):
    before = await catalog.said(VariantPriced)
    answer = await send(
        catalog, euros("mug-moss", 1_900), euros("T", 450), euros("MUG-SAND", 1_700)
    )
    assert (answer.status, answer.json()) == (200, {"changed": 2}), answer
    assert await shown(catalog, "stone-mug") == {
        ("MUG-MOSS", "EUR", 1): 1_900, ("MUG-MOSS", "EUR", 10): 1_500,
        ("MUG-SAND", "EUR", 1): 1_700,
    }  # fmt: skip
    told = (await catalog.said(VariantPriced))[len(before) :]
    assert sorted((event.sku, event.version) for event in told) == [("MUG-MOSS", 2), ("T", 2)]
    [moss] = [event for event in told if event.sku == "MUG-MOSS"]
    assert [price.amount_minor for price in moss.prices if price.currency == "USD"] == [2_000]
    assert await catalog.said(ProductChanged) == []
    listed = (await catalog.request("GET", f"{PRODUCTS}?q=towel")).json()["items"]
    assert listed[0]["price"]["amount_minor"] == 450


async def test_a_repeat_changes_nothing(catalog):
    first = await send(catalog, euros("T", 450), key="k" * 20)
    again = await send(catalog, euros("T", 450), key="k" * 20)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert (await send(catalog, euros("T", 450))).json() == {"changed": 0}
    noted = [event.action for event in await catalog.said(ActionNoted)]
    assert noted.count("catalog.prices_set") == 1


@pytest.mark.parametrize(
    "wrong",
    [euros("NONE", 1), euros("t", 3), euros("MUG-SAND", 1, price_list="secret"),
     euros("MUG-SAND", -1)],
)  # fmt: skip
async def test_one_that_is_wrong_stops_them_all(catalog, wrong):
    answer = await send(catalog, euros("T", 1), wrong)
    assert answer.status == 422, answer
    assert await shown(catalog, "towel") == {("T", "EUR", 1): 500}


async def test_prices_are_set_by_staff(catalog):
    body = {"items": [euros("T", 1)]}
    assert (await catalog.request("POST", PATH, body)).status == 401
    assert (await catalog.request("POST", PATH, body, token=user_token())).status == 403
