"""Imports and exports: files in, products made, errors told, files out that change nothing."""

import asyncio
import csv

import msgspec
import pytest
import pytest_asyncio
from catalog_bodies import PRODUCTS, STAFF, made, mug, writer
from harness import alone

from merkato.catalog.domain.records import PART_ROWS
from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import ProductPublished, VariantPriced
from merkato.contracts.trail import CatalogActionNoted

IMPORTS = "/api/v1/imports"
CSV, JSON_LINES = "text/csv", "application/x-ndjson"


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def send(catalog, text, media_type=CSV, query="", **headers):
    content = text if isinstance(text, bytes) else text.encode()
    headers = {"content-type": media_type, **headers}
    return await catalog.request("POST", IMPORTS + query, content, token=STAFF, headers=headers)


async def imported(catalog, text, media_type=CSV, query=""):
    """Import a file to its end; gives the import."""
    answer = await send(catalog, text, media_type, query)
    assert answer.status == 202, answer
    await catalog.run_job("import")
    return (await writer(catalog)("GET", answer.headers["location"])).json()


async def errors(catalog, one):
    page = (await writer(catalog)("GET", f"{IMPORTS}/{one['id']}/errors?limit=100")).json()
    return [(error["line"], error["subject"], error["pointer"]) for error in page["items"]]


def counts(one):
    return {name: one[name] for name in ("created", "changed", "unchanged", "failed") if one[name]}


async def page(catalog, slug):
    answer = await writer(catalog)("GET", f"{PRODUCTS}/{slug}")
    assert answer.status == 200, answer
    return answer.json()


async def category(catalog, title, parent=None):
    body = {"parent_id": parent, "texts": {"en": {"title": title}}}
    return (await catalog.request("POST", "/api/v1/categories", body, token=STAFF)).json()["id"]


GOODS = """\
slug,status,title,title.de,description,categories,attr.material,attr.volume_ml:int,attr.new:bool,sku,option.colour,price.EUR,price.EUR@10,price.JPY,weight_g,track_stock,metadata.source
stone-mug,active,Stone mug,Steinbecher,"Holds ""coffee"",
and tea.",kitchen;mugs,stoneware,300,true,MUG-MOSS,moss,18.00,15,2000,400,true,kiln
stone-mug,,,,,,,,,MUG-SAND,sand,17.5,,,,,
plate,draft,Plate,,,,,,,PLATE,,9,,,,no,
"""


async def test_rows_become_products(catalog):
    kitchen = await category(catalog, "Kitchen")
    mugs = await category(catalog, "Mugs", kitchen)
    done = await imported(catalog, GOODS, query="?name=goods.csv")
    assert (done["state"], done["name"], done["rows_total"], done["rows_done"]) == (
        "done", "goods.csv", 3, 3
    )  # fmt: skip
    assert counts(done) == {"created": 3}
    product = await page(catalog, "stone-mug")
    assert product["status"] == "active"
    assert product["texts"]["de"]["title"] == "Steinbecher"
    assert product["description"] == 'Holds "coffee",\nand tea.'
    assert {one["id"] for one in product["categories"]} == {kitchen, mugs}
    assert product["attributes"] == {"material": "stoneware", "volume_ml": 300, "new": True}
    assert product["metadata"] == {"source": "kiln"}
    assert product["options"] == [{"name": "colour", "values": ["moss", "sand"]}]
    moss, sand = product["variants"]
    assert [(p["currency"], p["from_quantity"], p["amount_minor"]) for p in moss["prices"]] == [
        ("EUR", 1, 1_800), ("EUR", 10, 1_500), ("JPY", 1, 2_000)
    ]  # fmt: skip
    assert (sand["price"]["amount_minor"], moss["weight_g"]) == (1_750, 400)
    plate = await page(catalog, "plate")
    assert (plate["status"], plate["variants"][0]["track_stock"]) == ("draft", False)
    assert len(await catalog.said(ProductPublished)) == 1
    assert [event.sku for event in await catalog.said(VariantPriced)] == [
        "MUG-MOSS", "MUG-SAND", "PLATE"
    ]  # fmt: skip


async def test_a_repeat_changes_nothing(catalog):
    await category(catalog, "Kitchen")
    await category(catalog, "Mugs")
    await imported(catalog, GOODS)
    before, said = await page(catalog, "stone-mug"), await catalog.said()
    assert counts(await imported(catalog, GOODS)) == {"unchanged": 3}
    assert await page(catalog, "stone-mug") == before
    assert await catalog.said() == said


async def test_what_differs_is_changed_and_told(catalog):
    await made(catalog, mug())
    said = len(await catalog.said())
    done = await imported(
        catalog, "sku,price.EUR,price.GBP\nmug-moss,19.99,\nMUG-SAND,17,14\nMUG-SAND,17.00,14\n"
    )
    assert counts(done) == {"changed": 2, "unchanged": 1}
    assert {event.sku: event.prices[0].amount_minor for event in (await catalog.said())[said:]} == {
        "MUG-MOSS": 1_999, "MUG-SAND": 1_700
    }  # fmt: skip
    product = await page(catalog, "stone-mug")
    assert product["version"] == 2  # one write, though three rows spoke of it
    assert product["texts"]["de"]["title"] == "Steinbecher"
    assert [row["amount_minor"] for row in product["variants"][0]["prices"]] == [
        1_999, 1_500, 2_000
    ]  # fmt: skip


async def test_a_bad_row_stops_no_other(catalog):
    done = await imported(
        catalog,
        b"\xef\xbb\xbfslug,title,sku,price.EUR,attr.size:int\n"
        b"a,A,SKU-A,1.00,1\n"
        b"b,B,SKU-B,1.005,1\n"
        b"c,C,SKU-C,cheap,one\n"
        b"d,D\xff,SKU-D,1,1\n"
        b'e,"E" or so,SKU-E,1,1\n'
        b"f,,SKU-F,1,1\n"
        b"g,G,SKU-A,1,1\n"
        b"h,H,SKU H,1,1\n"
        b"\n"
        b"i,I,SKU-I,1,1,2\n"
        b"j,J,SKU-J,2.00,2\n"
        b'k,"K,SKU-K,1,1\n',
    )
    assert counts(done) == {"created": 2, "failed": 9}
    assert await errors(catalog, done) == [
        (3, "SKU-B", "/price.EUR"), (4, "SKU-C", "/price.EUR"), (4, "SKU-C", "/attr.size:int"),
        (5, "", ""), (6, "", ""), (7, "SKU-F", "/title"), (8, "SKU-A", ""), (9, "SKU H", "/sku"),
        (11, "SKU-I", ""), (13, "", ""),
    ]  # fmt: skip
    assert (await page(catalog, "a"))["title"] == "A"
    assert (await page(catalog, "j"))["title"] == "J"
    answer = await writer(catalog)("GET", f"{IMPORTS}/{done['id']}/errors.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.body.splitlines()) == 11


async def test_what_others_have_stops_that_row_alone(catalog):
    body = {"status": "active", "texts": {"en": {"title": "Mine"}, "de": {"title": "Meins"}}}
    await made(catalog, body)
    rows = "".join(f"s{n},S {n},,SKU-{n}\n" for n in range(5))
    file = f"slug,title,title.de,sku\n{rows}x,Mein X,Meins,SKU-X\ny,Y,,SKU-Y\n"
    done = await imported(catalog, file)
    assert counts(done) == {"created": 6, "failed": 1}  # the German slug is taken
    assert await errors(catalog, done) == [(7, "SKU-X", "")]
    assert (await page(catalog, "y"))["title"] == "Y"


async def test_a_dry_run_finds_the_same_and_does_nothing(catalog):
    file = "slug,title,sku,price.EUR,option.size\na,A,SKU-A,1,s\nb,B,SKU-B,x,\na,,SKU-A2,2,l\n"
    tried = await imported(catalog, file, query="?dry_run=true")
    assert (tried["dry_run"], counts(tried)) == (True, {"created": 2, "failed": 1})
    assert await catalog.said() == []
    assert await catalog.fetch("select 1 from products") == []
    assert await errors(catalog, tried) == [(3, "SKU-B", "/price.EUR")]
    assert counts(await imported(catalog, file)) == {"created": 2, "failed": 1}


@pytest.mark.parametrize(
    ("header", "pointers"),
    [
        ("slug,colour,sku", ["/colour"]),
        ("title,price.EUR", [""]),
        ("slug,slug", [""]),
        ("slug,price.euro,title.DE,attr.,x", ["/price.euro", "/title.DE", "/attr.", "/x"]),
    ],
)
async def test_columns_nobody_knows_are_refused_at_once(catalog, header, pointers):
    answer = await send(catalog, f"{header}\na,b,c\n")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert await catalog.fetch("select 1 from imports") == []


async def test_files_that_are_none(catalog):
    assert (await send(catalog, "slug,title\n")).status == 422
    assert (await send(catalog, "", JSON_LINES)).status == 422
    assert (await send(catalog, "{}", "application/json")).status == 415
    assert (await catalog.request("POST", IMPORTS, token=STAFF)).status == 422
    assert (
        await catalog.request("POST", IMPORTS, b"slug\na", headers={"content-type": CSV})
    ).status == 401
    assert await catalog.fetch("select 1 from imports") == []


async def test_semicolons_and_line_ends_of_spreadsheets(catalog):
    file = "slug;title;sku;price.EUR\r\na;A;SKU-A;1.50\r\nb;B;SKU-B;2\r\n"
    assert counts(await imported(catalog, file)) == {"created": 2}
    assert (await page(catalog, "a"))["variants"][0]["price"]["amount_minor"] == 150


async def test_json_lines_are_merge_patches(catalog):
    await made(catalog, mug())
    lines = [
        {"slug": "stone-mug", "attributes": {"material": None, "glaze": "salt"}, "variants": [
            {"sku": "MUG-MOSS", "amounts": {"EUR": 1_600, "EUR@10": None}}]},
        {"slug": "bowl", "status": "active", "texts": {"en": {"title": "Bowl"}}, "variants": [
            {"sku": "BOWL", "prices": [{"currency": "EUR", "amount_minor": 900}]}]},
        {"slug": "bowl", "texts": {"en": {"title": 5}}},
        {"slug": "bowl", "colour": "red"},
        {"slug": "bowl", "variants": [{"sku": "BOWL", "prices": [
            {"currency": "EUR", "amount_minor": 1.5}]}]},
    ]  # fmt: skip
    text = "\n".join([*(msgspec.json.encode(line).decode() for line in lines), "{", ""])
    done = await imported(catalog, text, JSON_LINES)
    assert counts(done) == {"changed": 1, "created": 1, "failed": 4}
    assert [error[0::2] for error in await errors(catalog, done)] == [
        (3, "/texts/.../title"), (4, ""), (5, "/variants/0/prices/0/amount_minor"), (6, ""),
    ]  # fmt: skip
    product = await page(catalog, "stone-mug")
    assert product["attributes"] == {"glaze": "salt", "volume_ml": 300, "dishwasher": True}
    moss = product["variants"][0]
    assert [row["amount_minor"] for row in moss["prices"]] == [1_600, 2_000]


async def test_prices_of_the_future_stay(catalog):
    await made(catalog, mug())
    product = await page(catalog, "stone-mug")
    later = {"currency": "EUR", "amount_minor": 2_500, "valid_from": "2150-01-01T00:00:00Z"}
    rows = [{"currency": "EUR", "amount_minor": 1_000}, later]
    etag = f'"v{product["version"]}"'
    await writer(catalog)("PUT", "/api/v1/variants/MUG-SAND/prices", {"prices": rows}, etag=etag)
    assert counts(await imported(catalog, "sku,price.EUR\nMUG-SAND,10.00\n")) == {"unchanged": 1}
    assert counts(await imported(catalog, "sku,price.EUR\nMUG-SAND,11\n")) == {"changed": 1}
    sand = (await page(catalog, "stone-mug"))["variants"][1]
    assert [(r["amount_minor"], r["valid_from"]) for r in sand["prices"]] == [
        (1_100, None), (2_500, "2150-01-01T00:00:00+00:00")
    ]  # fmt: skip


async def many(catalog, rows):
    """Send so many rows; nothing is worked off yet."""
    lines = [f"thing-{n},active,Thing {n},SKU-{n},{n % 90}.50" for n in range(rows)]
    answer = await send(catalog, "\n".join(["slug,status,title,sku,price.EUR", *lines]))
    assert answer.status == 202, answer
    return answer.headers["location"]


async def one_part(catalog):
    [every] = [every for every in catalog.service.jobs if every.name == "import"]
    return await every.job(catalog.resources)


async def test_an_import_goes_on_where_it_was(catalog, new_database):
    place, staff = await many(catalog, 3 * PART_ROWS), writer(catalog)
    assert (await staff("GET", place)).json()["state"] == "waiting"
    await one_part(catalog)
    half = (await staff("GET", place)).json()
    assert (half["state"], half["rows_done"], half["rows_total"]) == (
        "running", PART_ROWS, 3 * PART_ROWS
    )  # fmt: skip
    working = asyncio.create_task(one_part(catalog))  # whoever works on it is killed
    await asyncio.sleep(0.02)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await catalog.run_job("import")
    done = (await staff("GET", place)).json()
    assert (done["state"], counts(done)) == ("done", {"created": 3 * PART_ROWS})
    assert len(await catalog.said(VariantPriced)) == 3 * PART_ROWS
    assert await catalog.fetch("select 1 from import_parts") == []


async def test_an_import_can_be_stopped(catalog):
    place, staff = await many(catalog, 3 * PART_ROWS), writer(catalog)
    await one_part(catalog)
    for _ in range(2):
        stopped = await staff("POST", f"{place}/cancellation", {})
        assert (stopped.status, stopped.json()["state"]) == (200, "cancelled")
    assert await catalog.run_job("import") == 0
    assert (await staff("GET", place)).json()["rows_done"] == PART_ROWS
    assert (await staff("GET", IMPORTS)).json()["items"][0]["state"] == "cancelled"
    other = await imported(catalog, "slug,title\na,A\n")
    refused = await staff("POST", f"{IMPORTS}/{other['id']}/cancellation", {})
    assert (refused.status, refused.json()["type"]) == (409, "/problems/state-conflict")


async def test_a_key_makes_a_second_sending_harmless(catalog):
    key, file = "import-0123456789", "slug,title\na,A\n"
    first = await send(catalog, file, **{"idempotency-key": key})
    again = await send(catalog, file, **{"idempotency-key": key})
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await send(catalog, "slug,title\nb,B\n", **{"idempotency-key": key})
    assert (other.status, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(await catalog.fetch("select 1 from imports")) == 1


async def test_staff_writes_are_noted_and_imports_as_a_whole(catalog):
    await made(catalog, mug())
    await imported(catalog, "slug,status,title\na,active,A\nb,active,B\n")
    etag = f'"v{(await page(catalog, "a"))["version"]}"'
    rows = {"texts": {"en": {"title": "Better"}}}
    product = (await page(catalog, "a"))["id"]
    await writer(catalog)("PATCH", f"{PRODUCTS}/{product}", rows, etag=etag)
    noted = await catalog.said(CatalogActionNoted)
    assert [one.action for one in noted] == [
        "catalog.product_made", "catalog.import_sent", "catalog.product_changed"
    ]  # fmt: skip
    assert noted[2].actor.startswith("user:")
    assert noted[2].before["texts"]["en"]["title"] == "A"
    assert noted[2].after["texts"]["en"]["title"] == "Better"
    assert set(noted[2].after) == {"texts", "version"}


async def exported(catalog, kind):
    answer = await writer(catalog)("GET", f"/api/v1/exports/products.{kind}")
    assert answer.status == 200, answer
    assert answer.headers["content-disposition"] == f'attachment; filename="products.{kind}"'
    return answer.body.decode()


STRANGE = {
    "texts": {"en": {"title": "=1+1", "slug": "strange", "description": '\'=2\n\t+3, "x";'}},
    "attributes": {"a:int": "42", "b": -7, "c": "-7", "d": "@x", "e": False, "f": "'", "b.c": "z"},
    "metadata": {"k.l": "'-1", "m": "+49 30"},
    "variants": [{"sku": "=cmd|'/C calc'!A0".replace(" ", "_"), "track_stock": False}],
}


@pytest.mark.parametrize(("kind", "media_type"), [("csv", CSV), ("jsonl", JSON_LINES)])
async def test_an_export_imports_again_and_changes_nothing(catalog, new_database, kind, media_type):
    kitchen = await category(catalog, "Kitchen")
    await writer(catalog)("POST", "/api/v1/price-lists", {"name": "trade", "tax_included": False})
    body = mug(categories=[kitchen])
    body["variants"][1]["prices"].append(
        {"price_list": "trade", "currency": "EUR", "from_quantity": 5, "amount_minor": 900}
    )
    await made(catalog, body)
    await made(catalog, STRANGE)
    await made(catalog, {"texts": {"en": {"title": "Nothing to sell"}}})
    said, file = await catalog.said(), await exported(catalog, kind)
    done = await imported(catalog, file, media_type)
    assert counts(done) == {"unchanged": 4 if kind == "csv" else 3}, await errors(catalog, done)
    assert await catalog.said() == said
    async with alone(service(Config()), new_database) as other:  # and it makes the same shop
        await category(other, "Kitchen")
        await writer(other)("POST", "/api/v1/price-lists", {"name": "trade", "tax_included": False})
        await imported(other, file, media_type)
        assert sorted((await exported(other, kind)).split("\n")) == sorted(file.split("\n"))
        assert (await page(other, "strange"))["attributes"] == STRANGE["attributes"]


async def test_no_cell_of_an_export_is_a_formula(catalog):
    await made(catalog, STRANGE)
    lines = (await exported(catalog, "csv")).splitlines(keepends=True)
    cells = [cell for row in csv.reader(lines) for cell in row if cell]
    assert "'=1+1" in cells
    assert not [cell for cell in cells if cell[0] in "=+@\t\r"]
    assert {cell for cell in cells if cell[0] == "-"} == {"-7"}  # a number is no formula
