"""How many of the products that fit have what."""

import pytest_asyncio
from harness import alone
from service.catalog_desk import PRODUCTS, STAFF, add

from merkato.catalog.service import service
from merkato.catalog.store import listing
from merkato.config import Config
from merkato.contracts.inventory import StockChanged


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def facets(catalog, query=""):
    answer = await catalog.request("GET", f"{PRODUCTS}?facets=true&{query}")
    assert answer.status == 200, answer
    return answer.json()["facets"]


def counts(found):
    return {one["value"]: one["count"] for one in found}


async def test_facets_count_what_fits(catalog):
    await add(catalog, "A cup", minor=100, attributes={"colour": "moss", "size": 1, "new": True})
    await add(catalog, "B cup", minor=200, attributes={"colour": "sand", "size": 2})
    await add(catalog, "C bowl", attributes={"colour": "moss", "size": 2})
    await add(catalog, "D cup", minor=300, status="draft", attributes={"colour": "red"})
    await catalog.hear(StockChanged(sku="SKU-A-cup", available=9, version=1))
    found = await facets(catalog)
    assert found["total"] == 3
    assert counts(found["attributes"]["colour"]) == {"moss": 2, "sand": 1}
    assert counts(found["attributes"]["size"]) == {1: 1, 2: 2}
    assert counts(found["attributes"]["new"]) == {True: 1}
    assert found["price"] == {"min_minor": 100, "max_minor": 200}
    assert found["in_stock"] == {"yes": 1, "no": 2}
    found = await facets(catalog, "q=cup")
    assert (found["total"], counts(found["attributes"]["colour"])) == (2, {"moss": 1, "sand": 1})
    assert (await facets(catalog, "currency=JPY"))["price"] == {
        "min_minor": None,
        "max_minor": None,
    }


async def test_a_filters_own_choices_are_counted_without_it(catalog):
    await add(catalog, "A", minor=100, attributes={"colour": "moss", "size": 1})
    await add(catalog, "B", minor=200, attributes={"colour": "sand", "size": 1})
    await add(catalog, "C", minor=300, attributes={"colour": "moss", "size": 2})
    await catalog.hear(StockChanged(sku="SKU-A", available=9, version=1))
    found = await facets(catalog, "attr.colour=moss&in_stock=true&max_price=150")
    assert found["total"] == 1
    assert counts(found["attributes"]["colour"]) == {"moss": 1}  # sand is neither there nor cheap
    assert counts(found["attributes"]["size"]) == {1: 1}
    assert found["in_stock"] == {"yes": 1, "no": 0}
    assert found["price"] == {"min_minor": 100, "max_minor": 100}
    found = await facets(catalog, "attr.colour=moss&attr.size=1")
    assert counts(found["attributes"]["colour"]) == {"moss": 1, "sand": 1}
    assert counts(found["attributes"]["size"]) == {1: 1, 2: 1}
    assert found["price"] == {"min_minor": 100, "max_minor": 100}
    found = await facets(catalog, "min_price=250")
    assert (found["total"], found["price"]) == (1, {"min_minor": 100, "max_minor": 300})


async def test_categories_count_what_is_below_them(catalog):
    async def category(title, parent=None):
        body = {"parent_id": parent, "texts": {"en": {"title": title}}}
        return (await catalog.request("POST", "/api/v1/categories", body, token=STAFF)).json()["id"]

    kitchen = await category("Kitchen")
    mugs, knives = await category("Mugs", kitchen), await category("Knives", kitchen)
    await add(catalog, "Mug", categories=[mugs], attributes={"colour": "moss"})
    await add(catalog, "Knife", categories=[knives, kitchen])
    for query in ("", "category=mugs", "category=kitchen"):
        found = await facets(catalog, query)
        assert {one["slug"]: one["count"] for one in found["category"]} == {
            "kitchen": 2, "mugs": 1, "knives": 1
        }, query  # fmt: skip
        assert found["total"] == (1 if query == "category=mugs" else 2)
    assert {one["parent_id"] for one in found["category"]} == {None, kitchen}


async def test_categories_are_counted_by_the_names_they_have_now(catalog):
    async def ask(method, path="", body=None, version=0):
        headers = {"If-Match": f'"v{version}"'} if version else None
        place = f"/api/v1/categories{path}"
        answer = await catalog.request(method, place, body, token=STAFF, headers=headers)
        assert answer.status in (200, 201, 204), answer
        return answer

    async def counted():
        found = (await facets(catalog))["category"]
        return {one["title"]: (one["count"], one["parent_id"]) for one in found}

    body = {"texts": {"en": {"title": "Kitchen"}}}
    kitchen = (await ask("POST", body=body)).json()["id"]
    await add(catalog, "Mug", categories=[kitchen])
    assert await counted() == {"Kitchen": (1, None)}
    await ask("PATCH", f"/{kitchen}", {"texts": {"en": {"title": "Galley"}}}, version=1)
    assert await counted() == {"Galley": (1, None)}
    home = (await ask("POST", body={"texts": {"en": {"title": "Home"}}})).json()["id"]
    await ask("PATCH", f"/{kitchen}", {"parent_id": home}, version=2)
    assert await counted() == {"Galley": (1, home), "Home": (1, None)}
    await ask("DELETE", f"/{kitchen}", version=3)
    assert await counted() == {}


async def test_facets_of_a_large_search_count_the_best(catalog, monkeypatch):
    monkeypatch.setattr(listing, "FACET_HITS", 2)
    for n in range(3):
        await add(catalog, f"Cup {n}", attributes={"n": n})
    one = await facets(catalog, "q=cup")
    assert (one["capped"], one["total"], len(one["attributes"]["n"])) == (True, 2, 2)
    two = await facets(catalog, "q=cup&attr.n=1")
    assert (two["capped"], two["total"]) == (True, 1)  # what else `n` may be: too many
    assert not (await facets(catalog, "q=1+cup"))["capped"]
    assert not (await facets(catalog))["capped"]


async def test_products_of_a_large_search_are_counted_not_their_texts(catalog, monkeypatch):
    monkeypatch.setattr(listing, "FACET_HITS", 2)
    for n in range(3):
        await add(catalog, f"Cup {n}", de=f"Cup {n}")
    await catalog.fetch("analyze product_texts")  # both texts of a product are read together
    assert (await facets(catalog, "q=cup"))["capped"]
    assert (await facets(catalog, "q=cup&locale=de"))["capped"]
    assert not (await facets(catalog, "q=cup+1&locale=de"))["capped"]
