"""Staff at work in the back office, without JavaScript, in both topologies."""

import pytest
from browsing import Browser
from shopping import PASSWORD

pytestmark = pytest.mark.timeout(240)


async def at_work(shop):
    browser = Browser(shop.base_url)
    await browser.go("/admin")
    page = await browser.press("Log in", email="admin@example.org", password=PASSWORD)
    assert "Dashboard" in page.words, page
    return browser


async def bought(shop, sku, quantity=2):
    email, token = await shop.member()
    placed = await shop.place(shop.order_of({sku: quantity}, email), token=token)
    order = await shop.until(placed.json()["id"])
    return order["id"]


async def test_every_list_answers(shop):
    async with await at_work(shop) as browser:
        for link in [href for href in browser.page.links.values() if "/admin/t/" in (href or "")]:
            page = await browser.go(link)
            assert page.status == 200, page


async def test_staff_ship_take_back_and_give_money_back(shop):
    sku = await shop.sell(price=1_000, stock=10)
    order_id = await bought(shop, sku)
    async with await at_work(shop) as browser:
        page = await browser.go(f"/admin/orders/{order_id}")
        page = await browser.press("Ship", carrier="Swift", tracking="XY-1")
        assert "Shipped; the customer is told." in page.words, page
        page = await browser.press("It was delivered")
        assert "Delivered." in page.words, page
        page = await browser.press("It is here: show the sums", **{"line.1": "1"})
        assert "Credited to the customer €10.00" in page.words, page
        page = await browser.press("Take back")
        assert "Taken back" in page.words, page
        await browser.press("Show the sums", amount="3.50", reason="scratched")
        page = await browser.press("Credit and send back")
        assert "Credited; the money goes back." in page.words, page
        page = await browser.press("Show the sums", amount="999", reason="too much")
        assert "notice bad" in page.html, page
    order = await shop.order(order_id)
    assert {one["kind"] for one in order["credits"]} == {"return", "goodwill"}


async def test_staff_cancel_and_say_why(shop):
    sku = await shop.sell(stock=5)
    order_id = await bought(shop, sku)
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/orders/{order_id}")
        form = next(one for one in browser.page.forms if one.fields.get("kind") == "cancellation")
        fields = {**form.fields, "reason": "damaged in the warehouse"}
        page = await browser.go(form.action, "POST", data=fields)
        assert "Credited to the customer" in page.words, page
        page = await browser.press("Cancel it")
        assert "Cancelled; what was paid goes back." in page.words, page
    assert (await shop.order(order_id))["status"] == "cancelled"


async def test_customers_are_turned_away(shop):
    email, _ = await shop.member()
    async with Browser(shop.base_url) as browser:
        await browser.go("/admin/t/orders")
        assert browser.page.url.endswith("/admin/login")
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert "no part in the back office" in page.words, page
        assert (await browser.go("/admin/t/orders")).url.endswith("/admin/login")
