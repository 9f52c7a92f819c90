"""Whatever is sent to whichever route: a problem document, and never a failure of ours."""

import asyncio
import itertools
import re
from uuid import uuid4

import pytest
from e2e.test_access import concrete, routes
from shopping import PASSWORD, PROBLEM, new_key

MIB = 1_048_576
HUGE = b"9" * 6_000
JSON = "application/json"
BODIES = {
    "empty": (b"", JSON),
    "malformed": (b'{"a": ', JSON),
    "two values": (b"{} {}", JSON),
    "not utf-8": (b'{"a": "\xff\xfe"}', JSON),
    "utf-16": ('{"a": 1}'.encode("utf-16"), JSON),
    "nul": (b'{"email": "a\\u0000b@example.org", "sku": "\\u0000", "reason": "\\u0000"}', JSON),
    "lone surrogate": (b'{"email": "\\ud800@example.org", "sku": "\\ud800"}', JSON),
    "huge number": (b'{"quantity": %b, "delta": %b, "on_hand": %b}' % (HUGE, HUGE, HUGE), JSON),
    "2**63": (b'{"quantity": 9223372036854775808, "on_hand": 9223372036854775808}', JSON),
    "not a number": (b'{"quantity": NaN, "delta": Infinity, "on_hand": 1e400}', JSON),
    "wrong types": (b'{"email": 1, "lines": "x", "quantity": true, "sku": [], "texts": []}', JSON),
    "unknown field": (b'{"is_staff": true}', JSON),
    "an array": (b"[]", JSON),
    "null": (b"null", JSON),
    "deep": (b"[" * 10_000 + b"]" * 10_000, JSON),
    "deeper": (b'{"a":' * 100_000, JSON),
    "too large": (b'"' + b"x" * MIB + b'"', JSON),
    "plain text": (b'{"quantity": 1}', "text/plain"),
    "form": (b"quantity=1", "application/x-www-form-urlencoded"),
    "latin-1": (b'{"a": "\xe9"}', "application/json; charset=latin-1"),
    "no type": (b"{}", ""),
}
STATUS = {"too large": {413}, "plain text": {415}, "form": {415}, "latin-1": {415}}
UNSURE = {"2**63", "unknown field", "empty", "no type", "an array", "null"}  # 4xx, or fine
QUERIES = [
    "limit=0", "limit=-1", "limit=101", "limit=1e9", "limit=" + "9" * 400, "limit=x",
    "cursor=%ff", "cursor=x", "cursor=bnVsbA", "cursor=WzFlNDAwXQ", "cursor=" + "A" * 501,
    "cursor=WzkyMjMzNzIwMzY4NTQ3NzU4MDhd", "since=0000-00-00", "since=2026-02-30T00:00:00Z",
    "since=9999-12-31T23:59:60Z", "since=2026-01-01T00:00:00",
    "since=0001-01-01T00:00:00%2B14:00", "since=9999-12-31T23:59:59-14:00",
    "status=nonsense", "state=nonsense",
    "currency=euro", "currency=%00", "locale=%27--", "sku=%00", "sku=%ED%A0%80", "q=%27%3Bselect",
    "q=%00", "q=" + "x" * 300, "customer=1", "order_id=1", "cart_id=x", "sort=;drop", "low=maybe",
    "min_price=-1", "min_price=" + "9" * 40, "country=xx", "customer_id=1", "category=%FF",
    "attr.%22=1", "limit=1&limit=2", "in_stock=2", "role=god", "template=%00",
]  # fmt: skip
# Whoever signs the body decides its form; uploads are files of other types, and larger.
SPECIAL = {
    "/api/v1/payments/webhooks/{provider:str}", "/api/v1/products/{product_id:uuid}/images",
    "/api/v1/imports",
}  # fmt: skip


def is_problem(answer, *, allowed=frozenset()):
    """See that an answer is a refusal as promised; `allowed`: other statuses that are fine."""
    if answer.status in allowed:
        return
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"].split(";")[0] == PROBLEM, answer
    problem = answer.json()
    assert problem["status"] == answer.status
    assert re.fullmatch(r"/problems/[a-z-]+", problem["type"])
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["instance"].endswith(problem["request_id"])
    shown = answer.body.lower()
    for secret in (b"traceback", b"select ", b"asyncpg", b"/src/", b"msgspec", b"litestar"):
        assert secret not in shown, answer


def with_bodies():
    return [(m, p, policy) for m, p, policy in routes() if m in ("POST", "PUT", "PATCH")]


@pytest.fixture(scope="session")
async def someone(shop):
    """Tokens by policy: an administrator for staff's routes, a customer for the rest."""
    _, token = await shop.member()
    return lambda policy: shop.admin if policy.startswith("staff:") else token


@pytest.mark.parametrize("kind", BODIES)
async def test_bad_bodies(shop, someone, kind):
    content, media_type = BODIES[kind]
    fine = {200, 201, 202, 204} if kind in UNSURE else set()

    async def send(method, path, policy):
        headers = {"content-type": media_type, "if-match": '"v1"', "x-cart-token": "0" * 43}
        answer = await shop(
            method, concrete(path), content, token=someone(policy), key=new_key(), headers=headers
        )
        is_problem(answer, allowed=fine | ({200} if path in SPECIAL else set()))
        wanted = STATUS.get(kind)
        if wanted and path not in SPECIAL and answer.status != 404:
            assert answer.status in wanted, (method, path, answer)

    await in_turn(send, with_bodies())


async def in_turn(send, cases, at_once=8):
    """Send for every case, a few at a time; tell of all that went wrong."""
    room, wrong = asyncio.Semaphore(at_once), []

    async def one(case):
        async with room:
            try:
                await send(*case)
            except AssertionError as error:
                wrong.append((*case, str(error)[:300]))

    await asyncio.gather(*(one(case) for case in cases))
    assert not wrong, "\n".join(map(str, wrong[:20]))


async def test_bad_queries(shop, someone):
    async def send(path, policy, query):
        answer = await shop("GET", f"{concrete(path)}?{query}", token=someone(policy))
        is_problem(answer, allowed={200, 301})

    reads = [
        (path, policy)
        for method, path, policy in routes()
        if method == "GET" and not path.endswith("/stream")  # never ends; see test_broker.py
    ]
    await in_turn(send, [(*read, query) for read, query in itertools.product(reads, QUERIES)])


async def test_bad_paths(shop, someone):
    bad = ["%00", "%ff", "..%2f..", "'; select", "x" * 300, "%ED%A0%80", "1", "0" * 36, "%0a"]

    async def send(method, path, policy, word):
        filled = re.sub(r"\{[a-z_]+(:[a-z]+)?\}", word, path)
        body = {} if method in ("POST", "PUT", "PATCH") else None
        answer = await shop(method, filled, body, token=someone(policy), key=new_key())
        is_problem(answer, allowed={200, 204, 301} if method in ("GET", "DELETE") else set())

    filled_in = [one for one in routes() if "{" in one[1] and one[1] not in SPECIAL]
    await in_turn(send, [(*one, word) for one, word in itertools.product(filled_in, bad)])


async def test_unknown_paths_methods_and_long_addresses(shop):
    is_problem(nothing := await shop("GET", "/api/v1/nothing"))
    assert nothing.json()["type"] == "/problems/not-found"
    for path in ("/nothing", "/.git/config", "/debug", "/api/v0/orders", "/internal"):
        assert (await shop("GET", path)).status == 404
    refused = await shop("DELETE", "/api/v1/orders")
    is_problem(refused)
    assert refused.status == 405
    assert {"GET", "POST"} <= {one.strip() for one in refused.headers["allow"].split(",")}
    for method in ("TRACE", "PROPFIND", "LOCK"):
        answer = await shop(method, "/api/v1/orders")
        is_problem(answer)
        assert answer.status in (404, 405)
    long = await shop("GET", "/api/v1/products?q=" + "x" * 9_000)
    is_problem(long)
    assert long.status == 414


async def test_header_fields_of_any_size_are_no_failure_of_ours(shop):
    for headers in (
        {"x-many-bytes": "x" * 7_000},
        {f"x-{n}": "1" for n in range(200)},
        {"authorization": "Bearer " + "x" * 7_000},
        {"idempotency-key": "é" * 20},
        {"x-cart-token": "x" * 7_000},
        {"x-request-id": "' or 1=1 --"},
        {"accept": "text/html"},
        {"upgrade": "websocket", "connection": "upgrade"},
        {"expect": "200-maybe"},
    ):
        answer = await shop("GET", "/api/v1/products", headers=headers)
        assert answer.status < 500, (headers, answer)
    connection = await asyncio.open_connection("127.0.0.1", shop.port)
    reader, writer = connection
    writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n")
    head = await asyncio.wait_for(reader.read(100), 10)
    writer.close()
    assert not re.match(rb"HTTP/1.1 5\d\d", head), head
    assert (await shop("GET", "/ping")).status == 200


@pytest.mark.parametrize("quantity", [0, -1, -(2**31), 1.5, "1", 10**9, 2**63, True, None, [], {}])
async def test_quantities(shop, quantity):
    email, token = await shop.member()
    body = shop.order_of({"A": quantity}, email)
    answer = await shop.place(body, token=token)
    is_problem(answer)
    assert answer.json()["type"] == "/problems/validation"
    assert answer.json()["errors"][0]["pointer"] == "/lines/0/quantity"


@pytest.mark.parametrize("amount", [10.10, "10.10", 1e2, -1, 10**12 + 1, True, None])
async def test_money_is_whole_minor_units(shop, amount):
    body = {
        "status": "draft", "texts": {"en": {"title": "T"}},
        "variants": [{"sku": uuid4().hex, "prices": [{"currency": "EUR", "amount_minor": amount}]}],
    }  # fmt: skip
    answer = await shop("POST", "/api/v1/products", body, token=shop.admin)
    is_problem(answer)
    assert answer.status == 422


async def test_accounts_with_strange_words(shop):
    for email in ("a@b\r\nBcc: x@y", "a b@c", "\u0000@x.org", "@", "x" * 300 + "@y.org", "a@a@a"):
        body = {"email": email, "password": PASSWORD}
        answer = await shop("POST", "/api/v1/auth/register", body)
        is_problem(answer)
        assert answer.status == 422
