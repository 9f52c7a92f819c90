"""Users as it runs, with relay and bus: what it says about access, other services obey."""

import harness
import pytest

from merkato.chassis.service import Place, running
from merkato.chassis.tokens import Tokens
from merkato.config import SERVICES, Config, Users
from merkato.inventory.service import service as inventory
from merkato.users.service import service as users

EMAIL, PASSWORD = "ada@example.org", "seven plain wooden boats"
OBEYED_S = 60.0  # as promised


@pytest.fixture
async def place(new_database, nats_urls):
    async def make(name):
        return Place(
            database_url=await new_database(name, prepare=harness.preparation(name)),
            nats_url=nats_urls[name],
            sources=SERVICES,
            tokens=Tokens(name, harness.KEYS.signing[name], harness.KEYS.published),
            apps={"orders": harness.answering(404, {})},
        )

    return make


async def test_a_changed_role_is_obeyed_everywhere(place):
    admin = harness.user_token(role="admin")
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings)
    async with (
        running(users(config), await place("users")) as users_app,
        running(inventory(config), await place("inventory")) as inventory_app,
    ):
        ask, look = harness.Client(users_app), harness.Client(inventory_app)
        body = {"email": EMAIL, "password": PASSWORD}
        assert (await ask("POST", "/api/v1/auth/register", body)).status == 202
        token = (await ask("POST", "/api/v1/auth/token", body)).json()["access_token"]
        me = (await ask("GET", "/api/v1/me", token=token)).json()

        async def change(etag, **changes):
            path, headers = f"/api/v1/users/{me['id']}", {"If-Match": etag}
            answer = await ask("PATCH", path, changes, token=admin, headers=headers)
            assert answer.status == 200

        async def statuses(token):
            return {
                (await ask("GET", "/api/v1/me", token=token)).status,
                (await look("GET", "/api/v1/stock?low=true", token=token)).status,
            }

        async def is_refused():
            return await statuses(token) == {401}

        await change('"v1"', role="staff")
        await harness.eventually(is_refused, seconds=OBEYED_S)
        token = (await ask("POST", "/api/v1/auth/token", body)).json()["access_token"]
        assert await statuses(token) == {200}
        await change('"v2"', blocked=True)
        await harness.eventually(is_refused, seconds=OBEYED_S)
