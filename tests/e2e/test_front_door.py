"""The front door of a running shop: paths, header fields, limits, and who may ask from where."""

import asyncio
from uuid import uuid4

import documented
import msgspec
import pytest
from e2e.test_access import concrete, routes
from e2e.test_access_matrix import filled
from e2e.test_bad_input import in_turn, is_problem

from merkato.chassis.http import SERVICE
from merkato.gateway.headers import SAFE

CROOKED = [
    "/api/v1/orders/..%2f..%2fmetrics", "/api/v1/%2e%2e/readyz", "/api/v1/..;/admin",
    "//api/v1/orders", "/api//v1/orders", "/api/v1\\orders", "/api/v1/%5corders",
    "/api/v1/orders%00", "/api/v1/%252e%252e/admin", "/api/v1/orders/../admin",
    "/api/v1/./orders", "/api/v1/%c0%ae%c0%ae/orders",
]  # fmt: skip


async def raw(shop, head, body=b""):
    """Send bytes as they are; give status, header fields and body of the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    try:
        writer.write(head + b"\r\n\r\n" + body)
        async with asyncio.timeout(15):
            start = await reader.readuntil(b"\r\n\r\n")
            lines = start.decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            content = await reader.readexactly(int(fields.get("content-length", 0)))
    finally:
        writer.close()
    return int(lines[0].split()[1]), fields, content


@pytest.mark.parametrize("path", CROOKED)
async def test_crooked_paths_lead_nowhere(shop, path):
    head = f"GET {path} HTTP/1.1\r\nHost: shop".encode()
    status, fields, content = await raw(shop, head)
    assert status in (400, 404), (path, content)
    assert fields["content-type"] == "application/problem+json"
    assert msgspec.json.decode(content)["request_id"] == fields["x-request-id"]


@pytest.mark.parametrize(
    "fields",
    [
        "X-User-Id: 1\r\nX-Roles: admin", "X_User_Id: 1", "X-Forwarded-User: admin",
        "X-Original-URL: /api/v1/users", "X-HTTP-Method-Override: GET", "Forwarded: for=127.0.0.1",
        "X-Forwarded-Host: evil.example", "X-Real-IP: 10.0.0.1", "Authorization: Basic YTpi",
    ],
)  # fmt: skip
async def test_claims_about_oneself_are_not_believed(shop, fields):
    head = f"GET /api/v1/me HTTP/1.1\r\nHost: shop\r\n{fields}".encode()
    status, _, _ = await raw(shop, head)
    assert status == 401


async def test_bodies_end_where_they_must(shop):
    head = b"POST /api/v1/carts HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
    status, _, _ = await raw(shop, head + b"Content-Length: 1048577", b"x" * 1_000)
    assert status == 413  # before it was sent
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    status, _, _ = await raw(shop, head + b"Transfer-Encoding: chunked", chunk * 17 + b"0\r\n\r\n")
    assert status == 413
    packed = head + b"Content-Encoding: gzip\r\nContent-Length: 20"
    status, _, _ = await raw(shop, packed, b"\x1f\x8b" + b"0" * 18)
    assert status in (400, 415)


async def test_answers_are_safe_and_private(shop):
    _, token = await shop.member()
    mine = await shop("GET", "/api/v1/me", token=token)
    assert mine.headers["cache-control"] == "no-store"
    for answer in (mine, await shop("GET", "/api/v1/products"), await shop("GET", "/api/v1/x")):
        for name, value in SAFE:
            assert answer.headers[name.decode()] == value.decode()
        assert answer.headers.get("server", "nginx") == "nginx"  # no version, of nothing
    foreign = await shop("GET", "/api/v1/products", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_request_keeps_its_id(shop):
    mine = uuid4().hex
    for path in ("/api/v1/products", "/api/v1/nothing", "/ping", "/api/v1/../x"):
        answer = await shop("GET", path, headers={"x-request-id": mine})
        assert answer.headers["x-request-id"] == mine
    minted = await shop("GET", "/ping", headers={"x-request-id": "a\tb"})
    assert minted.headers["x-request-id"] != "a\tb"


async def test_what_is_not_ready_is_told_in_one_place(shop):
    told = await shop("GET", "/readyz")
    assert told.json() == {"status": "ok", "reasons": {}}
    is_problem(await shop("GET", "/api/v1/reservations/" + str(uuid4()), token=shop.admin))


def allowed(answer):
    return {one.strip() for one in answer.headers["allow"].split(",")}


async def test_whoever_asks_is_told_which_methods_there_are(shop):
    """Exactly those of the document, from OPTIONS and from 405, for every path there is."""

    async def ask(path, methods):
        where = filled(path)
        told = await shop("OPTIONS", where)
        assert told.status == 204, told
        known = {one.upper() for one in methods}
        implied = {"HEAD"} if "GET" in known and not path.endswith("/stream") else set()
        assert allowed(told) == known | implied | {"OPTIONS"}, path
        for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            refused = await shop(other, where, token=shop.admin)
            assert refused.status == 405, (other, path, refused)
            assert allowed(refused) == allowed(told), (other, path)

    paths = documented.document()["paths"]
    assert len(paths) > 100
    known = {
        "/problems/{slug}": "/problems/not-found",
        "/docs/pages/{name}": "/docs/pages/gateway",
    }
    await in_turn(ask, [(known.get(path, path), methods) for path, methods in paths.items()])


async def test_what_is_for_services_only_has_no_methods_either(shop):
    hidden = {path for _, path, policy in routes() if policy == SERVICE}
    hidden -= {path for _, path, policy in routes() if policy != SERVICE}
    assert len(hidden) > 3
    for path in hidden:
        for method in ("OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = await shop(method, concrete(path), token=shop.admin)
            assert answer.status == 404, (method, path, answer)
            assert "allow" not in answer.headers


async def test_heads_are_those_of_gets_without_their_bodies(shop):
    for path in ("/ping", "/readyz", "/openapi.json", "/api/v1/products", "/api/v1/me"):
        whole, head = await shop("GET", path), await shop("HEAD", path)
        assert (head.status, head.body) == (whole.status, b""), path
        assert head.headers["content-type"] == whole.headers["content-type"]
    missing = await shop("HEAD", "/api/v1/nothing")
    assert missing.status == 404
