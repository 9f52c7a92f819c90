"""Staff at work in the back office, without JavaScript, in both topologies."""

import pytest
from browsing import Browser
from shopping import PASSWORD, new_key

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
        page = await browser.press("Take back", **{"line.1": "1", "received": "yes",
                                                   "restock": "yes"})  # fmt: skip
        assert "Taken back." in page.words, page
        page = await browser.press("Credit and send back", amount="3.50", reason="scratched")
        assert "Credited; the money goes back." in page.words, page
        page = await browser.press("Credit and send back", amount="999", reason="too much")
        assert "notice bad" in page.html, page
    order = await shop.order(order_id)
    assert {one["kind"] for one in order["credits"]} == {"return", "goodwill"}


async def test_staff_cancel_and_say_why(shop):
    sku = await shop.sell(stock=5)
    order_id = await bought(shop, sku)
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/orders/{order_id}")
        page = await browser.press("Cancel it", reason="damaged in the warehouse")
        assert "Cancelled; what was paid goes back." in page.words, page
    assert (await shop.order(order_id))["status"] == "cancelled"


async def test_staff_make_a_product_price_it_and_count_it(shop):
    sku = f"NEW-{new_key()[:10]}"
    async with await at_work(shop) as browser:
        await browser.go("/admin/products/new")
        page = await browser.press("Make it", title=f"Vase {sku}", sku=sku, price="x")
        assert "Price: a number" in page.words
        page = await browser.press("Make it", title=f"Vase {sku}", sku=sku, price="24.90",
                                   status="active")  # fmt: skip
        assert "Made." in page.words, page
        page = await browser.press("Set", price="19,90")
        assert "The new price counts from now on." in page.words, page
        assert 'value="19.90"' in page.html
        page = await browser.press("Save", **{"title.en": f"Tall vase {sku}", "title.de": "Vase"})
        assert f"Tall vase {sku}" in page.words, page
        await shop.restock(sku, 3)
        await browser.go(f"/admin/stock/{sku}")
        page = await browser.press("Note it", delta="-1", reason="broken")
        assert "Noted in the journal." in page.words, page
        assert "broken" in page.words


async def test_staff_make_a_coupon(shop):
    code = f"SPRING{new_key()[:8].upper()}"
    async with await at_work(shop) as browser:
        await browser.go("/admin/coupons/new")
        page = await browser.press("Save", code=code, kind="percent", percent="10")
        assert "Saved." in page.words, page
        assert code in (await browser.go("/admin/t/coupons")).words


async def test_customers_are_turned_away(shop):
    email, _ = await shop.member()
    async with Browser(shop.base_url) as browser:
        await browser.go("/admin/t/orders")
        assert browser.page.url.endswith("/admin/login")
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert "no part in the back office" in page.words, page
        assert (await browser.go("/admin/t/orders")).url.endswith("/admin/login")
