"""The documents: what the code says, what is kept in docs/reference, and what is served are one."""

import importlib.util
import re
import sys
from pathlib import Path

import msgspec
import pytest

from merkato.gateway.documents import guide

REFERENCE = Path(__file__).parents[2] / "docs/reference"


def reference_pages():
    """Load docs/reference_pages.py, which is in no package."""
    spec = importlib.util.spec_from_file_location(
        "reference_pages", REFERENCE.parent / "reference_pages.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MADE = reference_pages().made()


@pytest.mark.parametrize("name", MADE)
def test_the_reference_is_current(name):
    file = REFERENCE / name
    kept = file.read_text() if file.exists() else ""
    assert kept == MADE[name], (
        f"docs/reference/{name} is not what the code says. Run `make fix`, read the difference "
        "(it is what callers will see), and commit it."
    )


def test_every_page_of_the_reference_is_made():
    kept = {str(file.relative_to(REFERENCE)) for file in REFERENCE.rglob("*") if file.is_file()}
    assert kept - {"configuration.md"} == MADE.keys()


async def test_the_document_is_served_as_it_is_kept(shop):
    served = await shop.ok("GET", "/openapi.json")
    kept = msgspec.json.decode(MADE["openapi/orders.json"])
    assert {path: served["paths"][path] for path in kept["paths"]} == kept["paths"]
    assert served["openapi"].startswith("3.1")


async def test_the_pages_of_docs_are_served_and_nothing_else(shop):
    index = (await shop("GET", "/docs/pages")).body.decode()
    every = guide.pages()
    assert {"architecture", "promises", "gateway"} <= every.keys()
    for name in every:
        assert f'href="/docs/pages/{name}"' in index
        page = await shop("GET", f"/docs/pages/{name}")
        assert page.status == 200
        text = page.body.decode()
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            if target.startswith("/"):
                assert (await shop("GET", target.partition("#")[0])).status == 200, target
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "<script" not in text
    for name in (
        "nothing",
        "gateway.md",
        "generate.py",
        "decisions",
        "images/home-light.png",
        ".svg",
    ):
        assert (await shop("GET", f"/docs/pages/{name}")).status == 404, name
