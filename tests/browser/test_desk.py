"""Staff work in a real browser: orders, letters, a second factor; by keyboard, on a phone."""

import re
import time
from base64 import b32decode

import pytest
from e2e.test_admin import bought
from e2e.test_admin_orders import hired, planted, settled
from shopping import PASSWORD, new_key

from merkato.users.domain.totp import STEP_S, code_at

expect = pytest.importorskip("playwright.async_api", reason="no playwright here").expect

pytestmark = pytest.mark.timeout(180)

DESK, LAPTOP = {"width": 1440, "height": 900}, {"width": 1280, "height": 860}
WIDTH = "document.documentElement.scrollWidth - innerWidth"
BROKEN_TIMES = """[...document.querySelectorAll("main time")]
    .filter(one => one.getClientRects().length > 1).map(one => one.textContent)"""


async def log_in(page, email="admin@example.org", code=""):
    await page.goto("/admin/login")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    if code:
        await page.get_by_label("Code of your app").fill(code)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Today").wait_for()


async def said(page, words):
    await page.locator(".notice", has_text=words).wait_for()


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "none"])
async def test_staff_ship_take_back_and_refund(shop, visitor, javascript):
    order_id = await bought(shop, await shop.sell(price=1_000, stock=10))
    async with visitor(viewport=DESK, java_script_enabled=javascript) as page:
        await log_in(page)
        await page.get_by_role("link", name=re.compile("To be shipped")).click()
        await page.wait_for_url("**/admin/t/orders?**")
        await page.get_by_role("heading", name="Orders").wait_for()
        await page.locator(f'a[href="/admin/orders/{order_id}"]').click()
        await page.get_by_label("Carrier").fill("Swift")
        await page.get_by_label("Tracking number").fill("XY-1")
        await page.get_by_role("button", name="Ship", exact=True).click()
        await said(page, "Shipped; the customer is told.")
        await page.get_by_role("button", name="It was delivered").click()
        await said(page, "Delivered.")
        await page.locator("summary", has_text="Take something back").click()
        await page.locator("#back-1").fill("1")
        await page.get_by_role("button", name="It is here: show the sums").click()
        await page.get_by_role("heading", name="Take back").wait_for()
        await expect(page.locator(".grand")).to_contain_text("€10.00")
        await page.get_by_role("button", name="Take back").click()
        await said(page, "Taken back")
        await page.locator("summary", has_text="Goodwill credit").click()
        await page.get_by_label("Amount in EUR").fill("999")
        await page.get_by_role("button", name="Show the sums").last.click()
        await said(page, "That is more than is left of it.")
        await page.locator("summary", has_text="Goodwill credit").click()
        await page.get_by_label("Amount in EUR").fill("3.50")
        await page.get_by_role("button", name="Show the sums").last.click()
        await page.get_by_role("button", name="Credit and send back").click()
        await said(page, "Credited; the money goes back.")
    credits = (await shop.order(order_id))["credits"]
    assert [(one["kind"], one["amount_minor"]) for one in credits] == [
        ("return", 1_000), ("goodwill", 350),
    ]  # fmt: skip


async def test_what_can_be_shipped_is_found_in_both_states_and_kept_as_a_view(shop, visitor):
    name = f"Parcels {new_key()[:6]}"
    untouched = await bought(shop, await shop.sell(stock=10))
    begun = await bought(shop, await shop.sell(stock=10))
    some = {"lines": [{"line_no": 1, "quantity": 1}]}
    await shop.ok("POST", f"/api/v1/orders/{begun}/shipments", some, token=shop.admin,
                  key=new_key())  # fmt: skip
    async with visitor(viewport=DESK) as page:

        async def both():
            for order_id in (untouched, begun):
                await page.locator(f'a[href="/admin/orders/{order_id}"]').wait_for()
            await expect(page.locator(".many summary")).to_have_text("unfulfilled or partial")
            to_ship = page.get_by_role("link", name="To ship")
            await expect(to_ship).to_have_attribute("aria-current", "page")

        await log_in(page)
        await page.goto("/admin/t/orders")
        await page.get_by_role("link", name="To ship").click()
        await page.wait_for_url("**fulfilment_status=**")
        await both()
        await page.get_by_text("Save this filter").click()
        await page.get_by_label("Name").fill(name)
        await page.get_by_role("button", name="Save").click()
        await said(page, "is kept")
        await page.locator(".many summary").click()
        await page.get_by_label("unfulfilled").uncheck()
        await page.get_by_role("button", name="Filter", exact=True).click()
        await expect(page.locator(".many summary")).to_have_text("partial")
        await expect(page.locator(f'a[href="/admin/orders/{untouched}"]')).to_have_count(0)
    async with visitor(viewport=DESK) as page:
        await log_in(page)
        await page.goto("/admin/t/orders")
        await page.get_by_role("link", name=name).click()
        await page.wait_for_url("**fulfilment_status=**")
        await both()
        await page.get_by_role("button", name=f"Forget “{name}”").click()
        await said(page, "The view is forgotten.")
        await expect(page.get_by_role("link", name=name)).to_have_count(0)


async def test_the_dashboard_draws_itself_anew_but_not_under_somebodys_eyes(visitor):
    async with visitor(viewport=DESK) as page:
        await page.clock.install()
        await log_in(page)
        await page.mouse.move(0, 0)
        at = page.locator("#now > .head time")
        first = await at.get_attribute("datetime")
        await page.clock.run_for(16_000)
        await expect(at).not_to_have_attribute("datetime", first)
        table = page.locator("#behind-latency")
        await table.locator("summary").click()
        second = await at.get_attribute("datetime")
        await page.clock.run_for(16_000)
        await page.wait_for_load_state("networkidle")
        await expect(at).to_have_attribute("datetime", second)
        await page.mouse.move(0, 0)
        await page.clock.run_for(16_000)
        await expect(at).not_to_have_attribute("datetime", second)
        await expect(table).to_have_attribute("open", "")


async def test_a_dead_letter_is_looked_into_and_retried(shop, visitor):
    letter = await planted(shop)
    async with visitor(viewport=DESK) as page:
        await log_in(page)
        await page.get_by_role("link", name=re.compile(r"\d+\+? Dead letters")).click()
        await page.wait_for_url("**/admin/t/dead-letters")
        await page.locator(f'a[href$="{letter.partition(":")[2]}"]').click()
        await page.get_by_label("Data of the event").wait_for()
        await page.get_by_role("button", name="Try it again").click()
        await said(page, "It is tried again.")
    assert await settled(shop, letter) == "done"


async def test_a_second_factor_is_switched_on_and_asked_for(shop, visitor):
    email = await hired(shop)
    async with visitor(viewport=DESK) as page:
        await log_in(page, email)
        await page.goto("/admin/me")
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.get_by_role("button", name="Set it up").click()
        await page.locator("svg.qr").wait_for()
        secret = await page.locator("code.wrap").inner_text()
        seed = b32decode(secret + "=" * (-len(secret) % 8))
        step = int(time.time()) // STEP_S
        await page.get_by_label("Code of your app").fill(code_at(seed, step))
        await page.get_by_role("button", name="Switch it on").click()
        await page.get_by_role("heading", name="Recovery codes").wait_for()
    async with visitor(viewport=DESK) as page:
        await page.goto("/admin/login")
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("alert").wait_for()
        await log_in(page, email, code_at(seed, step + 1))


async def test_events_appear_as_they_happen(shop, visitor):
    async with visitor(viewport=DESK) as page:
        await log_in(page)
        await page.goto("/admin/t/live")
        await page.get_by_text("Listening.").wait_for()
        order_id = await bought(shop, await shop.sell())
        rows = page.locator("tr.new", has_text=order_id)  # newer ones are put above
        row = rows.filter(has=page.get_by_text("orders.order_placed.v1", exact=True))
        await row.wait_for(timeout=15_000)
        await row.locator("summary").click()
        await row.locator("pre", has_text="order_id").wait_for()


async def test_a_text_is_looked_at_before_it_is_saved(visitor):
    async with visitor(viewport=DESK) as page:
        await log_in(page)
        await page.goto("/admin/texts/order_confirmed/en")
        frame = page.frame_locator("iframe.mail")
        await frame.get_by_text("Ada").first.wait_for()
        await page.get_by_label("Mail as HTML").fill("<p>Ahoy {{ name }}</p>")
        await page.get_by_role("button", name="Look at it").click()
        await frame.get_by_text("Ahoy Ada").wait_for()


async def test_the_main_jobs_by_keyboard(shop, visitor):
    order_id = await bought(shop, await shop.sell(stock=5), 1)
    number = (await shop.order(order_id))["number"]
    async with visitor(viewport=DESK) as page:

        async def press_on(name):
            """Go to something by Tab and press Enter, as somebody without a mouse does."""
            for _ in range(150):
                await page.keyboard.press("Tab")
                found = "(document.activeElement.innerText || '').trim()"
                if re.fullmatch(name, await page.evaluate(found)):
                    return await page.keyboard.press("Enter")
            raise AssertionError(f"{name} cannot be reached by Tab")

        await page.goto("/admin/login")
        await page.get_by_label("E-mail").focus()
        for text in ("admin@example.org", PASSWORD):
            await page.keyboard.type(text)
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Today").wait_for()
        await page.keyboard.press("?")
        await page.get_by_role("dialog").wait_for()
        await page.keyboard.press("Escape")
        await page.keyboard.press("g")
        await page.keyboard.press("o")
        await page.wait_for_url("**/admin/t/orders")
        await page.keyboard.press("/")
        await page.keyboard.type(number)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**q=**")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await press_on(re.escape(number))  # its last sign may be a $
        await page.wait_for_url(f"**/{order_id}")
        await press_on("Ship")
        await said(page, "Shipped; the customer is told.")
        await press_on("Take something back")
        await press_on("It is here: show the sums")
        await page.get_by_role("heading", name="Take back").wait_for()
        await press_on("Take back")
        await said(page, "Taken back")
    assert (await shop.order(order_id))["fulfilment_status"] == "returned"


async def test_the_data_of_an_event_are_read_at_a_desk(shop, visitor):
    await bought(shop, await shop.sell())
    async with visitor(viewport=LAPTOP) as page:
        await log_in(page)
        for path in ("/admin/t/events", "/admin/t/live"):
            await page.goto(path)
            await page.locator("summary", has_text="{").first.click()
            shown = await page.locator(".events pre:visible").first.bounding_box()
            assert shown["width"] > 440, path


async def test_the_desk_on_a_phone(shop, visitor):
    order_id = await bought(shop, await shop.sell(title="A lamp of quite a long name"))
    letter = await planted(shop)
    async with visitor() as page:
        await log_in(page)
        for path in ("/admin", "/admin/t/orders", f"/admin/orders/{order_id}", "/admin/t/staff",
                     "/admin/roles/staff", "/admin/me", "/admin/t/api-keys", "/admin/t/reports",
                     "/admin/texts/order_placed/en", "/admin/t/live", "/admin/t/audit-trail",
                     "/admin/t/dead-letters", f"/admin/dead-letters/{letter}", "/admin/t/webhooks",
                     "/admin/t/topics"):  # fmt: skip
            await page.goto(path)
            assert await page.evaluate(WIDTH) <= 0, f"{path} is too wide"
            assert await page.evaluate(BROKEN_TIMES) == [], f"{path} breaks a time"
        await page.set_viewport_size({"width": 1024, "height": 800})
        for path in ("/admin/t/payments", "/admin/t/refunds", "/admin/t/ledger"):
            await page.goto(path)
            assert await page.evaluate(WIDTH) <= 0, f"{path} is too wide"
        await page.goto(f"/admin/orders/{order_id}")
        await page.get_by_role("button", name="Ship", exact=True).click()
        await said(page, "Shipped; the customer is told.")
        await page.goto(f"/admin/dead-letters/{letter}")
        await page.get_by_text("Give it up", exact=True).first.click()
        await page.get_by_role("button", name="Give it up").click()
        await said(page, "It is given up.")


async def test_what_was_typed_by_others_stays_text(shop, visitor):
    nasty = f"<img src=x onerror=alert(1)>{new_key()[:6]}"
    sku = await shop.sell(title=nasty)
    order_id = await bought(shop, sku)
    async with visitor(viewport=DESK) as page:
        await log_in(page)
        for path in (f"/admin/orders/{order_id}", "/admin/t/live", "/admin/t/reports?by=product"):
            await page.goto(path)
            await page.get_by_text(nasty[:20]).first.wait_for(state="attached")
            assert await page.locator("img[src=x]").count() == 0
