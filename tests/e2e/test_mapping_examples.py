"""The catalogues of two other shops, brought in by the examples of docs/examples."""

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIVEN = os.environ.get("MERKATO_CATALOGUES")
FOLDER = Path(GIVEN) if GIVEN else ROOT.parent / "shared/data/catalogue"
if not FOLDER.is_dir():
    FOLDER = ROOT.parents[1] / "shared/data/catalogue"
needs_files = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="no files of other shops: put them into ../shared/data/catalogue, or name their folder "
    "as MERKATO_CATALOGUES",
)


def example():
    """Load the script, which is in no package."""
    spec = importlib.util.spec_from_file_location("mapping", ROOT / "docs/examples/mapping.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def run(shop, tmp_path, *words):
    key_file = tmp_path / "key"
    key_file.write_text(shop.admin)
    more = ["--url", shop.base_url, "--key-file", str(key_file)]
    return await asyncio.to_thread(example().main, [*map(str, words), *more])


@needs_files
async def test_eshop_with_pictures(shop, tmp_path, capsys):
    words = ("eshop", FOLDER / "eshop_catalog.json", "--pictures", FOLDER / "eshop-pics")
    assert await run(shop, tmp_path, *words, "--pictures-most", 5) == 0
    first = capsys.readouterr().out
    assert await run(shop, tmp_path, *words, "--pictures-most", 5) == 0
    assert "'failed': 0" in first
    assert "'created': 0, 'changed': 0, 'unchanged': 101, 'failed': 0" in capsys.readouterr().out
    answer = await shop("GET", "/api/v1/products/wanderer-black-hiking-boots-1?currency=USD")
    boots = answer.json()
    assert boots["variants"][0]["price"] == {"amount_minor": 10_999, "currency": "USD"}
    assert [one["slug"] for one in boots["categories"]] == ["footwear"]
    assert len(boots["images"]) == 1
    assert (await shop("GET", boots["images"][0]["url"])).headers["content-type"] == "image/webp"


@needs_files
async def test_adventureworks_in_six_languages(shop, tmp_path, capsys):
    words = ("adventureworks", FOLDER / "adventureworks_products.json")
    assert await run(shop, tmp_path, *words) == 0
    capsys.readouterr()
    assert await run(shop, tmp_path, *words) == 0
    assert "'created': 0, 'changed': 0, 'unchanged': 128, 'failed': 0" in capsys.readouterr().out
    page = "/api/v1/products/ll-touring-frame"
    for locale, word in {"en": "Lightweight", "fr": "Cadre", "th": "เฟรม", "zh-TW": "轻型"}.items():
        frame = (await shop("GET", f"{page}?locale={locale}&currency=USD")).json()
        assert frame["locale"] == locale
        assert word in frame["description"]
    piece = next(one for one in frame["variants"] if one["sku"] == "FR-T67U-54")
    assert (piece["options"], piece["weight_g"]) == ({"color": "Blue", "size": "54"}, 1_424)
    assert piece["price"] == {"amount_minor": 33_342, "currency": "USD"}
    query = "/api/v1/products?category=components&facets=true&currency=USD&limit=1"
    shelves = {one["slug"] for one in (await shop("GET", query)).json()["facets"]["category"]}
    assert {"components", "touring-frames"} <= shelves
