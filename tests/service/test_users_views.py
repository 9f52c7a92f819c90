"""Saved views belong to a person: kept, replaced, exported, and gone with the account."""

from urllib.parse import urlencode

import harness
import pytest
from service.test_users_me import SETTINGS, registered

from merkato.config import Config
from merkato.users.service import service

VIEWS = "/api/v1/me/views"


@pytest.fixture
async def users(new_database):
    config = Config(keys=harness.KEYS, users=SETTINGS)
    async with harness.alone(service(config), new_database) as alone:
        yield alone


async def test_views_are_kept_replaced_and_forgotten(users):
    token, _ = await registered(users)
    other, _ = await registered(users, "bea@example.org")

    async def send(method, path, body=None, token=token):
        return await users.request(method, path, body, token=token)

    for query in ("q=mug", "q=cup"):
        put = await send("PUT", f"{VIEWS}/products", {"name": "My mugs", "query": query})
        assert put.status == 204, put
    [view] = (await send("GET", VIEWS)).json()["items"]
    assert (view["list"], view["name"], view["query"]) == ("products", "My mugs", "q=cup")
    assert (await send("GET", VIEWS, token=other)).json()["items"] == []
    await send("DELETE", f"{VIEWS}/products?name=My%20mugs", token=other)
    assert len((await send("GET", VIEWS)).json()["items"]) == 1
    for of, name in (("Products", "x"), ("products", " "), ("products", "x" * 61)):
        body = {"name": name, "query": ""}
        assert (await send("PUT", f"{VIEWS}/{of}", body)).status == 422, body
    refused = await send("PUT", f"{VIEWS}/products", {"name": "x", "query": "ä"})
    assert refused.status == 422
    for _ in range(2):
        assert (await send("DELETE", f"{VIEWS}/products?name=My%20mugs")).status == 204
    assert (await send("GET", VIEWS)).json()["items"] == []


@pytest.mark.parametrize("name", ["in/out", "a\\b", ".", "..", "100 % & more?", "#1"])
async def test_a_view_may_have_any_name(users, name):
    token, _ = await registered(users)
    body = {"name": name, "query": "q=x"}
    assert (await users.request("PUT", f"{VIEWS}/products", body, token=token)).status == 204
    [view] = (await users.request("GET", VIEWS, token=token)).json()["items"]
    assert view["name"] == name
    path = f"{VIEWS}/products?{urlencode({'name': name})}"
    assert (await users.request("DELETE", path, token=token)).status == 204
    assert (await users.request("GET", VIEWS, token=token)).json()["items"] == []


async def test_views_are_at_most_a_hundred(users):
    token, _ = await registered(users)
    for n in range(101):
        body = {"name": f"v{n}", "query": ""}
        answer = await users.request("PUT", f"{VIEWS}/products", body, token=token)
        assert answer.status == (204 if n < 100 else 409), n


async def test_they_go_with_the_account(users):
    token, _ = await registered(users)
    body = {"name": "x", "query": "q=ada"}
    await users.request("PUT", f"{VIEWS}/products", body, token=token)
    seen = (await users.request("GET", "/api/v1/me", token=token)).headers["etag"]
    gone = await users.request("DELETE", "/api/v1/me", token=token, headers={"If-Match": seen})
    assert gone.status == 204
    assert await users.fetch("select from saved_views") == []
