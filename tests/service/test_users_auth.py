"""Registering, logging in and staying logged in, on real PostgreSQL."""

import harness
import pytest_asyncio

from merkato.config import Config, Users
from merkato.users.service import service

PASSWORD = "seven plain wooden boats"
OTHER = "nine tired orange lamps"


def config(**settings):
    cheap = {"argon2_time_cost": 1, "argon2_memory_kib": 64, **settings}
    return Config(keys=harness.KEYS, users=Users(**cheap), public_url="https://shop.test/")


@pytest_asyncio.fixture
async def users(new_database):
    async with harness.alone(service(config()), new_database) as alone:
        yield alone


async def register(users, email="ada@example.org", password=PASSWORD, **fields):
    body = {"email": email, "password": password, **fields}
    return await users.request("POST", "/api/v1/auth/register", body)


async def log_in(users, email="ada@example.org", password=PASSWORD):
    return await users.request("POST", "/api/v1/auth/token", {"email": email, "password": password})


async def test_who_registers_may_log_in_at_once(users):
    assert (await register(users, name="Ada", locale="de")).status == 202
    answer = await log_in(users)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    pair = answer.json()
    assert pair["token_type"] == "Bearer"
    assert pair["expires_in"] == 900
    me = await users.request("GET", "/api/v1/me", token=pair["access_token"])
    assert me.status == 200
    assert me.json() | {"id": 0, "registered_at": 0} == {
        "id": 0, "email": "ada@example.org", "email_verified": False, "name": "Ada",
        "locale": "de", "role": "customer", "registered_at": 0,
    }  # fmt: skip
