"""A running shop with the demo goods, and a real Chromium to look at it with."""

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import shopping
from browser.walks import PHONE
from shopping import removed

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest_asyncio.fixture(scope="session")
async def shop():
    """One shop for all of these tests, demo goods on its shelves."""
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium here (Debian package chromium)")
    folder = Path(tempfile.mkdtemp(prefix="merkato-browser-"))
    async with shopping.open_shop(folder) as running:
        running.command("seed")
        yield running
    removed(folder)


@pytest_asyncio.fixture(scope="session")
async def chromium(shop):
    playwright = pytest.importorskip("playwright.async_api", reason="no playwright here")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def visitor(shop, chromium):
    """Open a page as somebody new; whatever the browser complains of fails the test.

    It complains of errors in scripts, of what the Content-Security-Policy stopped, of requests to
    other hosts, and of refused requests but for those with a status among `refused`. That htmx
    gave a question up because somebody went on to the next page is no complaint.
    """

    @asynccontextmanager
    async def opened(refused=(), **options):
        wanted = {"base_url": shop.base_url, "viewport": PHONE, "locale": "en-GB"} | options
        ours = (wanted["base_url"], "data:", "about:", shop.outside[1])
        context = await chromium.new_context(**wanted)
        page = await context.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _bad(said, refused) else 0)
        page.on("request", lambda asked: asked.url.startswith(ours) or complaints.append(asked.url))
        try:
            yield page
        finally:
            await context.close()
        assert not complaints, complaints

    def _bad(said, refused):
        expected = any(f"responded with a status of {status} " in said.text for status in refused)
        given_up = said.text.startswith(("htmx:afterRequest,", "htmx:sendAbort,"))
        return said.type == "error" and not (expected or given_up)

    return opened
