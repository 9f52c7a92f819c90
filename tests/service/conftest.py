"""What tests of webhooks, letters and payments share; who means another by a name has their own."""

import harness
import pytest
import pytest_asyncio
import webhook_desk
from receiver import receiving
from service.letters_desk import made
from service.payments_desk import opened, processor

from merkato.chassis import db


@pytest.fixture
def patience(monkeypatch):
    """Let many at once wait for each other though the machine stands still; asked for by name."""
    monkeypatch.setattr(db, "ACQUIRE_S", 30.0)
    monkeypatch.setitem(db.SETTINGS, "lock_timeout", "30s")


@pytest.fixture
async def broker(new_database):
    """The broker alone, with a key for the secrets of its webhooks."""
    async with harness.alone(webhook_desk.service(), new_database) as alone:
        yield alone


@pytest.fixture
async def inventory(new_database):
    """Inventory alone: a service that keeps dead letters."""
    async with harness.alone(made("inventory"), new_database) as alone:
        yield alone


@pytest.fixture
async def receiver():
    """An endpoint that notes what it gets."""
    async with receiving() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside(tmp_path_factory):
    """The stand-in of the card processor."""
    async with processor(tmp_path_factory.mktemp("processor")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def desk(new_database, outside):
    """Payments alone, before that processor."""
    async with opened(new_database, outside) as desk:
        yield desk


@pytest_asyncio.fixture(loop_scope="session")
async def later(new_database, outside):
    """A desk that captures at shipment."""
    async with opened(new_database, outside, capture="at_shipment") as desk:
        yield desk
