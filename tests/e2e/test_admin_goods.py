"""Staff look after goods and settings, without JavaScript, in both topologies."""

import re
from io import BytesIO

import pytest
from browsing import Browser
from e2e.test_admin import at_work
from harness import eventually
from PIL import Image
from shopping import PASSWORD, new_key

from merkato.contracts.permissions import CATALOGUE

pytestmark = pytest.mark.timeout(240)


def png(colour, size=(640, 480)):
    """A picture of one colour."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def product_in(page):
    """The id of the product that a page edits."""
    return re.search(r"/admin/products/([0-9a-f-]{36})", page.url)[1]


async def made(browser, sku, **values):
    """Make a product by its form."""
    await browser.go("/admin/products/new")
    filled = {"title": f"Vase {sku}", "sku": sku, "price": "24.90", "status": "active"} | values
    return await browser.press("Make it", **filled)


async def test_a_product_is_made_told_of_and_archived(shop):
    sku = f"NEW-{new_key()[:10]}"
    async with await at_work(shop) as browser:
        page = await made(browser, sku, price="x")
        assert "Price: a number" in page.words
        assert f'value="{sku}"' in page.html, "what was typed stays"
        page = await made(browser, sku)
        assert "Made." in page.words, page
        known = product_in(page)
        tree = (await shop.ok("GET", "/api/v1/categories"))["items"]
        within = f"category.{tree[0]['id']}" if tree else "attributes"
        filled = {
            "title.en": f"Tall vase {sku}", "title.de": f"Hohe Vase {sku}", "locale.new": "fr",
            "title.new": f"Grand vase {sku}", within: "yes", "status": "draft",
            "attributes": "material: glass\nheight_cm: 40\nnew: yes",
            "options": "colour: moss, sand",
        }  # fmt: skip
        page = await browser.press("Save", **filled)
        assert "colour is not chosen" in page.words, page
        again = next(form for form in page.forms if "Save" in form.buttons).fields
        assert filled.items() <= again.items(), "what was typed stays"
        page = await browser.press("Save", options="", status="active")
        assert "Saved." in page.words, page
        stored = await shop.ok("GET", f"/api/v1/products/{known}", token=shop.admin)
        assert [f"category.{one['id']}" for one in stored["categories"]] == [within] * bool(tree)
        assert {code: text["title"] for code, text in stored["texts"].items()} == {
            "en": f"Tall vase {sku}", "de": f"Hohe Vase {sku}", "fr": f"Grand vase {sku}",
        }  # fmt: skip
        assert stored["attributes"] == {"material": "glass", "height_cm": 40, "new": True}
        page = await browser.press("Archive it")
        assert "It has left the shop." in page.words, page
        page = await browser.press("Save", status="draft")
        assert "Saved." in page.words, page
    assert (await shop.ok("GET", f"/api/v1/products/{known}", token=shop.admin))[
        "status"
    ] == "draft"


async def test_variants_have_prices_on_lists_by_quantity_and_day(shop):
    sku, trade = f"VAR-{new_key()[:10]}", f"t{new_key()[:10]}"
    async with await at_work(shop) as browser:
        await browser.go("/admin/t/price-lists")
        page = await browser.press("Add", name=trade, title="Traders", tax_included=None)
        assert "Made." in page.words, page
        known = product_in(await made(browser, sku))
        await browser.go(f"/admin/products/{known}/variant?sku={sku}")
        page = await browser.press("Save", **{
            "weight_g": "400", "price.1.amount": "19,90", "price.1.from": "10",
            "price.2.list": trade, "price.2.amount": "15", "price.2.since": "2099-01-31",
        })  # fmt: skip
        assert "Saved" in page.words, page
        stored = await shop.ok("GET", f"/api/v1/products/{known}", token=shop.admin)
        [variant] = stored["variants"]
        assert variant["weight_g"] == 400
        found = {
            (p["price_list"], p["from_quantity"], p["amount_minor"]) for p in variant["prices"]
        }
        assert found == {("standard", 1, 2490), ("standard", 10, 1990), (trade, 1, 1500)}
        await browser.go(f"/admin/products/{known}/variant?sku={sku}")
        filled = {"price.0.amount": "1,200", "price.0.currency": "USD", "price.3.list": trade,
                  "price.3.amount": "14", "weight_g": "450", "track_stock": None}  # fmt: skip
        page = await browser.press("Save", **filled)
        assert "Price: 1,200 can be read in two ways; write 1200 or 1.2." in page.words, page
        again = next(form for form in page.forms if "Save" in form.buttons).fields
        assert "track_stock" not in again
        del filled["track_stock"]
        assert filled.items() <= again.items(), "what was typed stays"
        await browser.go(f"/admin/products/{known}/variant")
        page = await browser.press("Add it", sku=f"{sku}-B", **{"price.0.amount": "dear"})
        assert f'value="{sku}-B"' in page.html, "what was typed stays"
        assert 'value="dear"' in page.html
        page = await browser.go(f"/admin/price-lists/{trade}")
        page = await browser.press(f"Remove {trade}")
        assert "Prices are on this list" in page.words, page


async def test_pictures_are_added_told_ordered_and_taken_off(shop):
    async with await at_work(shop) as browser:
        page = await made(browser, f"PIC-{new_key()[:10]}")
        known = product_in(page)
        for colour in ("red", "green"):
            page = await browser.send_file(
                "Upload", "picture", (f"{colour}.png", png(colour)), alt=f"A {colour} vase"
            )
            assert "The picture is there." in page.words, page
        page = await browser.send_file("Upload", "picture", ("x.png", b"not a picture"))
        assert "notice bad" in page.html, page
        page = await browser.press("Later", **{"alt.de": "Eine rote Vase"})
        seen = await shop("GET", f"/api/v1/products/{known}", token=shop.admin)
        images = seen.json()["images"]
        assert [one["alt"] for one in images] == ["A green vase", "A red vase"]
        assert images[1]["alts"] == {"en": "A red vase", "de": "Eine rote Vase"}, "words and place"
        alts = {code: f"In {code}" for code in ("en", "de", "fr", "it", "pl")}
        where = f"/api/v1/products/{known}/images/{images[0]['id']}"
        tag = {"if-match": seen.headers["etag"]}
        await shop.ok("PATCH", where, {"alts": alts}, token=shop.admin, headers=tag)
        await browser.go(f"/admin/products/{known}")
        page = await browser.press("Save words", **{"alt.en": "A green vase"})
        assert "Saved." in page.words, page
        images = (await shop.ok("GET", f"/api/v1/products/{known}", token=shop.admin))["images"]
        assert images[0]["alts"] == alts | {"en": "A green vase"}, "no language is lost"
        assert images[0]["url"].endswith(".webp"), "encoded anew"
        page = await browser.press("Take this picture off")
        assert "Taken off." in page.words, page
        images = (await shop.ok("GET", f"/api/v1/products/{known}", token=shop.admin))["images"]
        assert [one["alt"] for one in images] == ["A red vase"]


async def test_many_products_are_changed_at_once_as_it_was_shown(shop):
    mark = f"Bulk{new_key()[:8]}"
    async with await at_work(shop) as browser:
        for n in range(3):
            await made(browser, f"{mark}-{n}", title=f"{mark} number {n}", price=f"{n + 1}.99")
        await browser.go(f"/admin/t/products?q={mark}")
        page = await browser.press("Go on", scope="all", task="prices")
        assert "Change the prices of 3 products" in page.words, page
        page = await browser.press("Show the result", by="percent", amount="-10")
        assert "3 of 3 prices would change. Nothing has changed yet." in page.words, page
        assert "€1.79" in page.words, page
        assert "€2.69" in page.words, page
        preview = browser.page
        page = await browser.press("Change 3 prices")
        assert "3 prices changed" in page.words, page
        browser.page = preview
        page = await browser.press(
            "Change 3 prices", key=new_key(), rows=_rows(preview).replace("179", "150")
        )
        assert "has changed meanwhile" in page.words, "what was shown is not so any more"
        page = await browser.go(f"/admin/t/products?q={mark}")
        page = await browser.press("Go on", scope="all", task="archive")
        assert "Archive 3 products" in page.words, page
        page = await browser.press("Archive 3 products")
        assert "3 of 3 products changed" in page.words, page
        assert (
            "Nothing fits" in (await browser.go(f"/admin/t/products?q={mark}&status=active")).words
        )
        await browser.go(f"/admin/t/products?q={mark}")
        page = await browser.press("Go on", task="publish")
        assert "Tick at least one product." in page.words, page


def _rows(page):
    return next(form.fields["rows"] for form in page.forms if "rows" in form.fields)


async def test_saved_views_survive_another_browser(shop):
    mark = new_key()[:6]
    name = f"Vases/{mark} \\ ..?"
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/t/products?q=vase{mark}&status=draft")
        page = await browser.press("Save", name=name)
        assert "is kept" in page.words, page
    async with await at_work(shop) as browser:
        await browser.go("/admin/t/products")
        page = await browser.follow(name)
        assert f"q=vase{mark}" in page.url
        assert "status=draft" in page.url
        page = await browser.press(f"Forget “{name}”")
        assert name not in page.links


async def test_categories_are_made_moved_translated_and_never_below_themselves(shop):
    mark = new_key()[:6]
    async with await at_work(shop) as browser:
        await browser.go("/admin/t/categories")
        for title in (f"Top {mark}", f"Other {mark}"):
            page = await browser.press("Add", title=title)
            assert "is there." in page.words, page
        where = page.links[f"Top {mark}"]
        page = await browser.press("Add", title=f"Below {mark}", parent_id=where.rpartition("/")[2])
        below = page.links[f"Below {mark}"].rpartition("/")[2]
        page = await browser.go(where)
        assert "cannot be deleted while something is below it" in page.words
        page = await browser.press("Save", parent_id=below)
        assert "cannot be moved into itself" in page.words, page
        page = await browser.press("Save", **{"title.de": f"Oben {mark}", "parent_id": ""})
        assert "Saved." in page.words, page
        assert (await shop.ok("GET", f"/api/v1/categories/top-{mark}?locale=de"))[
            "title"
        ] == f"Oben {mark}"
        form = next(one for one in page.forms if (one.action or "").endswith(f"{where[7:]}/order"))
        await browser.go(form.action, "POST", data={**form.fields, "do": "down"})
        tree = (await shop.ok("GET", "/api/v1/categories"))["items"]
        titles = [one["title"] for one in tree]
        assert titles.index(f"Other {mark}") < titles.index(f"Top {mark}")
        await browser.go(f"/admin/categories/{below}")
        page = await browser.press(f"Delete “Below {mark}”")
        assert "It is gone" in page.words, page


async def test_a_file_is_imported_with_its_errors_and_all_is_exported(shop):
    mark = new_key()[:8]
    rows = ["slug,title,status,sku,price.EUR"]
    rows += [f"imp-{mark}-{n},Import {n},active,IMP-{mark}-{n},{n}.50" for n in range(1, 30)]
    rows += [f"imp-{mark}-x,No price,active,IMP-{mark}-x,cheap"]
    content = "\n".join(rows).encode()
    async with await at_work(shop) as browser:
        await browser.go("/admin/t/imports")
        page = await browser.send_file("Import", "file", ("goods.xls", content))
        assert "ends in .csv or .jsonl" in page.words, page
        page = await browser.send_file("Import", "file", ("goods.csv", content))
        assert "/admin/imports/" in page.url, page

        async def ended():
            return "All 30 rows are done" in (await browser.go(page.url)).words

        assert await eventually(ended, seconds=60)
        seen = browser.page
        assert "1 could not be imported" in seen.words, seen
        assert "price.EUR" in seen.words
        errors = await browser.go(f"{page.url}/errors.csv")
        assert errors.html.splitlines()[0] == "line,subject,column,detail"
        assert "goods.csv" in (await browser.go("/admin/t/imports")).words
        csv = await browser.go("/admin/exports/products.csv")
        assert csv.status == 200
        assert f"IMP-{mark}-7" in csv.html
        assert csv.headers["content-disposition"].startswith("attachment")
        assert (await browser.go("/admin/exports/users.csv")).status == 404


async def test_stock_is_counted_adjusted_and_listed_when_low(shop):
    sku = f"LOW-{new_key()[:10]}"
    async with await at_work(shop) as browser:
        await made(browser, sku)
        await browser.go(f"/admin/stock/{sku}")
        page = await browser.press("Save the count", on_hand="3", threshold="5")
        assert "Counted." in page.words, page
        page = await browser.press("Note it", delta="-1", reason="broken")
        assert "Noted in the journal." in page.words, page
        assert "broken" in page.words, page
        page = await browser.press("Note it", delta="-9", reason="lost")
        assert "notice bad" in page.html, page
        assert 'value="lost"' in page.html, page
        page = await browser.go(f"/admin/t/stock?q={sku}")
        assert f"Vase {sku}" in page.words, page
        assert '<span class="state few">low</span>' in page.html, page
        await browser.go(f"/admin/stock/{sku}")
        await browser.press("Save the count", on_hand="9", threshold="5")
        page = await browser.go(f"/admin/t/stock?q={sku}")
        assert '<span class="state yes">enough</span>' in page.html, page


async def test_shipping_taxes_and_coupons_are_edited_whole(shop):
    mark = new_key()[:8]
    method, code = f"m{mark}", f"SPRING{mark}".upper()
    async with await at_work(shop) as browser:
        await browser.go("/admin/shipping/new")
        filled = {
            "id": method, "title.en": "By bicycle", "title.de": "Mit dem Rad",
            "title.fr": "En vélo", "countries": "de, at",
            "prices": "EUR 4.90, USD 5.50", "free_from": "EUR 60", "days_min": "1", "days_max": "2",
            "weight_steps": "2000: EUR 6.90\n5000 g: EUR 9", "weight_max_g": "8000",
        }  # fmt: skip
        page = await browser.press("Save", **{**filled, "weight_steps": "heavy"})
        assert "Steps of weight" in page.words, page
        assert "By bicycle" in page.html, page
        assert 'name="title.fr" value="En vélo"' in page.html, "what was typed stays"
        page = await browser.press("Save", **filled)
        assert "Saved" in page.words, page
        found = await shop.ok("GET", f"/api/v1/shipping-methods/{method}", token=shop.admin)
        assert found["prices"] == {"EUR": 490, "USD": 550}
        assert found["countries"] == ["DE", "AT"]
        assert found["weight_steps"][1] == {"from_g": 5000, "prices": {"EUR": 900}}
        await browser.go(f"/admin/shipping/{method}")
        page = await browser.press(f"Take {method} out of use")
        assert "is not offered any more" in page.words, page

        await browser.go("/admin/t/taxes")
        page = await browser.press(
            "Save", country="zz", tax_class=f"c{mark}", percent="5,5", valid_from="2030-01-01"
        )
        assert "Saved" in page.words, page
        assert "5.5 %" in page.words, page
        page = await browser.press("Remove 5.5 %")
        assert "It is taken back" in page.words, page

        await browser.go("/admin/coupons/new")
        page = await browser.press("Save", code=code, kind="percent", percent="much")
        assert "Percent: a number" in page.words, page
        page = await browser.press("Save", code=code, percent="10", minimum="EUR 20")
        assert "Saved." in page.words, page
        page = await browser.press("Save", percent="12.5", valid_until="2099-01-31", uses_max="9")
        assert "Saved." in page.words, page
        found = await shop.ok("GET", f"/api/v1/coupons/{code}", token=shop.admin)
        assert (found["basis_points"], found["minimum"]) == (1250, {"EUR": 2000})
        page = await browser.press(f"Take {code} out of use")
        assert "is out of use" in page.words, page


async def test_settings_say_where_they_are_set_and_nothing_secret(shop):
    async with await at_work(shop) as browser:
        page = await browser.go("/admin/t/settings")
        assert "MERKATO_CONFIG" in page.words
        assert "catalog.default_currency" in page.words
        assert shop.engines.secrets.session not in page.html


async def test_a_change_of_somebody_else_is_not_written_over(shop):
    async with await at_work(shop) as browser:
        page = await made(browser, f"OLD-{new_key()[:10]}")
        known = product_in(page)
        where = f"/api/v1/products/{known}"
        seen = await shop("GET", where, token=shop.admin)
        change = {"metadata": {"touched": "yes"}}
        tag = {"if-match": seen.headers["etag"]}
        await shop.ok("PATCH", where, change, token=shop.admin, headers=tag)
        page = await browser.press("Save", **{"title.en": "Mine"})
        assert "Somebody changed this meanwhile" in page.words, page
        assert 'value="Mine"' in page.html, "what was typed stays"


async def test_whoever_keeps_the_catalogue_can_and_others_are_told_why_not(shop):
    assert "inventory:write" not in CATALOGUE
    email, _ = await shop.member("keeper")
    [user] = (await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin))["items"]
    where = f"/api/v1/users/{user['id']}"
    seen = await shop("GET", where, token=shop.admin)
    tag = {"if-match": seen.headers["etag"]}
    role = {"role": "catalogue-manager"}
    await shop.ok("PATCH", where, role, token=shop.admin, headers=tag)
    async with Browser(shop.base_url) as browser:
        await browser.go("/admin/login")
        await browser.press("Log in", email=email, password=PASSWORD)
        for path in ("/admin/t/products", "/admin/t/categories", "/admin/t/imports"):
            assert (await browser.go(path)).status == 200, path
        page = await browser.go("/admin/t/settings")
        assert page.status == 403
        assert "Your role may not do this" in page.words
        assert "To the dashboard" in page.links, "there is a way onward"
