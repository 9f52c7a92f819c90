"""Buying through the pages without JavaScript, in both topologies."""

import re

import pytest
from browsing import Browser
from harness import eventually
from shopping import PASSWORD, new_key

pytestmark = pytest.mark.timeout(240)

FILLED = {"email": "ada@example.org", "name": "Ada Lund", "line1": "1 Harbour Row",
          "postal_code": "28195", "city": "Bremen", "country": "DE"}  # fmt: skip


async def slug_of(shop, sku):
    rows = await shop.sql(
        "catalog",
        "select t.slug from product_texts t join variants v on v.product_id = t.product_id "
        "where v.sku = $1",
        sku,
    )
    return rows[0]["slug"]


async def with_cart(shop, browser, sku, quantity=1):
    """Put something into the cart and go to the checkout."""
    path = f"/p/{await slug_of(shop, sku)}"

    async def in_stock():
        return "Add to cart" in (await browser.go(path)).words

    await eventually(in_stock)
    page = await browser.press("Add to cart", quantity=str(quantity))
    assert "is in your cart" in page.words, page
    return await browser.follow("To the checkout")


async def to_review(browser, payment="on_account", **more):
    page = await browser.press("Show the total", payment=payment, **FILLED, **more)
    return next(text for form in page.forms for text in form.buttons if "Buy now" in text)


async def reprice(shop, sku, minor):
    """Change a price, and wait until orders knows."""
    found = await shop("GET", f"/api/v1/products/{await slug_of(shop, sku)}", token=shop.admin)
    body = {"prices": [{"currency": "EUR", "amount_minor": minor}]}
    seen = {"if-match": found.headers["etag"]}
    await shop.ok("PUT", f"/api/v1/variants/{sku}/prices", body, token=shop.admin, headers=seen)

    async def known():
        rows = await shop.sql("orders", "select prices from offers where sku = $1", sku)
        return str(minor) in str(rows[0]["prices"])

    await eventually(known)


def order_id(page):
    return re.search(r"/orders/([0-9a-f-]{36})", page.url)[1]


async def until_words(browser, words):
    async def there():
        page = await browser.go(browser.page.url.split("?")[0])
        return words in page.words

    await eventually(there, seconds=30)
    return browser.page


async def test_a_guest_buys(shop):
    sku = await shop.sell(price=2_500)
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku, 2)
        button = await to_review(browser)
        assert button == "Buy now for €54.90"
        page = await browser.press(button, payment="on_account")
        assert "Thank you!" in page.words, page
        await shop.until(order_id(page))
        page = await until_words(browser, "Order confirmed")
        assert "€54.90" in page.words
        page = await browser.follow("Invoice, to print")
        assert (page.status, page.html.count("€54.90") > 0) == (200, True), page
        assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
        assert (await browser.go("/cart")).words.count("Your cart is empty.") == 1
        placed = await shop.order(order_id(page) if "/orders/" in page.url else "")
        assert placed["totals"]["grand_minor"] == 5_490


async def test_nobody_else_sees_a_guests_order(shop):
    sku = await shop.sell()
    async with Browser(shop.base_url) as browser, Browser(shop.base_url) as other:
        await with_cart(shop, browser, sku)
        page = await browser.press(await to_review(browser), payment="on_account")
        assert (await other.go(page.url)).status == 404
        assert (await other.go(f"/orders/{order_id(page)}/invoice")).status == 404


async def test_a_member_takes_the_cart_along(shop):
    sku = await shop.sell()
    email, token = await shop.member()
    async with Browser(shop.base_url) as browser, Browser(shop.base_url) as phone:
        await with_cart(shop, browser, sku, 3)
        await browser.go("/login?next=/checkout")
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert page.url.endswith("/checkout"), page
        assert email in page.html
        await phone.go("/login")
        await phone.press("Log in", email=email, password=PASSWORD)
        assert "3 pieces in the cart" in (await phone.go("/cart")).words
        await phone.follow("To the checkout")
        page = await phone.press(await to_review(phone), payment="on_account")
        order = await shop.order(order_id(page), token=token)
        assert order["lines"][0]["quantity"] == 3
        assert "empty" in (await browser.go("/cart")).words


async def test_a_declined_card_then_another(shop):
    sku = await shop.sell()
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        declined = "pm_card_chargeDeclined"
        page = await browser.press(await to_review(browser, declined), payment=declined)
        page = await until_words(browser, "The payment was declined.")
        page = await browser.press("Pay now", payment="pm_card_visa")
        await shop.until(order_id(page))


async def test_the_bank_asks_back_and_the_customer_closes_the_page(shop):
    sku = await shop.sell()
    secure = "pm_card_threeDSecure2Required"
    async with Browser(shop.base_url) as browser, Browser(shop.base_url) as bank:
        await with_cart(shop, browser, sku)
        await browser.press(await to_review(browser, secure), payment=secure)
        page = await until_words(browser, "Your bank wants you to confirm")
        challenge = page.links["Confirm at my bank"]
        page = await browser.go(page.url)  # closed, and come back
        await bank.go(challenge)
        page = await bank.press("Yes, pay")
        assert "/orders/" in page.url
        await shop.until(order_id(page))


async def test_sold_out_while_paying_keeps_the_cart(shop):
    sku, other = await shop.sell(stock=1), await shop.sell()
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, other)
        await with_cart(shop, browser, sku)
        button = await to_review(browser)
        await shop.restock(sku, 0)
        page = await browser.press(button, payment="on_account")
        assert "Sold out while you were shopping: Lamp " + sku in page.words, page
        assert page.url.endswith("/cart")
        assert f"Lamp {other}" in page.words


async def test_a_changed_price_is_shown_before_it_is_paid(shop):
    sku = await shop.sell(price=1_000)
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        button = await to_review(browser)
        await reprice(shop, sku, 1_500)
        assert "€15.00" in (await browser.go(f"/p/{await slug_of(shop, sku)}")).words
        await browser.go("/checkout")
        await eventually(lambda: _shows(browser, "€19.90"))
        button = next(t for form in browser.page.forms for t in form.buttons if "Buy now" in t)
        page = await browser.press(button, payment="on_account", expected="1490")
        assert "The total has changed from €14.90 to €19.90" in page.words, page


async def _shows(browser, words, path="/checkout"):
    return words in (await browser.go(path)).words


async def test_the_cart_says_what_cannot_be_ordered_and_leads_no_further(shop):
    sku, dear = await shop.sell(), await shop.sell(price=400_000_000_000)
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        path = f"/api/v1/products/{await slug_of(shop, sku)}"
        found = await shop("GET", path, token=shop.admin)
        seen = {"if-match": found.headers["etag"]}
        path = f"/api/v1/products/{found.json()['id']}"
        body = {"status": "archived"}
        await shop.ok("PATCH", path, body, token=shop.admin, headers=seen)
        await eventually(lambda: _shows(browser, "No longer sold like this.", "/cart"))
        assert "cannot be bought at the moment" in browser.page.words
        assert "To the checkout" not in browser.page.links
        assert (await browser.go("/checkout")).url.endswith("/cart")
        page = await browser.press("Remove", quantity="0")
        assert "Your cart is empty." in page.words, page
        await with_cart(shop, browser, dear, quantity=2)
        await reprice(shop, dear, 600_000_000_000)
        await eventually(lambda: _shows(browser, "These articles cannot be ordered together."))
        assert browser.page.url.endswith("/cart")
        assert "No longer sold" not in browser.page.words
        assert "To the checkout" not in browser.page.links


async def test_pressing_twice_places_one_order(shop):
    sku = await shop.sell()
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        button = await to_review(browser)
        before = browser.page
        first = await browser.press(button, payment="on_account")
        browser.page = before
        second = await browser.press(button, payment="on_account")
        assert second.url.endswith("/cart"), second  # the cart is an order now
        counted = await shop.sql("orders", "select count(*) from order_lines where sku = $1", sku)
        assert counted[0]["count"] == 1
        assert "/orders/" in first.url


async def test_forms_from_elsewhere_are_refused(shop):
    sku = await shop.sell()
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        await browser.go(f"/p/{await slug_of(shop, sku)}")
        page = await browser.press("Add to cart", csrf="00" * 32)
        assert page.status == 403
        assert "cannot be used any more" in page.words
        await browser.go("/")
        page = await browser.go(
            "/settings", "POST", data={"theme": "dark"}, headers={"sec-fetch-site": "cross-site"}
        )
        assert page.status == 403


async def test_pages_speak_german_and_say_so_safely(shop):
    async with Browser(shop.base_url, "de-AT,de;q=0.9,en;q=0.5") as browser:
        page = await browser.go("/")
        assert '<html lang="de"' in page.html
        assert "Warenkorb" in page.words
        page = await browser.press("English")
        assert '<html lang="en"' in page.html
        page = await browser.go("/search?q=%3Cscript%3Ealert(1)%3C/script%3E")
        assert "<script>alert" not in page.html
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in page.headers["content-security-policy"]
        assert (await browser.go("/no/such/page")).status == 404
        assert (await browser.go("/account")).url.endswith("/login")


async def test_the_checkout_says_at_once_all_that_is_missing(shop):
    sku = await shop.sell()
    async with Browser(shop.base_url) as browser:
        page = await with_cart(shop, browser, sku)
        assert "Shipping not chosen yet" in page.words, page
        page = await browser.press("Show the total", **FILLED | {"city": ""})
        assert "City : Please fill this in." in page.words, page
        assert "Payment : Please choose." in page.words, page
        page = await browser.press("Show the total", city="Bremen")
        assert "The total is" not in page.words, page
        assert "Payment : Please choose." in page.words, page
        page = await browser.press("Show the total", payment="on_account")
        assert "The total is" in page.words, page


async def test_a_price_that_reads_two_ways_is_said_and_the_list_kept(shop):
    sku = await shop.sell(price=130_000)
    async with Browser(shop.base_url) as browser:
        await with_cart(shop, browser, sku)
        page = await browser.go(f"/search?q={sku}&min=1,200&max=2000")
        assert "“1,200”" in page.words, page
        assert "like 1234.50" in page.words, page
        assert "1 article" in page.words, page
        assert "Price from 1,200" not in page.words, page  # it filters nothing
        form = next(form for form in page.forms if "max" in form.fields)
        assert (form.fields["min"], form.fields["max"]) == ("1,200", "2000")


async def test_a_member_follows_parcels_and_what_came_back(shop):
    email, token = await shop.member()
    sku = await shop.sell(title="Tall lamp")
    order = (await shop.place(shop.order_of({sku: 3}, email), token=token)).json()["id"]
    await shop.until(order)
    async with Browser(shop.base_url) as browser:
        await browser.go("/login")
        await browser.press("Log in", email=email, password=PASSWORD)
        page = await browser.go(f"/orders/{order}")
        assert "We are getting it ready" in page.words, page
        for pieces in (1, 2):
            sent = {"lines": [{"line_no": 1, "quantity": pieces}]}
            path = f"/api/v1/orders/{order}/shipments"
            await shop.ok("POST", path, sent, token=shop.admin, key=new_key())
        back = {"lines": [{"line_no": 1, "quantity": 1}], "received": True}
        path = f"/api/v1/orders/{order}/returns"
        await shop.ok("POST", path, back, token=shop.admin, key=new_key())
        page = await browser.go(f"/orders/{order}")
        assert "2 × Tall lamp" in page.words, page
        assert "Credited" in page.words.partition("What happened")[2], page
        assert "Changed" not in page.words, page
        page = await browser.go("/account/orders")
        assert (page.status, "Partly returned" in page.words) == (200, True), page


async def test_a_customer_keeps_house_in_the_account(shop):
    async with Browser(shop.base_url) as browser:
        await browser.go("/register")
        email = f"ada-{new_key()[:12]}@example.org"
        page = await browser.press("Create an account", name="Ada", email=email, password=PASSWORD)
        assert "Hello Ada" in page.words, page
        for tab in ("orders", "profile", "addresses", "messages", "privacy"):
            assert (await browser.go(f"/account/{tab}")).status == 200, browser.page
        await browser.go("/account/addresses")
        page = await browser.press("Save", **{**FILLED, "email": None, "city": ""})
        assert "Please look at the marked fields." in page.words, page
        page = await browser.press("Save", **{**FILLED, "email": None})
        assert "1 Harbour Row" in page.words, page
        await browser.go("/account/profile")
        page = await browser.press("Save", name="Ada Lund")
        assert "Hello Ada Lund" in page.words, page
        await browser.go("/account/privacy")
        page = await browser.press("Download everything we keep about you")
        assert email in page.html
        await browser.go("/account/privacy")
        page = await browser.press("Delete the account", sure="yes")
        assert "Goodbye" in page.words, page
        await browser.go("/login")
        assert "wrong" in (await browser.press("Log in", email=email, password=PASSWORD)).words
