"""The documents: what the code says, what is kept in docs/reference, and what is served are one."""

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

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
