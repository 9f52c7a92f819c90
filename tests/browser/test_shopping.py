"""People buy in a real browser: on a phone, with and without JavaScript, and by keyboard."""

import re

import pytest
from shopping import PASSWORD

pytestmark = pytest.mark.timeout(180)

FILLED = {"email": "ada@example.org", "name": "Ada Lund", "line1": "1 Harbour Row",
          "postal_code": "28195", "city": "Bremen"}  # fmt: skip
GOODS = "/p/pepper-mill-turm"


async def to_checkout(page, goods=GOODS):
    await page.goto(goods)
    await page.get_by_role("button", name="Put into cart").click()
    await page.wait_for_url("**/cart")
    await page.get_by_role("link", name="To the checkout").click()
    await page.wait_for_url("**/checkout")


async def fill(page, payment="On account", **more):
    for name, value in (FILLED | more).items():
        await page.locator(f"#{name}").fill(value)
    await page.locator("#country").select_option("DE")
    await page.get_by_role("radio", name=payment).check()
    await page.get_by_role("button", name="Update the total").click()


async def buy(page):
    await page.get_by_role("button", name=re.compile("Buy now for")).click()
    await page.wait_for_url("**/orders/**")


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "none"])
async def test_a_guest_buys(visitor, javascript):
    async with visitor(java_script_enabled=javascript) as page:
        await page.goto("/")
        await page.get_by_role("link", name="Kitchen").first.click()
        await page.wait_for_url("**/c/kitchen")
        await page.get_by_role("link", name=re.compile("Salad bowl")).first.click()
        await page.wait_for_url("**/p/**")
        await to_checkout(page, page.url)
        await fill(page)
        await buy(page)
        await page.get_by_text("Order confirmed").wait_for(timeout=30_000)


async def test_a_member_buys_from_the_address_book(shop, visitor):
    email, _ = await shop.member()
    async with visitor() as page:
        await page.goto("/login")
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url("**/account")
        await page.goto("/account/addresses")
        for name in ("name", "line1", "postal_code", "city"):
            await page.locator(f"#{name}").fill(FILLED[name])
        await page.get_by_role("button", name="Save").click()
        await page.get_by_text("1 Harbour Row").wait_for()
        await to_checkout(page)
        assert await page.locator("#line1").input_value() == "1 Harbour Row"
        assert await page.locator("#email").input_value() == email
        await page.get_by_role("radio", name="On account").check()
        await page.get_by_role("button", name="Update the total").click()
        await buy(page)
        await page.goto("/account/orders")
        await page.get_by_role("row").nth(1).wait_for()


async def test_a_declined_card_then_another(visitor):
    async with visitor() as page:
        await to_checkout(page)
        await fill(page, "A card that is declined")
        await buy(page)
        await page.get_by_text("The payment was declined.").wait_for(timeout=30_000)
        await page.get_by_role("radio", name="A card that works").check()
        await page.get_by_role("button", name="Pay now").click()
        await page.get_by_text("Order confirmed").wait_for(timeout=30_000)


async def test_the_bank_asks_back(visitor):
    async with visitor() as page:
        await to_checkout(page)
        await fill(page, "A card whose bank asks back")
        await buy(page)
        await page.get_by_role("link", name="Confirm at my bank").click(timeout=30_000)
        await page.get_by_role("button", name="Yes, pay").click()
        await page.wait_for_url("**/orders/**")
        await page.get_by_text("Order confirmed").wait_for(timeout=30_000)


async def test_the_back_button_leads_back(visitor):
    async with visitor() as page:
        await page.goto("/c/kitchen")
        await page.get_by_role("link", name=re.compile("Salad bowl")).first.click()
        await page.wait_for_url("**/p/**")
        await page.get_by_role("button", name="Put into cart").click()
        await page.wait_for_url("**/cart")
        await page.go_back()
        await page.get_by_role("button", name="Put into cart").wait_for()
        await page.go_back()
        await page.get_by_role("heading", name="Kitchen", level=1).wait_for()


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
async def test_no_page_is_wider_than_a_phone(visitor, language):
    async with visitor(locale=language) as page:
        for path in ("/", "/c/kitchen", "/search?q=cafe", GOODS, "/cart", "/login"):
            await page.goto(path)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide"
        if language == "en-GB":
            await to_checkout(page)
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


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
        await press_on("Put into cart")
        await page.wait_for_url("**/cart")
        await press_on("To the checkout")
        await page.wait_for_url("**/checkout")
        await page.locator("#email").focus()
        for text in (FILLED["email"], "Ada", "", "1 Row", "", "28195", "Bremen", "Germany", "", " ",
                     " "):  # fmt: skip
            await page.keyboard.type(text)
            await page.keyboard.press("Tab")
        await press_on("Update the total")
        await page.get_by_role("button", name=re.compile("Buy now")).wait_for()
        await press_on("Buy now for .*")
        await page.wait_for_url("**/orders/**")
