"""Every page of the shop and of the back office, and how one comes there: a line each.

A line is a name and a path, in which `{order}` and the like stand for what `made` has; or a name
and a function that brings the page there.
"""

import re

from harness import eventually
from shopping import PASSWORD, card, new_key

FILLED = {"email": "ada@example.org", "name": "Ada Lund", "line1": "1 Harbour Row",
          "postal_code": "28195", "city": "Bremen"}  # fmt: skip
GOODS = "/p/pepper-mill-turm"
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 30_000  # for what is done after an answer: payments, mails


async def to_checkout(page, goods=GOODS):
    """Put something into the cart and go to the checkout."""
    await page.goto(goods)
    await page.get_by_role("button", name="Add to cart").click()
    await page.wait_for_url("**/cart")
    await page.get_by_role("link", name="To the checkout").click()
    await page.wait_for_url("**/checkout")


async def fill(page, payment="On account", **more):
    """Fill the checkout and see the total."""
    for name, value in (FILLED | more).items():
        await page.locator(f"#{name}").fill(value)
    if await page.locator("#country").input_value() != "DE":
        await page.locator("#country").select_option("DE")
    await page.get_by_role("radio", name=payment).check()
    await page.get_by_role("button", name="Show the total").click()
    await page.get_by_text("The total is").wait_for()  # a button that buys may be there before


async def buy(page, payment="On account", goods=GOODS, **more):
    """Buy something as a guest, up to the page of the order."""
    await to_checkout(page, goods)
    await fill(page, payment, **more)
    await press_buy(page)


async def press_buy(page):
    await page.get_by_role("button", name="Buy now for").click()
    await page.wait_for_url("**/orders/**")


async def log_in(page, email, path="/login"):
    await page.goto(path)
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(lambda url: not url.endswith(path))


async def _full_cart(page):
    await page.goto("/p/stoneware-mug-pebble")
    await page.get_by_role("button", name="Add to cart").click()
    await page.wait_for_url("**/cart")


async def _wrong_checkout(page):
    await page.goto("/checkout")
    await page.get_by_role("button", name="Show the total").click()
    await page.get_by_text("Please look at the marked fields.").wait_for()


async def _review(page):
    await page.goto("/checkout")
    await fill(page)


async def _declined(page):
    await buy(page, "A card that is declined")
    await page.get_by_text("The payment was declined.").wait_for(timeout=PATIENCE_MS)


async def _asked_back(page):
    await buy(page, "A card whose bank asks back")
    await page.get_by_role("link", name="Confirm at my bank").wait_for(timeout=PATIENCE_MS)


async def _cancelled(page):
    await buy(page)
    await page.get_by_text("Order confirmed").wait_for(timeout=PATIENCE_MS)
    await page.get_by_text("Cancel the order").first.click()
    await page.get_by_role("button", name="Yes, cancel the order").click()
    await page.get_by_text("You cancelled it.").wait_for()


async def _wrong_login(page):
    await page.goto("/login")
    await page.get_by_label("E-mail").fill("nobody@example.org")
    await page.get_by_label("Password", exact=True).fill("wrong")
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_text("E-mail or password is wrong.").wait_for()


async def _short_password(page):
    await page.goto("/register")
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail").fill("short@example.org")
    await page.get_by_label("Password", exact=True).fill("short")
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_text("Please look at the marked fields.").wait_for()


async def _wrong_address(page):
    await page.goto("/account/addresses")
    await page.locator("main form.panel").evaluate("form => form.noValidate = true")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Please look at the marked fields.").wait_for()


async def _undeletable(page):
    await page.goto("/account/privacy")
    await page.locator("form.panel").evaluate("form => form.noValidate = true")
    await page.get_by_role("button", name="Delete the account").click()
    await page.get_by_text("Please tick the box first.").wait_for()


SHOP = {
    "home": "/",
    "category": "/c/kitchen",
    "category, filtered": "/c/kitchen?attr.material=stoneware&in_stock=true&min=5",
    "search": "/search?q=tea",
    "search, corrected": "/search?q=tepot",
    "search, nothing": "/search?q=zzzzzz",
    "everything": "/search",
    "product": GOODS,
    "product with variants": "/p/stoneware-mug-pebble",
    "picture": GOODS + "#zoom-1",
    "product, sold out": "/p/{sold_out}",
    "empty cart": "/cart",
    "cart": _full_cart,
    "checkout": "/checkout",
    "checkout with errors": _wrong_checkout,
    "review": _review,
    "order": buy,
    "order, declined": _declined,
    "order, the bank asks back": _asked_back,
    "order, cancelled": _cancelled,
    "login": "/login",
    "login, refused": _wrong_login,
    "register": "/register",
    "register, refused": _short_password,
    "forgot": "/forgot-password",
    "reset": "/reset-password?token=x",
    "verify": "/verify-email?token=x",
    "not here": "/no/such/page",
}
MEMBER = {
    "orders": "/account",
    "order, shipped": "/orders/{order}",
    "profile": "/account/profile",
    "addresses": "/account/addresses",
    "addresses, refused": _wrong_address,
    "messages": "/account/messages",
    "notifications": "/account/notifications",
    "privacy": "/account/privacy",
    "privacy, refused": _undeletable,
}
STRANGER = {"staff login": "/admin/login"}
ADMIN = {
    "dashboard": "/admin",
    **{f"list of {slug}": f"/admin/t/{slug}" for slug in (
        "orders", "returns", "products", "stock", "customers", "payments", "ledger",
        "notifications", "coupons", "shipping", "taxes", "events", "topics", "webhooks",
        "dead-letters", "audit-trail", "api-keys", "categories", "imports", "price-lists",
        "settings", "refunds", "reports", "texts", "staff", "roles", "live",
    )},
    "me": "/admin/me",
    "role": "/admin/roles/support",
    "new role": "/admin/roles/new",
    "text": "/admin/texts/order_placed/en",
    "topic": "/admin/topics/orders.order_placed",
    "no products": "/admin/t/products?q=zzzz",
    "low stock": "/admin/t/stock?low=true",
    "variant": "/admin/products/{product}/variant?sku={sku}",
    "price list": "/admin/price-lists/standard",
    "shipping method": "/admin/shipping/standard",
    "new shipping method": "/admin/shipping/new",
    "no orders": "/admin/t/orders?status=cancelled&q=ZZZZ-ZZZZ-Z",
    "order": "/admin/orders/{order}",
    "product": "/admin/products/{product}",
    "new product": "/admin/products/new",
    "stock": "/admin/stock/{sku}",
    "customer": "/admin/customers/{customer}",
    "coupon": "/admin/coupons/{coupon}",
    "new coupon": "/admin/coupons/new",
    "not here": "/admin/no/such/page",
}  # fmt: skip


async def mailed(shop, email, pattern):
    """What a pattern finds in the mails to an address, as soon as it does."""

    async def found():
        mails = [
            await shop.ok("GET", f"{shop.outside[0]}/api/messages/{one['id']}")
            for one in await shop.mails(email)
        ]
        return re.search(pattern, " ".join(mail["text"] for mail in mails))

    return (await eventually(found, seconds=30))[1]


async def go(page, way, made):
    """Go to a page of the lists above."""
    if isinstance(way, str):
        await page.goto("about:blank")  # else a way that differs in its fragment loads nothing
        await page.goto(way.format(**made))
    else:
        await way(page)


SLUG = """
select t.slug from product_texts t join variants v on v.product_id = t.product_id where v.sku = $1
"""


async def is_confirmed(page):
    await page.get_by_text("Order confirmed").wait_for(timeout=PATIENCE_MS)


async def sell(shop, **what):
    """Put something on sale and wait until its page says that it is there."""
    sku = await shop.sell(**what)
    path = f"/p/{(await shop.sql('catalog', SLUG, sku))[0]['slug']}"

    async def in_stock():
        return "Add to cart" in (await shop("GET", path)).body.decode()

    await eventually(in_stock)
    return sku, path


async def make(shop):
    """Make what the pages show: a member with orders, a coupon, something that is sold out."""
    email, token = await shop.member()
    made = {"email": email, "sku": "MILL-TURM", "coupon": f"WALK-{new_key()[:8]}".upper()}
    found = await shop.ok("GET", "/api/v1/products/pepper-mill-turm")
    made |= {"product": found["id"], "sku": found["variants"][0]["sku"]}
    body = {"kind": "percent", "basis_points": 1_000}
    await shop.ok("PUT", f"/api/v1/coupons/{made['coupon']}", body, token=shop.admin)
    gone = await shop.sell(stock=0, title="Nothing left of this")
    rows = await shop.sql("catalog", SLUG, gone)
    made["sold_out"] = rows[0]["slug"]
    placed = await shop.place(shop.order_of({made["sku"]: 2}, email, card("pm_card_visa")),
                              token=token)  # fmt: skip
    order = await shop.until(placed.json()["id"])
    path = f"/api/v1/orders/{order['id']}"
    made |= {"order": order["id"], "customer": order["customer_id"]}
    sent = {"carrier": "Swift", "tracking": "XY 1", "lines": [{"line_no": 1, "quantity": 2}]}
    await shop.ok("POST", f"{path}/shipments", sent, token=shop.admin, key=new_key())
    back = {"lines": [{"line_no": 1, "quantity": 1, "reason": "damaged"}]}
    await shop.ok("POST", f"{path}/returns", back, token=token, key=new_key())
    return made
