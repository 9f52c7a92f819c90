"""What tests of webhooks share; whoever means another broker by that name has its own fixture."""

import harness
import pytest
import webhook_desk
from receiver import receiving


@pytest.fixture
async def broker(new_database):
    """The broker alone, with a key for the secrets of its webhooks."""
    async with harness.alone(webhook_desk.service(), new_database) as alone:
        yield alone


@pytest.fixture
async def receiver():
    """An endpoint that notes what it gets."""
    async with receiving() as one:
        yield one
