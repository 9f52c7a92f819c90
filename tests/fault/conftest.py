"""A shop to break: one for the tests of a file, in one process, with goods to buy."""

import tempfile
from pathlib import Path

import pytest_asyncio
import shopping
from shopping import removed


@pytest_asyncio.fixture(scope="module")
async def shop():
    """A running shop; whoever breaks it leaves it running."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-fault-"))
    async with shopping.open_shop(folder) as running:
        yield running
    removed(folder)
