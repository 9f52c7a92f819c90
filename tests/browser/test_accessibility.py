"""No page breaks a rule of WCAG 2.2 AA that axe-core can see, or is wider than the screen.

axe is run from outside the page, so that the pages' Content-Security-Policy stays as it is.
"""

from importlib.resources import files

import pytest
import pytest_asyncio
from browser.walks import ADMIN, MEMBER, PHONE, SHOP, STRANGER, go, log_in, make

pytestmark = pytest.mark.timeout(400)

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDE = {"width": 1440, "height": 900}
LOOKS = pytest.mark.parametrize(
    ("theme", "size"), [("light", PHONE), ("dark", WIDE)], ids=["light phone", "dark screen"]
)
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"
RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})"


@pytest.fixture(scope="session")
def axe():
    pytest.importorskip("axe_playwright_python", reason="no axe-core here")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest_asyncio.fixture(scope="session")
async def made(shop):
    return await make(shop)


async def violations(page, axe):
    """What axe finds on a page: rule, where, and why."""
    await page.evaluate(axe)
    found = await page.evaluate(RUN, TAGS)
    return [
        f"{one['id']}: {' '.join(map(str, node['target']))} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def looked_at(page, axe, pages, made):
    wrong = {}
    for name, way in pages.items():
        await go(page, way, made)
        found = await violations(page, axe)
        if (wide := await page.evaluate(TOO_WIDE)) > 0:
            found.append(f"{wide} px wider than the screen")
        if found:
            wrong[name] = found
    return wrong


@LOOKS
async def test_the_shop_is_accessible(visitor, made, axe, theme, size):
    async with visitor(color_scheme=theme, viewport=size, refused=(404, 422)) as page:
        assert await looked_at(page, axe, SHOP, made) == {}
        await log_in(page, made["email"])
        assert await looked_at(page, axe, MEMBER, made) == {}


@LOOKS
async def test_the_back_office_is_accessible(visitor, made, axe, theme, size):
    async with visitor(color_scheme=theme, viewport=size, refused=(404,)) as page:
        assert await looked_at(page, axe, STRANGER, made) == {}
        await log_in(page, "admin@example.org", "/admin/login")
        assert await looked_at(page, axe, ADMIN, made) == {}


async def test_what_is_inaccessible_is_seen(visitor, axe):
    async with visitor() as page:
        await page.goto("/")
        await page.evaluate("document.querySelector('.tiles img').removeAttribute('alt')")
        await page.evaluate("document.querySelector('main p').style.opacity = 0.3")
        found = " ".join(await violations(page, axe))
        assert "image-alt" in found, found
        assert "color-contrast" in found, found
