"""People buy in a real browser: on a phone, with and without JavaScript, and by keyboard."""

import asyncio
import re
import tempfile
from pathlib import Path

import pytest
import shopping
from browser.walks import (
    FILLED,
    GOODS,
    PATIENCE_MS,
    PHONE,
    buy,
    fill,
    is_confirmed,
    log_in,
    mailed,
    press_buy,
    sell,
    to_checkout,
)  # fmt: skip
from harness import eventually
from shopping import new_key, removed

pytestmark = pytest.mark.timeout(180)
SCRIPTS = pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "none"])


@SCRIPTS
async def test_a_guest_buys(visitor, javascript):
    async with visitor(java_script_enabled=javascript) as page:
        await page.goto("/")
        await page.get_by_role("link", name="Kitchen").first.click()
        await page.wait_for_url("**/c/kitchen")
        await page.get_by_role("link", name=re.compile("Salad bowl")).first.click()
        await page.wait_for_url("**/p/**")
        await buy(page, goods=page.url)
        await is_confirmed(page)


async def test_a_member_buys_from_the_address_book(shop, visitor):
    email, _ = await shop.member()
    async with visitor() as page:
        await log_in(page, email)
        await page.goto("/account/addresses")
        for name in ("name", "line1", "postal_code", "city"):
            await page.locator(f"#{name}").fill(FILLED[name])
        await page.get_by_role("button", name="Save").click()
        await page.get_by_text("1 Harbour Row").wait_for()
        await to_checkout(page)
        assert await page.locator("#line1").input_value() == "1 Harbour Row"
        assert await page.locator("#email").input_value() == email
        await page.get_by_role("radio", name="On account").check()
        await page.get_by_role("button", name="Show the total").click()
        await press_buy(page)
        await page.goto("/account/orders")
        await page.locator(".orders a").first.wait_for()


@SCRIPTS
async def test_a_declined_card_then_another(visitor, javascript):
    async with visitor(java_script_enabled=javascript) as page:
        await buy(page, "A card that is declined")
        await page.get_by_text("The payment was declined.").wait_for(timeout=PATIENCE_MS)
        await page.get_by_role("radio", name="A card that works").check()
        await page.get_by_role("button", name="Pay now").click()
        await is_confirmed(page)


@SCRIPTS
async def test_the_bank_asks_back(visitor, javascript):
    async with visitor(java_script_enabled=javascript) as page:
        await buy(page, "A card whose bank asks back")
        await page.get_by_role("link", name="Confirm at my bank").click(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Yes, pay").click()
        await page.wait_for_url("**/orders/**")
        await is_confirmed(page)


@SCRIPTS
async def test_who_closes_the_banks_page_comes_back_by_mail(shop, visitor, javascript):
    email = f"closed-{new_key()[:12]}@example.org"
    async with visitor(java_script_enabled=javascript) as page:
        await buy(page, "A card whose bank asks back", email=email)
        await page.get_by_role("link", name="Confirm at my bank").click(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Yes, pay").wait_for()

    link = await mailed(shop, email, r"Confirm the payment: (\S+)")
    async with visitor(java_script_enabled=javascript) as page:  # of somebody without the cookie
        await page.goto(link)
        await page.get_by_role("link", name="Confirm at my bank").click(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Yes, pay").click()
        await page.wait_for_url("**/orders/**")
        await is_confirmed(page)


@SCRIPTS
async def test_sold_out_while_paying(shop, visitor, javascript):
    gone, gone_path = await sell(shop, title="Last kettle", stock=1)
    _, other_path = await sell(shop, title="Lasting lamp")
    async with visitor(java_script_enabled=javascript) as page:
        await to_checkout(page, other_path)
        await to_checkout(page, gone_path)
        await fill(page)
        await shop.restock(gone, 0)
        await page.get_by_role("button", name="Buy now for").click()
        await page.wait_for_url("**/cart")
        await page.get_by_text("Sold out while you were shopping: Last kettle").wait_for()
        await page.get_by_text("Remove what is marked to go on").wait_for()
        await page.get_by_role("button", name="Remove Last kettle").click()
        await page.get_by_text("Your cart is up to date.").wait_for()
        assert await page.get_by_text("Last kettle").count() == 0
        await page.get_by_role("link", name="To the checkout").click()
        await page.wait_for_url("**/checkout")
        assert await page.locator("#city").input_value() == "Bremen"
        await page.get_by_role("radio", name="On account").check()
        await press_buy(page)
        await is_confirmed(page)


@SCRIPTS
async def test_the_price_changed_while_paying(shop, visitor, javascript):
    sku, path = await sell(shop, title="Kettle", price=1_000)
    async with visitor(java_script_enabled=javascript) as page:
        await to_checkout(page, path)
        await fill(page)
        found = await shop("GET", "/api/v1/products/" + path.removeprefix("/p/"))
        body = {"prices": [{"currency": "EUR", "amount_minor": 1_500}]}
        seen = {"if-match": found.headers["etag"]}
        await shop.ok("PUT", f"/api/v1/variants/{sku}/prices", body, token=shop.admin, headers=seen)

        other = await shop.ok("POST", "/api/v1/carts", {"currency": "EUR"})
        body = {"sku": sku, "quantity": 1}

        async def charged():  # orders hears of it a moment later
            path = f"/api/v1/carts/{other['id']}/lines"
            cart = await shop.ok("POST", path, body, cart=other["token"])
            return cart["lines"][0]["unit_price_minor"] == 1_500

        await eventually(charged, pause=0.3)
        await page.get_by_role("button", name="Buy now for €14.90").click()
        await page.get_by_text(re.compile("now costs €15.00 instead of €10.00")).wait_for()
        await page.get_by_text(re.compile("changed from €14.90 to €19.90")).wait_for()
        assert await page.get_by_role("radio", name="On account").is_checked()
        await page.get_by_role("button", name="Buy now for €19.90").click()
        await page.wait_for_url("**/orders/**")
        await is_confirmed(page)


async def test_two_tabs_do_not_log_each_other_out(visitor):
    """One renewal at a time, and an old cookie that comes back late is no theft."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-tabs-"))
    async with shopping.open_shop(folder, users={"access_token_s": 62}) as shop:  # 60 are too few
        email, _ = await shop.member()
        async with visitor(base_url=shop.base_url) as page:
            await log_in(page, email)
            other = await page.context.new_page()
            old = await page.context.cookies()
            for _ in range(4):
                await asyncio.sleep(2.1)
                paths = ("/account/profile", "/account/addresses")
                await asyncio.gather(page.goto(paths[0]), other.goto(paths[1]))
                for tab in (page, other):
                    await tab.get_by_role("heading", name="Your account").wait_for()
            assert await page.context.cookies() != old
            await page.context.add_cookies(old)
            await page.goto("/account/profile")
            await page.get_by_role("heading", name="Your account").wait_for()
            spent = await shop.sql("users", "select count(*) from refresh_tokens")
            assert spent[0]["count"] > 2
    removed(folder)


async def test_what_the_policy_stops_is_seen(visitor):
    async def with_something_inline():
        async with visitor() as page:
            await page.goto("/")
            await page.evaluate("document.body.setAttribute('style', 'color: red')")

    with pytest.raises(AssertionError, match="Content Security Policy"):
        await with_something_inline()


async def test_the_total_follows_what_is_chosen(visitor):
    async with visitor() as page:
        await to_checkout(page)
        await fill(page)
        button = page.get_by_role("button", name="Buy now for €43.90")
        await button.wait_for()
        middle = "one => { const box = one.getBoundingClientRect(); return box.y + box.height / 2 }"
        assert 0 < await button.evaluate(middle) < PHONE["height"]  # nobody has to look for it
        await page.get_by_role("radio", name="Express").check()
        await page.get_by_role("button", name="Buy now for €51.90").wait_for()
        assert await page.get_by_role("radio", name="On account").is_checked()
        await page.goto("/cart")
        await page.get_by_label("Quantity: Pepper mill Turm").fill("2")
        await page.keyboard.press("Tab")
        await page.get_by_text("Your cart is up to date.").wait_for()
        await page.get_by_text("€78.00").first.wait_for()


async def test_a_filter_narrows_the_list_and_back_widens_it(visitor):
    async with visitor() as page:
        await page.goto("/c/kitchen")
        everything = await page.locator(".card").count()
        await page.get_by_text("Filter", exact=True).click()
        await page.get_by_label(re.compile("stoneware")).check()
        await page.wait_for_url("**/c/kitchen?*stoneware*")
        await page.get_by_role("link", name=re.compile("Material: stoneware")).wait_for()
        narrowed = await page.locator(".card").count()
        assert 0 < narrowed < everything
        await page.go_back()
        await page.wait_for_url("**/c/kitchen")
        await page.get_by_role("link", name=re.compile("Material: stoneware")).wait_for(
            state="hidden"
        )
        assert await page.locator(".card").count() == everything


async def test_the_next_page_and_back(visitor):
    async with visitor() as page:
        await page.goto("/search?sort=title")
        first = await page.locator(".card .name").first.inner_text()
        await page.get_by_role("link", name="Next page").click()
        await page.wait_for_url("**cursor=*")
        await page.get_by_role("link", name="Back to the first page").wait_for()
        assert await page.locator(".card .name").first.inner_text() != first
        await page.go_back()
        await page.wait_for_url("**/search?sort=title")
        await page.get_by_role("link", name="Back to the first page").wait_for(state="hidden")
        assert await page.locator(".card .name").first.inner_text() == first


async def test_a_picture_fills_the_screen_and_escape_closes_it(visitor):
    async with visitor() as page:
        await page.goto(GOODS)
        await page.get_by_role("link", name=re.compile("full size")).click()
        await page.locator(".zoom img").wait_for()
        await page.keyboard.press("Escape")
        await page.locator(".zoom img").wait_for(state="hidden")


async def test_the_back_button_leads_back(visitor):
    async with visitor() as page:
        await page.goto("/c/kitchen")
        await page.get_by_role("link", name=re.compile("Salad bowl")).first.click()
        await page.wait_for_url("**/p/**")
        await page.get_by_role("button", name="Add to cart").click()
        await page.wait_for_url("**/cart")
        await page.go_back()
        await page.get_by_role("button", name="Add to cart").wait_for()
        await page.go_back()
        await page.get_by_role("heading", name="Kitchen", level=1).wait_for()


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
async def test_no_page_is_wider_than_a_phone(visitor, language):
    async with visitor(locale=language) as page:
        for path in ("/", "/c/kitchen", "/search?q=cafe", GOODS, "/cart", "/login"):
            await page.goto(path)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide"


async def test_the_whole_purchase_by_keyboard(visitor):
    async with visitor() as page:

        async def press_on(name):
            """Go to something by Tab, as somebody without a mouse does, and press Enter."""
            for _ in range(120):
                await page.keyboard.press("Tab")
                found = "(document.activeElement.innerText || '').trim()"
                if re.fullmatch(name, await page.evaluate(found)):
                    return await page.keyboard.press("Enter")
            raise AssertionError(f"{name} cannot be reached by Tab")

        await page.goto(GOODS)
        await press_on("Add to cart")
        await page.wait_for_url("**/cart")
        await press_on("To the checkout")
        await page.wait_for_url("**/checkout")
        await page.locator("#email").focus()
        for text in (FILLED["email"], "Ada", "", "1 Row", "", "28195", "Bremen", "Germany", "", " ",
                     " "):  # fmt: skip
            await page.keyboard.type(text)
            await page.keyboard.press("Tab")
        await press_on("Show the total")
        await page.get_by_text("The total is").wait_for()
        await press_on("Buy now for .*")
        await page.wait_for_url("**/orders/**")


async def test_the_button_in_focus_stays_so_when_the_total_is_drawn_anew(visitor):
    held = asyncio.Event()

    async def hold(route):
        await held.wait()
        await route.continue_()

    async with visitor() as page:
        await to_checkout(page)
        await page.route("**/checkout", hold)
        async with page.expect_request("**/checkout"):
            await page.get_by_role("radio", name="Express").check()
        await page.get_by_role("button", name="Show the total").focus()
        old = await page.locator("#review").element_handle()
        async with page.expect_response("**/checkout"):
            held.set()
        await old.wait_for_element_state("hidden")
        await page.locator("button:focus", has_text="Show the total").wait_for()
