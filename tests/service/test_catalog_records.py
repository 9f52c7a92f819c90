"""Staff look through all products, drafts among them, and change many at once."""

from uuid import uuid4

import pytest_asyncio
from catalog_bodies import PRODUCTS, made, mug, simple, writer
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import ProductArchived, ProductPublished

RECORDS = "/api/v1/product-records"


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        running.ids = [
            (await made(running, body)).json()["id"]
            for body in (mug(), simple("draft-bowl", status="draft"), simple("towel"))
        ]
        yield running


async def listed(catalog, query=""):
    answer = await writer(catalog)("GET", f"{RECORDS}?{query}")
    assert answer.status == 200, answer
    return answer.json()


async def titles(catalog, query=""):
    return [one["title"] for one in (await listed(catalog, query))["items"]]


async def test_all_are_found_by_status_title_sku_and_category(catalog):
    assert await titles(catalog) == ["Towel", "Draft-Bowl", "Stone mug"]
    assert await titles(catalog, "sort=title") == ["Draft-Bowl", "Stone mug", "Towel"]
    assert await titles(catalog, "status=draft") == ["Draft-Bowl"]
    for found in ("q=MUG", "q=steinb", "q=sand", "sku=mug-sand&sku=NONE"):
        assert await titles(catalog, found) == ["Stone mug"], found
    assert await titles(catalog, "q=---") == []
    [mug_] = (await listed(catalog, "q=mug"))["items"]
    assert [one["sku"] for one in mug_["variants"]] == ["MUG-MOSS", "MUG-SAND"]
    answer = await writer(catalog)("GET", f"{RECORDS}?category=none")
    assert answer.status == 422


async def test_pages_neither_repeat_nor_leave_out(catalog):
    for sort in ("changed", "title"):
        seen, cursor = [], ""
        while True:
            page = await listed(catalog, f"limit=1&sort={sort}{cursor}")
            seen += [one["id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert sorted(seen) == sorted(catalog.ids)


async def test_many_are_changed_or_none(catalog):
    send = writer(catalog)
    published = len(await catalog.said(ProductPublished))
    change = {"ids": catalog.ids, "status": "active"}
    assert (await send("PATCH", RECORDS, change)).json() == {"changed": 1}
    assert (await send("PATCH", RECORDS, change)).json() == {"changed": 0}
    assert len(await catalog.said(ProductPublished)) == published + 1
    made_ = await send("POST", "/api/v1/categories", {"texts": {"en": {"title": "Kitchen"}}})
    category = made_.json()["id"]
    put = {"ids": catalog.ids[:2], "add_categories": [category]}
    assert (await send("PATCH", RECORDS, put)).json() == {"changed": 2}
    assert len(await titles(catalog, "category=kitchen")) == 2
    take = {"ids": catalog.ids, "remove_categories": [category], "status": "archived"}
    assert (await send("PATCH", RECORDS, take)).status == 200
    assert len(await catalog.said(ProductArchived)) == 3
    refused = await send("PATCH", RECORDS, put)
    assert refused.status == 409
    assert "archived" in refused.json()["detail"]
    assert "Stone mug" in refused.json()["detail"]
    unknown = await send("PATCH", RECORDS, {"ids": [*catalog.ids, str(uuid4())], "status": "draft"})
    assert unknown.status == 422
    assert await titles(catalog, "status=draft") == []


async def test_nothing_is_put_into_more_categories_than_a_product_is_in(catalog):
    send, categories = writer(catalog), []
    for number in range(51):
        body = {"texts": {"en": {"title": f"Shelf {number}"}}}
        categories.append((await send("POST", "/api/v1/categories", body)).json()["id"])
    most = {"ids": catalog.ids[2:], "add_categories": categories[:50]}
    assert (await send("PATCH", RECORDS, most)).json() == {"changed": 1}
    more = {"ids": catalog.ids, "add_categories": categories[50:]}
    refused = await send("PATCH", RECORDS, more)
    assert refused.status == 409, refused
    assert refused.json()["detail"] == "Towel: A product is in at most 50 categories."
    assert await titles(catalog, "category=shelf-50") == []
    swap = most | {"add_categories": categories[50:], "remove_categories": categories[:1]}
    assert (await send("PATCH", RECORDS, swap)).json() == {"changed": 1}


async def test_prices_in_force_are_listed_and_changed_as_expected(catalog):
    send = writer(catalog)
    page = (await send("GET", f"/api/v1/prices?product={catalog.ids[0]}")).json()
    found = [(one["sku"], one["from_quantity"], one["amount_minor"]) for one in page["items"]]
    assert found == [("MUG-MOSS", 1, 1800), ("MUG-MOSS", 10, 1500), ("MUG-SAND", 1, 1700)]
    second = (await send("GET", "/api/v1/prices?limit=2")).json()["next_cursor"]
    rest = (await send("GET", f"/api/v1/prices?limit=2&cursor={second}")).json()
    assert [one["sku"] for one in rest["items"]] == ["MUG-SAND"]
    assert rest["next_cursor"] is None
    row = {"sku": "MUG-SAND", "currency": "EUR", "amount_minor": 1600}
    body = {"items": [row | {"expected_minor": 1700}]}
    assert (await send("POST", "/api/v1/prices", body)).json() == {"changed": 1}
    assert (await send("POST", "/api/v1/prices", body)).json() == {"changed": 0}
    stale = {"items": [row | {"amount_minor": 1500, "expected_minor": 1700}]}
    assert (await send("POST", "/api/v1/prices", stale)).status == 409


async def test_they_are_for_staff(catalog):
    for token in (None, user_token(role="customer")):
        status = 403 if token else 401
        for method, path in (("GET", RECORDS), ("PATCH", RECORDS), ("GET", "/api/v1/prices")):
            body = {"ids": catalog.ids, "status": "archived"} if method == "PATCH" else None
            assert (await catalog.request(method, path, body, token=token)).status == status
    assert (await catalog.request("GET", f"{PRODUCTS}/towel")).status == 200
