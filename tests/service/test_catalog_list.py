"""The list of products: search, filters, and pages in every order."""

import pytest
import pytest_asyncio
from harness import alone
from service.catalog_desk import PRODUCTS, STAFF, add

from merkato.catalog.service import service
from merkato.catalog.store import listing
from merkato.chassis.http import encode_cursor
from merkato.config import Config
from merkato.contracts.inventory import StockChanged


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def titles(catalog, query=""):
    answer = await catalog.request("GET", f"{PRODUCTS}?{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json()["items"]]


async def found(catalog, q, more=""):
    return set(await titles(catalog, f"q={q}{more}"))


async def test_search_folds_accents_and_case(catalog):
    await add(catalog, "Café cup")
    await add(catalog, "Überwurf")
    await add(catalog, "Straße poster")
    await add(catalog, "Smørrebrød board")
    for q in ("cafe", "CAF%C3%89", "Caf%C3%A9", "caf%65%CC%81", "caf"):
        assert await found(catalog, q) == {"Café cup"}, q
    assert await found(catalog, "uberwurf") == {"Überwurf"}
    assert await found(catalog, "strasse") == {"Straße poster"}
    assert await found(catalog, "smorrebrod") == {"Smørrebrød board"}
    assert await found(catalog, "cafe%20board") == set()
    assert await found(catalog, "%21%21%21") == set()
    assert await found(catalog, "%27%3A%2A%20%26%20%21cup%7C%29") == {"Café cup"}  # no operators


async def test_search_ranks_titles_over_descriptions(catalog):
    await add(catalog, "Plate", description="Goes well with the kettle. Kettle, kettle.")
    await add(catalog, "Kettle")
    await add(catalog, "Spoon")
    assert await titles(catalog, "q=kettle") == ["Kettle", "Plate"]


async def test_search_stems_by_locale(catalog):
    await add(catalog, "Wooden spoons", de="Hölzerne Löffel")
    assert await found(catalog, "spoon") == {"Wooden spoons"}
    assert await found(catalog, "spoons") == {"Wooden spoons"}
    assert await found(catalog, "loffel", "&locale=de") == {"Hölzerne Löffel"}
    assert await found(catalog, "spoon", "&locale=de") == {"Hölzerne Löffel"}  # by the default
    assert await found(catalog, "loffel") == set()


async def test_filters(catalog):
    await add(catalog, "A", minor=100, attributes={"colour": "moss", "size": 1, "new": True})
    await add(catalog, "B", minor=200, attributes={"colour": "sand", "size": 2})
    await add(catalog, "C", attributes={"colour": "moss", "size": 2})
    await add(catalog, "D", minor=300, status="draft")
    await catalog.hear(StockChanged(sku="SKU-A", available=9, version=1))
    expected = {
        "": {"A", "B", "C"},
        "min_price=150": {"B"},
        "max_price=150": {"A"},
        "min_price=100&max_price=200": {"A", "B"},
        "currency=USD": {"A", "B", "C"},
        "currency=USD&max_price=1000": set(),
        "in_stock=true": {"A"},
        "in_stock=false": {"B", "C"},
        "attr.colour=moss": {"A", "C"},
        "attr.colour=moss&attr.size=2": {"C"},
        "attr.size=1&attr.size=2": {"A", "B", "C"},
        "attr.new=true": {"A"},
        "attr.colour=red": set(),
        "attr.none=1": set(),
    }
    assert {q: set(await titles(catalog, q)) for q in expected} == expected


async def test_a_category_includes_those_below(catalog):
    async def category(title, parent=None):
        body = {"parent_id": parent, "texts": {"en": {"title": title}}}
        answer = await catalog.request("POST", "/api/v1/categories", body, token=STAFF)
        return answer.json()["id"]

    kitchen = await category("Kitchen")
    mugs = await category("Mugs", kitchen)
    await category("Garden")
    await add(catalog, "Mug", categories=[mugs])
    await add(catalog, "Knife", categories=[kitchen, mugs])
    await add(catalog, "Rake")
    assert set(await titles(catalog, "category=kitchen")) == {"Mug", "Knife"}
    assert set(await titles(catalog, f"category={mugs}")) == {"Mug", "Knife"}
    assert await titles(catalog, "category=garden") == []
    answer = await catalog.request("GET", f"{PRODUCTS}?category=none")
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/category")


ORDERS = {
    "newest": lambda n: -n,
    "price": lambda n: (n % 5 == 4, n % 5),
    "-price": lambda n: (n % 5 == 4, -(n % 5)),
    "title": lambda n: (n % 3, n),
    "relevance": lambda n: 0,
}


@pytest.mark.parametrize("sort", ORDERS)
async def test_pages_have_no_gaps_and_no_doubles(catalog, sort):
    """Read in pages of three while products come; every fifth has no price, many are equal."""
    number = {}
    for n in range(17):
        minor = None if n % 5 == 4 else 100 + n % 5
        title = f"{'ÁbC'[n % 3]} {n:02} thing"
        number[(await add(catalog, title, minor=minor))["id"]] = n
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        query = f"q=thing&sort={sort}&limit=3" + (f"&cursor={cursor}" if cursor else "")
        answer = await catalog.request("GET", f"{PRODUCTS}?{query}")
        assert answer.status == 200, answer
        page = answer.json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        pages += 1
        await add(catalog, f"m new {pages} thing", minor=50 * pages)
    old = [number[product_id] for product_id in seen if product_id in number]
    assert len(seen) == len(set(seen))
    assert sorted(old) == list(range(17))
    keys = [ORDERS[sort](n) for n in old]
    assert keys == sorted(keys)


async def test_a_page_says_what_a_list_shows(catalog):
    product = await add(catalog, "Mug", minor=1_250)
    assert (await catalog.request("GET", PRODUCTS)).json() == {
        "items": [
            {
                "id": product["id"],
                "slug": "mug",
                "locale": "en",
                "title": "Mug",
                "image": None,
                "price": {"amount_minor": 1_250, "currency": "EUR"},
                "in_stock": "no",
            }
        ],
        "next_cursor": None,
        "corrected": None,
        "facets": None,
    }


async def test_what_a_list_does_not_know_is_refused(catalog):
    product = await add(catalog, "A")
    await add(catalog, "B")
    page = (await catalog.request("GET", f"{PRODUCTS}?limit=1&sort=title")).json()
    cursor = page["next_cursor"]
    wrong = {
        "colour=red": "/colour",
        "sort=stock": "/sort",
        "sort=id": "/sort",
        "limit=0": "/limit",
        "limit=101": "/limit",
        "limit=ten": "/limit",
        "min_price=-1": "/min_price",
        "min_price=1.5": "/min_price",
        "max_price=99999999999999999999": "/max_price",
        "in_stock=perhaps": "/in_stock",
        "cursor=nonsense": "/cursor",
        f"cursor={cursor}": "/cursor",  # of another order
        f"sort=price&cursor={cursor}": "/cursor",
        "attr.=1": "/attr.",
        "q=" + 201 * "a": "/q",
        "locale=english": "/locale",
        "currency=EURO": "/currency",
    }
    for query, where in wrong.items():
        answer = await catalog.request("GET", f"{PRODUCTS}?{query}")
        assert answer.status == 422, (query, answer)
        assert answer.json()["errors"][0]["pointer"] == where, (query, answer)
    for forged in ([2**63 - 1], [2**52], [-2], ["x"], [None], [1.5]):
        for sort in ("newest", "price", "-price", "title", "relevance"):
            place = encode_cursor(sort, *forged, product["id"])
            answer = await catalog.request("GET", f"{PRODUCTS}?sort={sort}&cursor={place}")
            assert answer.status in (200, 422), (sort, forged, answer)
    many = "&".join(f"attr.{n}=1" for n in range(11))
    assert (await catalog.request("GET", f"{PRODUCTS}?{many}")).status == 422
    for odd in ("q=%ff%fe", "q=%F0%9F%8D%B5", "q=a%26b", "attr.a=%ff", "q=" + 100 * "a%20"):
        assert (await catalog.request("GET", f"{PRODUCTS}?{odd}")).status == 200, odd


async def test_mistakes_in_typing_are_corrected(catalog):
    await add(catalog, "Copper kettle", minor=4_000)
    await add(catalog, "Kitchen knife", minor=2_000)
    await add(catalog, "Überwurf", minor=3_000)

    async def meant(q, more=""):
        answer = (await catalog.request("GET", f"{PRODUCTS}?q={q}{more}")).json()
        return answer["corrected"], [item["title"] for item in answer["items"]]

    assert await meant("kettle") == (None, ["Copper kettle"])
    for q in ("ketlte", "kettl3", "kettel", "cettle", "kkettle"):
        assert await meant(q) == ("kettle", ["Copper kettle"]), q
    assert await meant("coper+ketlte") == ("copper kettle", ["Copper kettle"])
    assert await meant("uberwruf", "&sort=price") == ("uberwurf", ["Überwurf"])
    assert await meant("kettle+knife") == (None, [])  # both are words: nothing to correct
    assert await meant("ketlte", "&max_price=100") == ("kettle", [])
    assert await meant("xylophone") == (None, [])
    assert await meant("kni") == (None, ["Kitchen knife"])  # a beginning is no mistake


async def test_pages_of_a_corrected_search_go_on(catalog):
    for number in range(5):
        await add(catalog, f"Kettle {number}")
    first = (await catalog.request("GET", f"{PRODUCTS}?q=ketlte&limit=3")).json()
    more = f"{PRODUCTS}?q=ketlte&limit=3&cursor={first['next_cursor']}"
    second = (await catalog.request("GET", more)).json()
    shown = [item["title"] for page in (first, second) for item in page["items"]]
    assert sorted(shown) == [f"Kettle {number}" for number in range(5)]
    assert (second["corrected"], second["next_cursor"]) == ("kettle", None)


async def test_a_word_that_nobody_uses_is_not_looked_for_in_every_text(catalog):
    await add(catalog, "Kettle")
    wanted = {"locales": ["en"], "currency": "EUR", "languages": ["english", "english"]}
    read = "select seq_scan from pg_stat_xact_user_tables where relname = 'product_texts'"
    async with catalog.db.transaction() as tx:
        await tx.execute("analyze product_texts")
        assert await listing.finds(tx, listing.Wanted(**wanted, search="kett:*"))
        assert not await listing.finds(tx, listing.Wanted(**wanted, search="ketlte:*"))
        assert await tx.fetchval(read) == 0


async def test_what_was_changed_lately_is_found_as_quickly(catalog):
    """Every search reads the whole list of what its index has not taken in yet: short ones."""
    options = await catalog.fetch(
        "select i.reloptions from pg_class i join pg_am a on a.oid = i.relam where a.amname = 'gin'"
    )
    assert len(options) >= 5
    assert {row["reloptions"][0] for row in options} == {"gin_pending_list_limit=256"}


async def test_few_products_of_a_filter_are_sorted_by_price(catalog):
    """The same pages as of all products, though these are sorted, not read by price."""
    for n in range(7):
        await add(catalog, f"P {n}", minor=None if n == 3 else 100 + n % 4, attributes={"in": True})
    await add(catalog, "Other", minor=1)

    async def pages(query):
        seen, cursor = [], ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = await catalog.request("GET", f"{PRODUCTS}?limit=2&{query}{more}")
            assert page.status == 200, page
            seen += [item["title"] for item in page.json()["items"]]
            cursor = page.json()["next_cursor"]
        return seen

    for sort in ("price", "-price"):
        everything = [title for title in await pages(f"sort={sort}") if title != "Other"]
        assert await pages(f"sort={sort}&attr.in=true") == everything
        assert await pages(f"sort={sort}&attr.in=true&min_price=102") == [
            title for title in everything if title in ("P 2", "P 6")
        ]


async def test_filters_hold_for_what_was_changed(catalog):
    """What stands beside the words of a product follows it."""
    body = {"texts": {"en": {"title": "Kitchen"}}}
    kitchen = (await catalog.request("POST", "/api/v1/categories", body, token=STAFF)).json()["id"]
    product = await add(catalog, "Mug", attributes={"colour": "moss"})
    path = f"{PRODUCTS}/{product['id']}"

    async def change(version, **patch):
        answer = await catalog.request(
            "PATCH", path, patch, token=STAFF, headers={"If-Match": f'"v{version}"'}
        )
        assert answer.status == 200, answer

    assert await found(catalog, "mug", "&attr.colour=moss") == {"Mug"}
    await change(1, attributes={"colour": "sand"}, categories=[kitchen])
    assert await found(catalog, "mug", "&attr.colour=moss") == set()
    assert await found(catalog, "mug", "&attr.colour=sand&category=kitchen") == {"Mug"}
    assert await titles(catalog, "attr.colour=sand&category=kitchen") == ["Mug"]
    await change(2, status="archived")
    assert await found(catalog, "mug") == set()


async def test_the_best_of_a_search_come_first_on_every_page(catalog):
    for n in range(4):
        await add(catalog, f"Spoon {n}", description="A kettle of fish, kettle, kettle, kettle.")
        await add(catalog, f"Green kettle {n}", de=f"Kettle {n}")
    await add(catalog, "Kettle")
    seen, cursor = [], ""
    while cursor is not None:
        query = "q=kettle&limit=2&locale=de" + (f"&cursor={cursor}" if cursor else "")
        page = (await catalog.request("GET", f"{PRODUCTS}?{query}")).json()
        seen += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen[0] == "Kettle"
    assert {title[:6] for title in seen[1:5]} == {"Kettle"}
    assert {title[:5] for title in seen[5:]} == {"Spoon"}
    assert len(seen) == len(set(seen)) == 9
