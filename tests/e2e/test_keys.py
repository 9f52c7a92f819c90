"""One API key at every service, in one process and in a process each."""

import asyncio

import pytest
from harness import eventually

SCOPES = [
    "customers:read", "inventory:read", "notifications:read", "orders:read", "payments:read",
]  # fmt: skip
READS = [
    "/api/v1/users", "/api/v1/stock?low=true", "/api/v1/orders", "/api/v1/ledger",
    "/api/v1/notifications",
]  # fmt: skip
OBEYED_S = 60.0


async def new_api_key(shop, *scopes):
    body = {"name": "A test", "scopes": scopes}
    return await shop.ok("POST", "/api/v1/api-keys", body, token=shop.admin)


async def statuses(shop, key):
    answers = await asyncio.gather(*(shop("GET", path, token=key) for path in READS))
    return {answer.status for answer in answers}


async def test_a_key_opens_every_service_and_a_wrong_one_none(shop):
    whole = (await new_api_key(shop, *SCOPES))["key"]
    assert await statuses(shop, whole) == {200}
    assert await statuses(shop, whole[:-4] + "beef") == {401}
    narrow = (await new_api_key(shop, "catalog:write"))["key"]
    assert await statuses(shop, narrow) == {403, 422}  # stock may be asked for by sku by anyone
    body = {"status": "draft", "texts": {"en": {"title": "By a key"}}}
    await shop.ok("POST", "/api/v1/products", body, token=narrow)


@pytest.mark.slow
async def test_a_revoked_key_is_refused_everywhere_within_a_minute(shop):
    made = await new_api_key(shop, *SCOPES)
    assert await statuses(shop, made["key"]) == {200}
    await shop.ok("DELETE", f"/api/v1/api-keys/{made['id']}", token=shop.admin)

    async def is_refused():
        return await statuses(shop, made["key"]) == {401}

    await eventually(is_refused, seconds=OBEYED_S)
