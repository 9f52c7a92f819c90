"""The shop that the end-to-end tests buy in: once as one process, once with a process a service."""

import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
import shopping
from breaking import lawful
from shopping import removed

TOPOLOGIES = [
    pytest.param(False, id="one-process"),
    pytest.param(True, id="process-per-service"),
]


@pytest_asyncio.fixture(scope="session", params=TOPOLOGIES)
async def shop(request):
    """A running shop with an administrator and empty shelves; its laws are checked at its end."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-e2e-"))
    async with shopping.open_shop(folder, each=request.param) as running:
        yield running
        await lawful(running)
    removed(folder)
