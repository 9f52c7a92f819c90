"""One API key at every service, in one process and in a process each."""

import asyncio

import pytest
from e2e.test_events import Reader
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


@pytest.mark.slow
async def test_streams_end_within_a_minute_of_their_readers_right(shop):
    made = await new_api_key(shop, "events:read")
    email, _ = await shop.member()
    found = await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin)
    user = f"/api/v1/users/{found['items'][0]['id']}"
    headers = {"if-match": (await shop("GET", user, token=shop.admin)).headers["etag"]}
    await shop.ok("PATCH", user, {"role": "admin"}, token=shop.admin, headers=headers)
    person = await shop.log_in(email)
    async with (
        Reader(shop) as stays,
        Reader(shop, token=made["key"]) as program,
        Reader(shop, token=person) as somebody,
    ):
        await shop.ok("DELETE", f"/api/v1/api-keys/{made['id']}", token=shop.admin)
        await shop.ok("DELETE", "/api/v1/me/sessions", token=person)

        async def both_ended():
            return program.task.done() and somebody.task.done()

        await eventually(both_ended, seconds=OBEYED_S)
        assert not stays.task.done()
        assert program.task.exception() is somebody.task.exception() is None
