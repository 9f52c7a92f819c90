"""The documents in a real browser that reaches nothing but the shop: read, and tried out."""

import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from browser.conftest import FLAGS
from shopping import new_key

pytestmark = pytest.mark.timeout(180)

NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
DESK = {"viewport": {"width": 1280, "height": 900}}
COUNT_REPORTS = """
window.reports = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.reports.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


@pytest_asyncio.fixture(scope="session")
async def reader(shop):
    """Open a page of a browser for which nothing but this machine has an address."""
    playwright = pytest.importorskip("playwright.async_api", reason="no playwright here")

    @asynccontextmanager
    async def opened(path):
        complaints = []
        context = await browser.new_context(base_url=shop.base_url, **DESK)
        page = await context.new_page()
        await page.add_init_script(COUNT_REPORTS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.on("requestfailed", lambda asked: complaints.append(f"failed: {asked.url}"))
        page.on("request", lambda asked: complaints.append(asked.url) if strange(asked) else None)
        answer = await page.goto(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        yield page
        complaints += await page.evaluate("window.reports")
        await context.close()
        assert complaints == []

    def strange(asked):
        return not asked.url.startswith((shop.base_url, "data:"))

    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*FLAGS, NO_NETWORK]
        )
        yield opened
        await browser.close()


async def shoot(page, name):
    """Keep a picture of the page where MERKATO_SHOTS says, for somebody to look at."""
    if folder := os.environ.get("MERKATO_SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_an_order_is_placed_by_trying_it_out(shop, reader):
    email, token = await shop.member()
    page = await shop.ok("GET", "/api/v1/products?q=mug&limit=1")
    product = await shop.ok("GET", f"/api/v1/products/{page['items'][0]['slug']}")
    body = shop.order_of({product["variants"][0]["sku"]: 1}, email)
    async with reader("/docs") as page:
        await page.locator(".opblock-tag").first.wait_for()
        await shoot(page, "docs")
        await page.get_by_role("button", name="Authorize").first.click()
        door = page.locator(".auth-container").filter(has_text=re.compile(r"^token"))
        await door.locator("input").fill(token)
        await door.get_by_role("button", name="Apply credentials").click()
        await page.get_by_role("button", name="Close").first.click()
        route = page.locator(".opblock", has=page.locator("[data-path='/api/v1/orders']"))
        route = route.and_(page.locator(".opblock-post"))
        await page.locator(".opblock-tag[data-tag='orders']").click()
        await route.locator(".opblock-summary-control").click()
        await route.get_by_role("button", name="Try it out").click()
        await route.locator("tr[data-param-name='Idempotency-Key'] input").fill(new_key())
        await route.locator("textarea.body-param__text").fill(msgspec.json.encode(body).decode())
        await route.get_by_role("button", name="Execute").click()
        status = route.locator(".live-responses-table .response-col_status").last
        await status.wait_for()
        assert (await status.inner_text()).startswith("202")
        await status.scroll_into_view_if_needed()
        await shoot(page, "docs-tried-out")
    mine = await shop.ok("GET", "/api/v1/orders?customer=me", token=token)
    assert len(mine["items"]) == 1
    await shop.until(mine["items"][0]["id"])


async def test_every_service_can_be_opened(shop, reader):
    document = await shop.ok("GET", "/openapi.json")
    tags = [one["tags"][0] for path in document["paths"].values() for one in path.values()]
    async with reader("/docs") as page:
        await page.locator(".opblock-tag").first.wait_for()
        assert await page.locator(".opblock-tag").count() == len(set(tags))
        assert await page.locator(".opblock").count() == 0  # folded, until one looks
        await page.locator(".opblock-tag[data-tag='inventory']").click()
        await page.locator(".opblock").nth(tags.count("inventory") - 1).wait_for()
        assert await page.locator(".errors-wrapper").count() == 0


async def test_the_page_of_events_is_read(shop, reader):
    document = await shop.ok("GET", "/asyncapi.json")
    async with reader("/docs/events") as page:
        assert await page.locator("section").count() == len(document["channels"])
        await page.locator("summary").first.click()
        await page.locator("section pre").first.wait_for()
        await shoot(page, "docs-events")
        await page.get_by_role("link", name="Requests").click()
        await page.locator(".opblock-tag").first.wait_for()


async def test_a_problem_is_explained(reader):
    async with reader("/problems/out-of-stock") as page:
        await page.get_by_role("heading", name="Out of stock").wait_for()
        await shoot(page, "docs-problem")
