"""Input made to confuse: JSON at its edges, strange texts, statements in disguise, odd requests.

docs/bad-input.md says which test answers for which kind of input.
"""

import time
from urllib.parse import quote

import documented
import pytest
from e2e.test_access import concrete
from e2e.test_bad_input import in_turn, is_problem, with_bodies
from e2e.test_front_door import raw
from shopping import new_key

# What takes long and is decided by services alone.
ONE_PROCESS = pytest.mark.parametrize("shop", [False], ids=["one-process"], indirect=True)
# After the names of JSONTestSuite: what no parser may take, and what every parser has to.
NO_JSON = [
    b"", b" ", b"[1 true]", b'["a",', b'[""],', b"[,1]", b"[1,,2]", b'["x"]]', b"[3[4]]", b"[1,]",
    b"[,]", b"[-]", b"[", b"[1", b"]", b"{", b"}", b"{]", b"[}", b"[fals]", b"[nul]", b"[tru]",
    b"[+1]", b"[.5]", b"[1.]", b"[-01]", b"[-2.]", b"[0.e1]", b"[0e]", b"[0e+]", b"[1.0e]",
    b"[1e]", b"[2.e3]", b"[0x42]", b"[Infinity]", b"[-Infinity]", b"[NaN]", b"[-NaN]", b"[012]",
    b"[1 000.0]", b"[--2.]", b"[1+2]", b"[1eE2]", b"[1ea]", b"[-1x]", b"[++1234]", b"['']",
    b'["\\a"]', b'["\\x00"]', b'["\\u00A"]', b'["\\u{20}"]', b'["a\x00a"]', b'["new\nline"]',
    b'["\t"]', b'["\\"]', b'["', b'"', b'["asd]', b"['single']", b"abc", b"a\xc3\xa5",
    b'{"x", null}', b'{"x"::"b"}', b'{1:1}', b'{a:"b"}', b'{"a":"a" 123}', b'{"a":"b",}',
    b'{"a":1,,"b":2}', b'{"a"', b'{"a":', b'{"a":}', b'{"a" "b"}', b'{"a":"b"}/**/', b'{"a":"b"}#',
    b'{"a":"b"}//', b"{null:null,null:null}", b"{'a':0}", b'{"a":true} "x"', b"<null>", b"True",
    b"[\x0c]", b"\xef\xbb\xbf{}", b"[\xe2\x81\xa0]", b"[1]x", b"1]", b"[][]", b"\xff\xfe[\x00]\x00",
    b"[\xff]", b'["\xe5"]', b'["\xc0\x80"]', b'["\xed\xa0\x80"]', b"\xe2\x80\x8b{}",
]  # fmt: skip
JSON = [
    b"[[]   ]", b'[""]', b"[]", b'["a"]', b"[false]", b'[null, 1, "1", {}]', b"[1\n]", b" [1]",
    b"[1,null,null,null,2]", b"[2] ", b"[0e+1]", b"[0e1]", b"[ 4]", b"[-0]", b"[-123]", b"[-1]",
    b"[1E22]", b"[1E-2]", b"[123e45]", b"[123.456e78]", b"[123.456789]", b'{"asd":"sdf"}',
    b'{"":0}', b"{}", b'{"a":[]}', b'{"foo\\u0000bar": 42}', b'["\\u0060\\u012a\\u12AB"]',
    b'["\\uD801\\udc37"]', b'["\\"\\\\\\/\\b\\f\\n\\r\\t"]', b'["\\u0000"]', b'["\x7f"]',
    '["\u2028\u2029\U0010ffff\ufffe"]'.encode(), b'["a/*b*/c"]', b'"x"', b"42", b"true", b"null",
    b"-0.1", b'["a"] ', b"[true]", b'\n{"a":\t1}\r\n', b"[1e-400]",
]  # fmt: skip


@ONE_PROCESS
async def test_what_is_no_json_is_malformed_everywhere(shop):
    """On every route that reads JSON."""
    _, token = await shop.member()

    async def send(method, path, policy, media_type, body):
        who = shop.admin if policy.startswith("staff:") else token
        headers = {"content-type": media_type, "if-match": '"v1"', "x-cart-token": "0" * 43}
        answer = await shop(method, path, body, token=who, key=new_key(), headers=headers)
        is_problem(answer)
        assert answer.status == 400, (body, answer)

    reading = []
    for method, path, policy in with_bodies():
        said = documented.operation(method, concrete(path)) or {}
        for media_type in said.get("requestBody", {"content": ()})["content"]:
            if documented.JSON.fullmatch(media_type):
                reading.append((method, concrete(path), policy, media_type))
    assert len(reading) > 60
    await in_turn(send, [(*route, body) for route in reading for body in NO_JSON if body.strip()])


async def test_json_that_is_not_wanted_is_no_malformed_json(shop):
    _, token = await shop.member()

    async def send(path, body):
        answer = await shop("POST", path, body, token=token, key=new_key())
        is_problem(answer, allowed={201})
        assert answer.status in (201, 422), (path, body, answer)

    await in_turn(send, [(p, b) for p in ("/api/v1/carts", "/api/v1/me/addresses") for b in JSON])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/carts", b'{"currency":"EUR","currency":"USD"}'),
        ("/api/v1/carts", b'{"currency":"EUR","\\u0063urrency":"USD"}'),
        ("/api/v1/orders", b'{"lines":[{"sku":"A","quantity":1,"quantity":-1}],'
                           b'"payment":{"method":"on_account"}}'),
    ],
)  # fmt: skip
async def test_a_member_that_is_there_twice_is_malformed(shop, path, body):
    _, token = await shop.member()
    answer = await shop("POST", path, body, token=token, key=new_key())
    is_problem(answer)
    assert (answer.status, answer.json()["type"]) == (400, "/problems/malformed"), answer


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 400), ("status=placed&status=placed", 400), ("status=null", 422),
        ("status=", 422), ("limit=", 422), ("limit=null", 422), ("since=null", 422),
    ],
)  # fmt: skip
async def test_a_parameter_is_there_once_and_means_what_it_says(shop, query, status):
    answer = await shop("GET", f"/api/v1/orders?{query}", token=shop.admin)
    is_problem(answer)
    assert answer.status == status, answer


async def test_the_country_of_a_query_is_a_country(shop):
    for path in ("/api/v1/tax-rates", "/api/v1/shipping-methods"):
        for country in ("", "de", "DEU", "D1"):
            answer = await shop("GET", f"{path}?country={country}", token=shop.admin)
            assert answer.status == 422, (path, country, answer)
    assert (await shop("GET", "/api/v1/users?role=God", token=shop.admin)).status == 422


SLEEPS = [
    "';select pg_sleep(5)--", "' or pg_sleep(5) is null--", "1;select pg_sleep(5)",
    "1) or pg_sleep(5)::text='", "$$;select pg_sleep(5);$$", "\\';select pg_sleep(5)--",
    "%27%3Bselect%20pg_sleep(5)--", "' union select null,null,null--", "x'||pg_sleep(5)||'",
    "id;waitfor delay '0:0:5'", "*", "%", "_", "a:*", "!", "(", "a & | b", "'a' <-> 'b'",
]  # fmt: skip


@ONE_PROCESS
async def test_statements_in_disguise_are_texts(shop):
    """Each as each parameter of each list: nothing sleeps, nothing breaks, nothing is shown."""
    lists = [
        (path, one["name"])
        for path, methods in documented.document()["paths"].items()
        for one in methods.get("get", {}).get("parameters", ())
        if one["in"] == "query" and "{" not in path and not path.endswith("/stream")
    ]
    assert len(lists) > 80

    async def ask(path, name, text):
        began = time.monotonic()
        answer = await shop("GET", f"{path}?{name}={quote(text)}", token=shop.admin)
        assert answer.status in (200, 400, 422), (path, name, text, answer)
        assert b"syntax error" not in answer.body
        if answer.status == 422 and "errors" in answer.json():  # under the name that was asked by
            assert answer.json()["errors"][0]["pointer"] == f"/{name}", answer
        assert time.monotonic() - began < 4, (path, name, text)

    await in_turn(ask, [(*where, text) for where in lists for text in SLEEPS])


async def test_no_more_lines_and_parameters_than_can_be_meant(shop):
    email, token = await shop.member()
    body = shop.order_of({f"SKU-{n}": 1 for n in range(10_000)}, email)
    answer = await shop.place(body, token=token)
    is_problem(answer)
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/lines"), answer
    for query, statuses in (
        ("&".join(f"x{n}=1" for n in range(10_000)), {414}),
        ("&".join(f"x{n}=1" for n in range(900)), {422}),
        ("q=" + "x" * 65_536, {414, 431}),
    ):
        answer = await shop("GET", f"/api/v1/products?{query}")
        is_problem(answer)
        assert answer.status in statuses, (query[:20], answer)


async def test_the_same_sku_twice_counts_twice(shop):
    email, token = await shop.member()
    sku = await shop.sell(stock=1)
    body = shop.order_of({sku: 1}, email)
    answer = await shop.place(body | {"lines": body["lines"] * 2}, token=token)
    is_problem(answer)
    assert (answer.status, answer.json()["type"]) == (409, "/problems/out-of-stock"), answer
    assert await shop.shelf(sku) == (1, 0)


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT shop:443 HTTP/1.1", "get /api/v1/products HTTP/1.1", "TRACE /ping HTTP/1.1",
        "PROPFIND /api/v1/orders HTTP/1.1", "PRI * HTTP/2.0", "GET * HTTP/1.1", "GET /ping HTTP/3",
    ],
)  # fmt: skip
async def test_odd_methods_and_versions_leave_the_shop_alive(shop, line):
    status, fields, _ = await raw(shop, f"{line}\r\nHost: shop".encode())
    assert status in (400, 404, 405, 505), status
    assert fields["content-type"] == "application/problem+json"
    assert (await shop("GET", "/ping")).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"upgrade": "h2c", "connection": "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABk"},
        {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
         "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "caf\xe9"},
        {"accept": "text/html"}, {"accept": "image/png;q=1"}, {"accept": "*/*;q=x"},
    ],
)  # fmt: skip
async def test_wishes_for_other_forms_are_answered_with_json(shop, fields):
    head = "".join(f"\r\n{name}: {value}" for name, value in fields.items())
    request = f"GET /api/v1/categories HTTP/1.1\r\nHost: shop{head}".encode("latin-1")
    status, answered, _ = await raw(shop, request)
    assert status == 200, answered
    assert answered["content-type"] == "application/json"


async def test_a_list_shows_ones_own_whatever_is_asked_for(shop):
    _, owner = await shop.member("owner")
    email, token = await shop.member("other")
    sku = await shop.sell()
    placed = await shop.place(shop.order_of({sku: 1}, email), token=owner)
    assert placed.status == 202
    number, whose = placed.json()["number"], placed.json()["customer_id"]
    for query in ("", "customer=me", f"customer={whose}", f"customer_id={whose}", f"q={number}",
                  f"q={email}", "status=placed", "customer=*", "sort=customer_id"):  # fmt: skip
        answer = await shop("GET", f"/api/v1/orders?{query}", token=token)
        is_problem(answer, allowed={200})
        assert number.encode() not in answer.body, (query, answer)
    for path in ("payments", "notifications", "credits", "returns", "ledger", "carts"):
        answer = await shop("GET", f"/api/v1/{path}?order_id={placed.json()['id']}", token=token)
        assert answer.status in (200, 403, 404, 405, 422), (path, answer)
        assert number.encode() not in answer.body, (path, answer)


async def test_measurements_are_for_those_who_run_the_shop(shop):
    for name in (
        "/debug",
        "/v0",
        "/.git",
        "/.env",
        "/server-status",
        "/actuator",
        "/api/v1/metrics",
    ):
        assert (await shop("GET", name)).status == 404, name
    assert (await shop("GET", "/metrics")).status == 200  # from this machine
