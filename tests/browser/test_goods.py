"""Staff look after goods in a real browser: files, prices, pictures, by keyboard and on a phone."""

import re
from io import BytesIO

import pytest
from PIL import Image
from shopping import PASSWORD, new_key

expect = pytest.importorskip("playwright.async_api", reason="no playwright here").expect

pytestmark = pytest.mark.timeout(180)

DESK = {"width": 1440, "height": 900}
PAGES = (
    "/admin/t/products", "/admin/products/new", "/admin/t/categories", "/admin/t/imports",
    "/admin/t/stock", "/admin/t/price-lists", "/admin/price-lists/standard", "/admin/t/shipping",
    "/admin/shipping/standard", "/admin/t/taxes", "/admin/coupons/new", "/admin/t/settings",
)  # fmt: skip


async def at_work(page):
    await page.goto("/admin/login")
    await page.get_by_label("E-mail").fill("admin@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Today").wait_for()


async def test_a_thousand_products_are_imported_and_bad_rows_are_named(visitor):
    mark = new_key()[:8]
    rows = ["slug,title,status,sku,price.EUR"]
    for n in range(1_000):
        price = "cheap" if n % 100 == 7 else f"{n % 90 + 1}.50"
        rows.append(f"k-{mark}-{n},Thing {mark} {n},active,K-{mark}-{n},{price}")
    file = {"name": "goods.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
    async with visitor(viewport=DESK) as page:
        await at_work(page)
        await page.goto("/admin/t/imports")
        await page.get_by_label("CSV or JSON Lines").set_input_files(file)
        await page.get_by_role("button", name="Import", exact=True).click()
        await page.get_by_role("progressbar").wait_for()
        said = "All 1,000 rows are done; 10 could not be imported."
        await page.get_by_text(said).wait_for(timeout=60_000)
        await expect(page.locator("#outcome tbody tr")).to_have_count(10)
        await page.get_by_role("cell", name=f"K-{mark}-7", exact=True).wait_for()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="All of it as CSV").click()
        assert (await download.value).suggested_filename.endswith("errors.csv")
        await page.goto(f"/admin/t/products?q={mark}")
        await page.get_by_label("Tick all on this page").check()
        await expect(page.locator("tbody input:checked")).to_have_count(50)
        await page.get_by_label("With").select_option("all")
        await page.get_by_label("do", exact=True).select_option("archive")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("button", name="Archive 990 products").click()
        await page.get_by_text("990 of 990 products changed").wait_for(timeout=30_000)


async def test_an_import_is_stopped_while_its_progress_is_drawn(visitor):
    mark = new_key()[:8]
    rows = [f"s-{mark}-{n},Thing {mark} {n},active,S-{mark}-{n},1.50" for n in range(20_000)]
    text = "\n".join(["slug,title,status,sku,price.EUR", *rows])
    file = {"name": "many.csv", "mimeType": "text/csv", "buffer": text.encode()}
    async with visitor(viewport=DESK) as page:
        await at_work(page)
        await page.goto("/admin/t/imports")
        await page.get_by_label("CSV or JSON Lines").set_input_files(file)
        await page.get_by_role("button", name="Import", exact=True).click()
        await page.get_by_text("Stop", exact=True).click()
        for _ in range(2):
            drawn = await page.locator("#job").element_handle()
            await drawn.wait_for_element_state("hidden")
        await page.get_by_role("button", name="Stop the import").click()
        await page.get_by_text("Stopped after").wait_for()
        await expect(page.get_by_text("Stop", exact=True)).to_be_hidden()


async def test_prices_are_changed_after_the_result_was_seen(shop, visitor):
    mark = f"Price{new_key()[:8]}"
    await shop.sell(price=1_000, title=mark)
    async with visitor(viewport=DESK) as page:
        await at_work(page)
        await page.goto(f"/admin/t/products?q={mark}")
        await page.get_by_label(re.compile(f"Tick {mark}")).check()
        await page.get_by_label("do", exact=True).select_option("prices")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_label("How much").fill("-2.50")
        await page.get_by_label("By", exact=True).select_option("sum")
        await page.get_by_role("button", name="Show the result").click()
        await page.get_by_role("cell", name="€7.50").wait_for()
        await page.get_by_role("button", name="Change 1 price").click()
        await page.get_by_text("1 price changed").wait_for()
        await page.get_by_role("cell", name="€7.50").wait_for()


async def test_a_picture_is_uploaded(shop, visitor):
    file = BytesIO()
    Image.new("RGB", (900, 600), "teal").save(file, "JPEG")
    picture = {"name": "teal.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    mark = f"Teal{new_key()[:8]}"
    await shop.sell(title=mark)
    async with visitor() as page:
        await at_work(page)
        await page.goto(f"/admin/t/products?q={mark}")
        await page.get_by_role("link", name=re.compile(mark)).click()
        await page.get_by_label("Add a picture").set_input_files(picture)
        await page.get_by_label("What it shows, for those who cannot see it").fill("All teal")
        await page.get_by_role("button", name="Upload").click()
        await page.get_by_text("The picture is there.").wait_for(timeout=20_000)
        await page.get_by_role("img", name="All teal").wait_for()
        await expect(page.locator(".pictures img")).not_to_have_js_property("naturalWidth", 0)


async def test_categories_by_keyboard(visitor):
    first, second = f"Aa {new_key()[:6]}", f"Bb {new_key()[:6]}"
    async with visitor(viewport=DESK) as page:

        async def tab_to(found):
            """Go to something by Tab alone; `found` is true of what has the focus then."""
            for _ in range(200):
                await page.keyboard.press("Tab")
                if await page.evaluate(f"(it => {found})(document.activeElement)"):
                    return
            raise AssertionError(f"{found} cannot be reached by Tab")

        await at_work(page)
        await page.goto("/admin/t/categories")
        for title in (first, second):
            await tab_to("it.name == 'title'")
            await page.keyboard.type(title)
            await page.keyboard.press("Enter")
            await page.get_by_role("link", name=title).wait_for()
        await tab_to(f"it.ariaLabel == 'Move {second} up'")
        await page.keyboard.press("Enter")
        await page.get_by_text("Moved.").wait_for()
        links = await page.locator(".tree a").all_inner_texts()
        assert links.index(second) == links.index(first) - 1
        await tab_to(f"it.innerText == '{first}'")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name=first).wait_for()
        await tab_to("it.innerText == 'Delete the category'")
        await page.keyboard.press("Enter")
        await tab_to(f"it.innerText == 'Delete “{first}”'")
        await page.keyboard.press("Enter")
        await page.get_by_text("It is gone").wait_for()
        await page.goto("/admin/t/products")
        await page.keyboard.press("/")
        await expect(page.locator("[name=q]")).to_be_focused()


async def test_no_page_of_goods_is_wider_than_a_phone(visitor):
    async with visitor() as page:
        await at_work(page)
        await page.goto("/admin/t/products")
        product = await page.locator(".cards td.main a").first.get_attribute("href")
        await page.goto(product)
        variant = await page.locator("#variants .list a").first.get_attribute("href")
        await page.goto("/admin/t/categories")
        category = await page.locator(".tree a").first.get_attribute("href")
        for path in (*PAGES, product, variant, category):
            await page.goto(path)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide"
