"""Take the pictures of the main pages under docs/images anew, in both themes.

Needs Chromium and takes a minute: .venv/bin/python tests/browser/pictures.py
"""

import asyncio
import io
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import shopping
from browser.walks import fill, go, log_in, make
from PIL import Image
from playwright.async_api import async_playwright

FOLDER = Path(__file__).parents[2] / "docs/images"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}
COLOURS = 128  # of a picture: drawn pages need no more, and it is a third of the size


BUYERS = ("Ada Lund", "Bo Friis", "Cleo Marsh", "Dan Okafor", "Eva Brandt", "")


async def _buy(shop, name, sku):
    """Fill a cart, and order it under a name; without one it is left."""
    email, token = await shop.member()
    cart = await shop.ok("POST", "/api/v1/carts", {"currency": "EUR"}, token=token)
    path = f"/api/v1/carts/{cart['id']}"
    await shop.ok("POST", f"{path}/lines", {"sku": sku, "quantity": 1}, token=token)
    if name:
        version = (await shop.ok("GET", path, token=token))["version"]
        body = shop.order_of({}, email, contact={"email": email, "name": name})
        body |= {"lines": None, "cart_id": cart["id"], "cart_version": version}
        placed = await shop.place(body, token=token)
        await shop.until(placed.json()["id"])


async def _checkout(page):
    await page.goto("/p/stoneware-mug-pebble")
    await page.get_by_role("button", name="Add to cart").click()
    await page.wait_for_url("**/cart")
    await page.goto("/p/pepper-mill-turm")
    await page.get_by_role("button", name="Add to cart").click()
    await page.wait_for_url("**/cart")
    await page.goto("/checkout")
    await fill(page)
    await page.evaluate("scrollTo(0, 0)")


PAGES = [
    ("home", "/", DESK),
    ("category", "/c/kitchen", PHONE),
    ("search", "/search?q=tea", DESK),
    ("product", "/p/stoneware-mug-pebble", PHONE),
    ("checkout", _checkout, DESK),
    ("cart", "/cart", PHONE),
    ("order", "/orders/{order}", PHONE),
    ("admin", "/admin", DESK),
    ("admin-order", "/admin/orders/{order}", DESK),
]


async def _take(browser, shop, made, theme):
    for name, way, size in PAGES:
        admin = name.startswith("admin")
        if name in ("home", "order", "admin"):  # a new visitor: nobody, the member, staff
            context = await browser.new_context(
                base_url=shop.base_url, color_scheme=theme, locale="en-GB"
            )
            page = await context.new_page()
            if name != "home":
                who = "admin@example.org" if admin else made["email"]
                await log_in(page, who, "/admin/login" if admin else "/login")
        await page.set_viewport_size(size)
        await go(page, way, made)
        await page.wait_for_load_state("networkidle")
        taken = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
        small = taken.quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(FOLDER / f"{name}-{theme}.png", optimize=True)


async def main():
    folder = Path(tempfile.mkdtemp(prefix="merkato-pictures-"))
    async with shopping.open_shop(folder) as shop, async_playwright() as driver:
        shop.command("seed")
        made = await make(shop)
        for name in BUYERS:  # something for the charts of the back office
            await _buy(shop, name, made["sku"])
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for theme in ("light", "dark"):
            await _take(browser, shop, made, theme)
        await browser.close()
    shopping.removed(folder)


if __name__ == "__main__":
    asyncio.run(main())
