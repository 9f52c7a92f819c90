"""What customers do besides buying, in a real browser: passwords, messages, returns, their data."""

import json
import re

import pytest
from browser.walks import PATIENCE_MS, buy, is_confirmed, log_in, mailed, sell
from shopping import PASSWORD, new_key

pytestmark = pytest.mark.timeout(180)


async def test_a_forgotten_password_is_set_anew_by_a_mailed_link(shop, visitor):
    email, _ = await shop.member()
    async with visitor() as page:
        await page.goto("/login")
        await page.get_by_role("link", name="Forgot your password?").click()
        await page.wait_for_url("**/forgot-password")
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_role("button", name="Send the link").click()
        await page.get_by_text("If there is an account, a mail is on its way.").wait_for()
        await page.goto(await mailed(shop, email, r"(\S+/reset-password\S+)"))
        await page.get_by_label("New password").fill("five quiet otters at noon")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_text("Saved. Please log in with it.").wait_for()
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Password", exact=True).fill("five quiet otters at noon")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("heading", name="Your account").wait_for()


async def test_another_address_counts_after_its_mailed_link(shop, visitor):
    email, _ = await shop.member()
    new = f"new-{email}"
    async with visitor() as page:
        await log_in(page, email)
        await page.goto("/account/profile")
        await page.get_by_label("New address").fill(new)
        await page.locator("#proof").fill("wrong")
        await page.locator("#proof").press("Enter")
        await page.get_by_text("The current password is wrong.").wait_for()
        await page.get_by_label("New address").fill(new)
        await page.locator("#proof").fill(PASSWORD)
        await page.locator("#proof").press("Enter")
        await page.get_by_text(f"We sent a link to {new}").wait_for()
        await page.goto(await mailed(shop, new, r"(\S+/verify-email\S+)"))
        await page.get_by_role("button", name="Confirm").click()
        await page.get_by_text("Your address is confirmed.").wait_for()
        await page.goto("/account/profile")
        await page.get_by_text(f"Now it is {new}").wait_for()


async def test_messages_are_read_and_an_ended_order_is_bought_again(shop, visitor):
    email, _ = await shop.member()
    _, path = await sell(shop, title="Kettle")
    async with visitor() as page:
        await log_in(page, email)
        await buy(page, goods=path)
        await is_confirmed(page)
        order = page.url
        await page.goto("/account/messages")
        await page.get_by_role("button", name=re.compile("Mark as read: .* confirmed")).click()
        await page.get_by_text("0 unread messages").wait_for()
        await page.goto(order)
        await page.get_by_text("Cancel the order").first.click()
        await page.get_by_role("button", name="Yes, cancel the order").click()
        await page.get_by_role("button", name="Put it all into the cart again").click()
        await page.wait_for_url("**/cart")
        await page.get_by_role("button", name=re.compile("Remove Kettle")).wait_for()


async def test_a_customer_takes_everything_along_and_goes(shop, visitor):
    email, _ = await shop.member()
    async with visitor() as page:
        await log_in(page, email)
        await page.goto("/account/privacy")
        async with page.expect_download() as coming:
            await page.get_by_role("button", name="Download everything").click()
        file = await (await coming.value).path()
        assert json.loads(file.read_bytes())
        await page.get_by_label("I want my account to be deleted").check()
        await page.get_by_role("button", name="Delete the account").click()
        await page.get_by_text("Goodbye!").wait_for(timeout=PATIENCE_MS)
        await page.goto("/account")
        await page.wait_for_url("**/login")


async def test_a_customer_sends_something_back(shop, visitor):
    sku, path = await sell(shop, title="Kettle")
    async with visitor() as page:
        await buy(page, goods=path)
        await is_confirmed(page)
        order_id = re.search(r"/orders/([0-9a-f-]+)", page.url)[1]
        body = {"carrier": "Swift", "lines": [{"line_no": 1, "quantity": 1}]}
        await shop.ok("POST", f"/api/v1/orders/{order_id}/shipments", body, token=shop.admin,
                      key=new_key())  # fmt: skip
        await page.goto(f"/orders/{order_id}")
        await page.get_by_label(re.compile(f"Kettle {sku}")).fill("1")
        await page.get_by_label("Why?").select_option(label="It arrived damaged")
        await page.get_by_role("button", name="Request the return").click()
        await page.get_by_text("waiting for your parcel").wait_for()
    [asked] = (await shop.order(order_id))["returns"]
    assert [line["reason"] for line in asked["lines"]] == ["damaged"]


async def test_a_member_chooses_what_to_hear_of(shop, visitor):
    email, token = await shop.member()
    async with visitor() as page:
        await log_in(page, email)
        await page.goto("/account/notifications")
        await page.locator("[name='marketing.email']").check()
        await page.get_by_role("button", name="Save").click()
        await page.get_by_text("Saved.").wait_for()
        assert await page.locator("[name='order.email']").is_disabled()
    kept = await shop.ok("GET", "/api/v1/me/notification-preferences", token=token)
    wanted = {(one["kind"], one["channel"]): one["wanted"] for one in kept["items"]}
    assert wanted["marketing", "email"]
    assert wanted["order", "inbox"]
