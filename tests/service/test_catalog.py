"""Products: made, read, changed and archived, and what is said of them."""

import asyncio
from uuid import uuid4

import pytest
import pytest_asyncio
from catalog_bodies import PRODUCTS, STAFF, made, mug, pointer, simple, writer
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import (
    ProductArchived,
    ProductChanged,
    ProductPublished,
    VariantPriced,
)
from merkato.contracts.inventory import StockChanged


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def test_a_product_is_made_read_and_said(catalog):
    answer = await made(catalog, mug())
    assert answer.headers["etag"] == '"v1"'
    product_id = answer.json()["id"]
    for name in (product_id, "stone-mug", "steinbecher"):
        read = await catalog.request("GET", f"{PRODUCTS}/{name}")
        assert read.status == 200, read
        assert read.headers["etag"] == '"v1"'
    page = read.json()
    assert page["title"] == "Stone mug"
    assert page["slugs"] == {"en": "stone-mug", "de": "steinbecher"}
    assert "metadata" not in page
    moss, sand = page["variants"]
    assert moss["price"] == {"amount_minor": 1_800, "currency": "EUR"}
    assert [(p["from_quantity"], p["amount_minor"]) for p in moss["prices"]] == [
        (1, 1_800),
        (10, 1_500),
    ]
    assert sand["in_stock"] == "no"  # nobody said yet that there is any
    said = await catalog.said(VariantPriced)
    assert [(e.sku, e.active, e.version) for e in said] == [
        ("MUG-MOSS", True, 1),
        ("MUG-SAND", True, 1),
    ]
    assert [p.amount_minor for p in said[0].prices] == [1_800, 1_500, 2_000]
    assert said[0].titles == {"en": "Stone mug", "de": "Steinbecher"}
    assert (said[0].weight_g, said[0].image) == (400, "/pictures/mug.svg")
    [published] = await catalog.said(ProductPublished)
    assert published.skus == ("MUG-MOSS", "MUG-SAND")


async def test_a_page_has_its_locale_and_currency(catalog):
    await made(catalog, mug())
    read = await catalog.request("GET", f"{PRODUCTS}/stone-mug?locale=de-AT&currency=USD")
    page = read.json()
    assert (page["locale"], page["title"], page["slug"]) == ("de", "Steinbecher", "steinbecher")
    assert page["variants"][0]["price"] == {"amount_minor": 2_000, "currency": "USD"}
    assert page["variants"][1]["price"] is None
    for query in ("locale=<de>", "currency=euro", "locale=de%0a"):
        assert (await catalog.request("GET", f"{PRODUCTS}/stone-mug?{query}")).status == 422


async def test_drafts_are_for_staff(catalog):
    answer = await made(catalog, mug(status="draft"))
    path = f"{PRODUCTS}/{answer.json()['id']}"
    assert (await catalog.request("GET", path)).status == 404
    assert (await catalog.request("GET", path, token=user_token())).status == 404
    seen = await catalog.request("GET", f"{PRODUCTS}/stone-mug", token=STAFF)
    assert seen.json()["status"] == "draft"
    assert seen.json()["metadata"] == {"source": "kiln"}
    assert seen.json()["texts"]["de"]["title"] == "Steinbecher"
    assert {e.active for e in await catalog.said(VariantPriced)} == {False}
    assert await catalog.said(ProductPublished) == []


async def test_a_patch_needs_the_etag(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    assert (await send("PATCH", path, {"metadata": {}})).status == 428
    assert (await send("PATCH", path, {"metadata": {}}, etag='"v7"')).status == 412
    changed = await send("PATCH", path, {"metadata": {}}, etag='"v1"')
    assert changed.status == 200, changed
    assert changed.headers["etag"] == '"v2"'
    assert (await send("PATCH", path, {"metadata": {}}, etag='"v1"')).status == 412
    assert (await send("PATCH", path, {}, etag='"v2"')).status == 422
    assert (await send("DELETE", path)).status == 428
    assert (
        await send("PATCH", f"{PRODUCTS}/{uuid4()}", {"metadata": {}}, etag='"v1"')
    ).status == 404


async def test_of_two_changes_at_once_one_wins(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    answers = await asyncio.gather(
        *(send("PATCH", path, {"metadata": {"n": str(n)}}, etag='"v1"') for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200, *[412] * 7]


async def test_what_concerns_selling_is_said_whole(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    await send("PATCH", path, {"metadata": {"a": "b"}}, etag='"v1"')
    assert len(await catalog.said()) == 3  # nothing new: metadata sell nothing
    titled = {"texts": {"en": {"title": "Rock mug", "slug": "stone-mug"}}}
    await send("PATCH", path, titled, etag='"v2"')
    said = await catalog.said(VariantPriced)
    assert [(e.sku, e.version, e.titles) for e in said[2:]] == [
        ("MUG-MOSS", 2, {"en": "Rock mug"}),
        ("MUG-SAND", 2, {"en": "Rock mug"}),
    ]
    assert len(said[2].prices) == 3
    [changed] = await catalog.said(ProductChanged)
    assert changed.version == 3
    await send("PATCH", path, {"status": "draft"}, etag='"v3"')
    said = await catalog.said(VariantPriced)
    assert [(e.sku, e.version, e.active) for e in said[4:]] == [
        ("MUG-MOSS", 3, False),
        ("MUG-SAND", 3, False),
    ]
    [gone] = await catalog.said(ProductArchived)
    assert gone.version == 4
    assert (await catalog.request("GET", f"{PRODUCTS}/stone-mug")).status == 404


async def test_an_archived_product_frees_its_slugs_and_keeps_its_skus(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    assert (await send("DELETE", path, etag='"v1"')).status == 204
    assert (await send("DELETE", path, etag='"v2"')).status == 204  # again: nothing
    assert (await catalog.request("GET", path)).status == 410
    assert len(await catalog.said(ProductArchived)) == 1
    assert [e.active for e in await catalog.said(VariantPriced)] == [True, True, False, False]
    again = await send("POST", PRODUCTS, mug())
    assert again.status == 409
    assert "sku" in again.json()["detail"]
    other = mug(variants=[])
    assert (await send("POST", PRODUCTS, other)).status == 201
    revived = await send("PATCH", path, {"status": "active"}, etag='"v2"')
    assert revived.status == 409  # its slugs belong to another one now
    assert (await send("PATCH", path, {"metadata": {}}, etag='"v2"')).status == 409


async def test_slugs_are_unique_and_old_ones_redirect(catalog):
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"
    taken = await send("POST", PRODUCTS, simple("stone-mug"))
    assert taken.status == 409
    assert taken.json()["type"] == "/problems/state-conflict"
    await send("PATCH", path, {"texts": {"en": {"title": "Mug", "slug": "mug"}}}, etag='"v1"')
    for old in ("stone-mug", "steinbecher"):
        moved = await catalog.request("GET", f"{PRODUCTS}/{old}")
        assert (moved.status, moved.headers["location"]) == (301, f"{PRODUCTS}/mug")
    await made(catalog, simple("stone-mug"))  # free again
    assert (await catalog.request("GET", f"{PRODUCTS}/stone-mug")).status == 200


async def test_ten_ask_for_one_slug_at_once(catalog):
    send = writer(catalog)
    answers = await asyncio.gather(
        *(send("POST", PRODUCTS, simple("same", variants=[])) for _ in range(10))
    )
    assert sorted(answer.status for answer in answers) == [201, *[409] * 9]


async def test_a_sku_is_unique_whatever_its_case(catalog):
    send = writer(catalog)
    spellings = ["Tea-1", "TEA-1", "tea-1", "tEA-1", "TeA-1", "teA-1"]
    bodies = [simple(f"tea-{n}", variants=[{"sku": sku}]) for n, sku in enumerate(spellings)]
    answers = await asyncio.gather(*(send("POST", PRODUCTS, body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    assert len(await catalog.fetch("select sku from variants")) == 1
    assert len(await catalog.fetch("select id from products")) == 1  # the others left no trace
    twice = simple("twice", variants=[{"sku": "a"}, {"sku": "A"}])
    answer = await send("POST", PRODUCTS, twice)
    assert (answer.status, pointer(answer)) == (422, "/variants/1/sku")


async def test_the_newest_stock_counts(catalog):
    await made(catalog, mug())

    async def levels():
        page = (await catalog.request("GET", f"{PRODUCTS}/stone-mug")).json()
        return [page["in_stock"], *(v["in_stock"] for v in page["variants"])]

    assert await levels() == ["no", "no", "no"]
    await catalog.hear(
        StockChanged(sku="MUG-MOSS", available=3, version=2),
        StockChanged(sku="MUG-MOSS", available=100, version=1),
        StockChanged(sku="UNKNOWN", available=1, version=1),
    )
    assert await levels() == ["few", "few", "no"]
    await catalog.hear(StockChanged(sku="MUG-SAND", available=50, version=5))
    assert await levels() == ["yes", "few", "yes"]
    await catalog.hear(StockChanged(sku="MUG-SAND", available=0, version=4))  # an old one
    assert await levels() == ["yes", "few", "yes"]
    await catalog.hear(
        StockChanged(sku="MUG-SAND", available=0, version=6),
        StockChanged(sku="MUG-MOSS", available=0, version=3),
    )
    assert await levels() == ["no", "no", "no"]
    assert await catalog.dead() == []


async def test_an_untracked_variant_is_always_there(catalog):
    await made(catalog, simple("gift-card", variants=[{"sku": "G", "track_stock": False}]))
    page = (await catalog.request("GET", f"{PRODUCTS}/gift-card")).json()
    assert (page["in_stock"], page["variants"][0]["in_stock"]) == ("yes", "yes")


async def test_a_repeat_with_its_key_makes_one_product(catalog):
    send = writer(catalog)
    answers = [await send("POST", PRODUCTS, mug(), key="a-key-of-this-test") for _ in range(2)]
    assert [a.status for a in answers] == [201, 201]
    assert answers[0].body == answers[1].body
    assert answers[1].headers["idempotent-replayed"] == "true"
    other = await send("POST", PRODUCTS, simple("other"), key="a-key-of-this-test")
    assert other.status == 422


async def test_pages_read_together_are_each_what_was_asked_for(catalog):
    """Sixty calls share statements: every one gets its own product, locale and currency."""
    for n in range(5):
        texts = {"en": {"title": f"Thing {n}"}, "de": {"title": f"Ding {n}"}}
        prices = [{"currency": c, "amount_minor": 100 * n + len(c)} for c in ("EUR", "USD")]
        variants = [{"sku": f"T{n}", "prices": prices}]
        await made(catalog, {"status": "active", "texts": texts, "variants": variants})
    wanted = [
        (n, locale, currency)
        for n in range(6)
        for locale in ("en", "de")
        for currency in ("EUR", "USD", "JPY")
    ] * 2
    answers = await asyncio.gather(
        *(
            catalog.request("GET", f"{PRODUCTS}/thing-{n}?locale={locale}&currency={currency}")
            for n, locale, currency in wanted
        )
    )
    for (n, locale, currency), answer in zip(wanted, answers, strict=True):
        if n == 5:
            assert answer.status == 404
            continue
        page = answer.json()
        assert page["title"] == f"{'Thing' if locale == 'en' else 'Ding'} {n}"
        price = None if currency == "JPY" else {"amount_minor": 100 * n + 3, "currency": currency}
        assert page["variants"][0]["price"] == price


@pytest.mark.usefixtures("patience")
async def test_what_is_said_of_a_sku_has_growing_versions(catalog):
    """Many change one product at once, in every way; what is said last is how it is kept."""
    send = writer(catalog)
    path = f"{PRODUCTS}/{(await made(catalog, mug())).json()['id']}"

    async def change(n):
        for _ in range(6):
            etag = (await send("GET", path)).headers["etag"]
            price = {"currency": "EUR", "amount_minor": 1_000 + n}
            title = {"en": {"title": f"Mug {n}", "slug": "stone-mug"}}
            method, where, body = (
                ("PUT", "/api/v1/variants/MUG-MOSS/prices", {"prices": [price]}),
                ("PATCH", path, {"texts": title}),
                ("PATCH", path, {"status": "draft" if n % 2 else "active"}),
            )[n % 3]
            answer = await send(method, where, body, etag=etag)
            assert answer.status in (200, 412), answer

    await asyncio.gather(*(change(n) for n in range(9)))
    rows = await catalog.fetch("select sku, version, prices from variants order by sku")
    for row in rows:
        said = [e for e in await catalog.said(VariantPriced) if e.sku == row["sku"]]
        assert [e.version for e in said] == list(range(1, row["version"] + 1))
        assert [p.amount_minor for p in said[-1].prices] == [
            p["amount_minor"] for p in row["prices"]
        ]
    status = (await send("GET", path)).json()["status"]
    assert said[-1].active == (status == "active")
