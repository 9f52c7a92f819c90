"""The pages of docs in a real browser: drawn diagrams, no script, nothing from elsewhere."""

import pytest

pytestmark = pytest.mark.timeout(180)


async def test_the_pages_show_their_diagrams(visitor):
    async with visitor(java_script_enabled=True, viewport={"width": 1200, "height": 900}) as page:
        await page.goto("/docs/pages")
        await page.get_by_role("link", name="The front door").click()
        await page.wait_for_url("**/docs/pages/gateway")
        images = page.locator("main img")
        assert await images.count() == 3
        for n in range(3):
            size = await images.nth(n).evaluate("async it => (await it.decode(), it.naturalWidth)")
            assert size > 200
        await page.get_by_text("The diagram as text").first.click()
        assert await page.get_by_text("flowchart LR").is_visible()
