"""Products: made, read, changed and archived, and what is said of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
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

STAFF = user_token(role="staff")
PRODUCTS = "/api/v1/products"


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
        "options": [{"name": "colour", "values": ["moss", "sand", "clay"]}],
        "attributes": {"material": "stoneware", "volume_ml": 300, "dishwasher": True},
        "metadata": {"source": "kiln"},
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


def simple(slug, **changes):
    body = {"status": "active", "texts": {"en": {"title": slug.title(), "slug": slug}}}
    return body | changes


def writer(catalog):
    """Send as staff, with If-Match if it is given."""

    async def send(method, path, body=None, *, etag=None, **more):
        headers = {"if-match": etag} if etag else {}
        return await catalog.request(method, path, body, token=STAFF, headers=headers, **more)

    return send


async def made(catalog, body):
    answer = await writer(catalog)("POST", PRODUCTS, body)
    assert answer.status == 201, answer
    return answer


def pointer(answer):
    return answer.json()["errors"][0]["pointer"]


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


async def test_only_staff_write(catalog):
    for token, status in ((None, 401), (user_token(), 403)):
        for method, path in (
            ("POST", PRODUCTS),
            ("PATCH", f"{PRODUCTS}/{uuid4()}"),
            ("DELETE", f"{PRODUCTS}/{uuid4()}"),
            ("PUT", f"{PRODUCTS}/{uuid4()}/variants/A"),
            ("PUT", "/api/v1/variants/A/prices"),
            ("POST", "/api/v1/categories"),
        ):
            answer = await catalog.request(method, path, {}, token=token)
            assert answer.status == status, (method, path, answer)


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
    soon = datetime.now(UTC) + timedelta(seconds=1)
    prices = [
        {"currency": "EUR", "amount_minor": 100},
        {"currency": "EUR", "amount_minor": 90, "valid_from": soon.isoformat()},
    ]
    await send("PUT", "/api/v1/variants/MUG-MOSS/prices", {"prices": prices}, etag='"v1"')
    assert await catalog.run_job("tell-prices") == 0
    assert [p.amount_minor for p in (await catalog.said(VariantPriced))[-1].prices] == [100]
    await asyncio.sleep(1.1)
    assert await catalog.run_job("tell-prices") == 1
    last = (await catalog.said(VariantPriced))[-1]
    assert (last.version, [p.amount_minor for p in last.prices]) == (3, [90])
    page = await catalog.request("GET", f"{PRODUCTS}/stone-mug")
    assert page.json()["variants"][0]["price"]["amount_minor"] == 90
    assert await catalog.run_job("tell-prices") == 0


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


def with_variant(**changes):
    return simple("x", variants=[{"sku": "X", **changes}])


def with_price(**changes):
    return with_variant(prices=[{"currency": "EUR", "amount_minor": 1, **changes}])


WRONG = [
    (simple("x", texts={}), "/texts"),
    (simple("x", texts={"de": {"title": "Nur deutsch"}}), "/texts"),
    (simple("x", texts={"en": {"title": "!!!"}}), "/texts/en/slug"),
    (simple("x", texts={"en": {"title": "A\x01B"}}), "/texts/.../title"),
    (simple("x", texts={"en": {"title": "A", "slug": "not a slug"}}), "/texts/.../slug"),
    (simple("x", texts={"en": {"title": "A", "slug": str(uuid4())}}), "/texts/en/slug"),
    (simple("x", status="sold"), "/status"),
    (simple("x", surprise=1), ""),
    (simple("x", attributes={"a": 1.5}), "/attributes/..."),
    (simple("x", attributes={"a": 10**30}), "/attributes/..."),
    (simple("x", attributes={str(n): n for n in range(51)}), "/attributes"),
    (simple("x", categories=[str(uuid4())]), "/categories"),
    (simple("x", options=[{"name": "a", "values": ["b", "b"]}]), "/options/0/values"),
    (simple("x", variants=[{"sku": f"S{n}"} for n in range(101)]), "/variants"),
    (with_variant(sku="with space"), "/variants/0/sku"),
    (with_variant(sku=""), "/variants/0/sku"),
    (with_variant(weight_g=-1), "/variants/0/weight_g"),
    (with_variant(image="javascript:alert(1)"), "/variants/0/image"),
    (with_price(amount_minor=-1), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor=10**13), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor=1.5), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor="1"), "/variants/0/prices/0/amount_minor"),
    (with_price(currency="eur"), "/variants/0/prices/0/currency"),
    (with_price(from_quantity=0), "/variants/0/prices/0/from_quantity"),
    (with_price(price_list="vip"), "/variants/0/prices/0/price_list"),
    (with_price(valid_from="2026-01-01T00:00:00"), "/variants/0/prices/0/valid_from"),
    (with_price(valid_from="0001-01-01T00:00:00+14:00"), "/variants/0/prices/0/valid_from"),
    (with_price(valid_from="9999-12-31T23:59:59-14:00"), "/variants/0/prices/0/valid_from"),
]


@pytest.mark.parametrize(("body", "where"), WRONG)
async def test_what_is_wrong_is_pointed_at(catalog, body, where):
    answer = await writer(catalog)("POST", PRODUCTS, body)
    assert (answer.status, pointer(answer)) == (422, where), answer
    assert await catalog.said() == []


async def test_what_cannot_be_read_is_malformed(catalog):
    send = writer(catalog)
    for body in (b"{", b"\xff", b'{"status": NaN}'):
        assert (await send("POST", PRODUCTS, body)).status == 400, body[:20]
    for body in (b"[]", b"[" * 100_000, b"null", b'"x"', b"{}"):
        assert (await send("POST", PRODUCTS, body)).status == 422, body
    nul = await send("POST", PRODUCTS, b'{"texts": {"en": {"title": "a\\u0000"}}}')
    assert nul.status == 422
    for name in ("%F0%9F%8D%B5", "x" * 3_000, "..", "a b", "-", "0" * 36):
        assert (await catalog.request("GET", f"{PRODUCTS}/{name}")).status == 404, name
    assert (await send("PUT", f"{PRODUCTS}/not-an-id/variants/A", {})).status in (404, 422)
    assert (await send("PUT", f"{PRODUCTS}/{uuid4()}/variants/a%20b", {})).status in (404, 422)


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
