"""Draw the diagrams of the pages: Mermaid's text to SVG, in Chromium. `make diagrams` runs it.

The drawings are kept, so that the shop shows them without a network and without scripts: Mermaid
writes styles into pages, which our content policy forbids. A drawing is named after its text, so
that a missing or left-over one is seen. Mermaid is fetched from npm for as long as drawing takes.
"""

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from merkato.gateway.documents import guide

ROOT = Path(__file__).parents[1]
DRAWN = ROOT / "docs/images/diagrams"
MERMAID = "mermaid@12.3.0"
SETTINGS = "{startOnLoad: false, theme: 'neutral', htmlLabels: false}"


def wanted() -> dict[str, str]:
    """Map the name of every drawing to Mermaid's text."""
    found = {}
    for page in guide.pages().values():
        for text in guide.DIAGRAM.findall(page.read_text()):
            found[guide.drawing(text)] = text
    return found


async def draw(script: Path) -> None:
    """Draw what is missing, and remove what no page has any more."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        await page.set_content("<!doctype html><title>Diagrams</title>")
        await page.add_script_tag(path=script)
        await page.evaluate(f"mermaid.initialize({SETTINGS})")
        for name, text in wanted().items():
            if not (DRAWN / name).exists():
                told = await page.evaluate(
                    "async ([name, text]) => (await mermaid.render(name, text)).svg",
                    ["d" + name.removesuffix(".svg"), text],
                )
                (DRAWN / name).write_text(told + "\n")
        await browser.close()
    for file in DRAWN.glob("*.svg"):
        if file.name not in wanted():
            file.unlink()


def main() -> None:
    """Fetch Mermaid and draw."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=folder, check=True)
        [packed] = Path(folder).glob("*.tgz")
        shutil.unpack_archive(packed, folder, filter="data")
        asyncio.run(draw(Path(folder) / "package/dist/mermaid.min.js"))


if __name__ == "__main__":
    main()
