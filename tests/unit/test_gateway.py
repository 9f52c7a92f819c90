"""The gateway's rules: who is asking, how much, and which header fields pass."""

import time
from collections import Counter
from uuid import uuid4

import harness
import pytest

from merkato.chassis.tokens import Tokens
from merkato.config import Config, Gateway
from merkato.contracts.problem import RateLimited
from merkato.gateway.headers import Answers, Visitors, completed, is_suspect
from merkato.gateway.limits import Limits
from merkato.gateway.routing import is_canonical
from merkato.gateway.service import front

FEW = Gateway(
    unlimited=(), address_per_s=0.01, address_burst=5, principal_per_s=0.01, principal_burst=3,
    login_per_s=0.01, login_burst=2,
)  # fmt: skip


def request(path="/api/v1/products", method="GET", **fields):
    headers = [(n.replace("_", "-").encode(), v.encode()) for n, v in fields.items()]
    return {"method": method, "path": path, "headers": headers}


def limits_of(settings):
    return Limits(settings, Tokens("gateway", None, harness.KEYS.published))


def login_of(person):
    """The fields of a new login of somebody."""
    return {"authorization": f"Bearer {harness.user_token(person, sid=str(uuid4()))}"}


def test_a_bucket_is_emptied_and_refused_with_the_time_to_wait():
    limits = limits_of(FEW)
    left = [dict(limits.take(request(), "192.0.2.1"))[b"ratelimit"] for _ in range(5)]
    assert [one.split(b";")[1] for one in left] == [b"r=4", b"r=3", b"r=2", b"r=1", b"r=0"]
    with pytest.raises(RateLimited) as refused:
        limits.take(request(), "192.0.2.1")
    assert 90 <= int(refused.value.headers["Retry-After"]) <= 100
    assert refused.value.headers["ratelimit-policy"] == '"address";q=5;w=500'
    limits.take(request(), "192.0.2.2")


def test_each_kind_of_limit_counts_for_itself():
    limits = limits_of(FEW)
    key, _ = harness.api_key()
    for fields in (login_of(uuid4()), {"authorization": f"Bearer {key}"}, {"x_cart_token": "a"}):
        for n in range(3):
            limits.take(request(**fields), f"192.0.2.{n}")
        with pytest.raises(RateLimited, match="principal"):
            limits.take(request(**fields), "192.0.2.9")
    limits.take(request(x_cart_token="b"), "192.0.2.9")
    for _ in range(2):
        limits.take(request("/api/v1/auth/token", "POST"), "192.0.2.50")
    with pytest.raises(RateLimited, match="login"):
        limits.take(request("/api/v1/auth/token", "POST"), "192.0.2.50")
    limits.take(request("/api/v1/auth/jwks.json"), "192.0.2.50")


def test_a_new_login_is_the_same_principal():
    limits, person = limits_of(FEW), uuid4()
    for n in range(3):
        limits.take(request(**login_of(person)), f"192.0.2.{n}")
    with pytest.raises(RateLimited, match="principal"):
        limits.take(request(**login_of(person)), "192.0.2.9")
    limits.take(request(**login_of(uuid4())), "192.0.2.9")


def test_nobody_spends_what_is_somebody_elses():
    limits, victim = limits_of(FEW), uuid4()
    theirs = login_of(victim)["authorization"]
    head, body, _ = theirs.split(".")
    of_another = login_of(uuid4())["authorization"].split(".")
    forged = [
        f"{head}.{body}.{of_another[2]}",
        f"{head}.{body}.AAAA",
        f"{head}.{body}.",
        f"{head}.x",
    ]
    for n, one in enumerate(forged * 3):
        limits.take(request(authorization=one), f"192.0.2.{n}")
    for n in range(3):
        limits.take(request(authorization=theirs), f"192.0.2.{100 + n}")
    for _ in range(5):  # what proves nothing counts for its address alone
        limits.take(request(authorization=f"Bearer {uuid4()}", x_cart_token="a"), "192.0.2.99")
    with pytest.raises(RateLimited, match="address"):
        limits.take(request(authorization=f"Bearer {uuid4()}"), "192.0.2.99")


def test_a_refused_request_costs_nothing():
    limits = limits_of(FEW)
    for _ in range(2):
        limits.take(request("/api/v1/auth/token", "POST"), "192.0.2.1")
    for _ in range(20):
        with pytest.raises(RateLimited):
            limits.take(request("/api/v1/auth/token", "POST"), "192.0.2.1")
    for _ in range(3):
        limits.take(request(), "192.0.2.1")


def test_a_bucket_fills_again(monkeypatch):
    limits = limits_of(Gateway(unlimited=(), address_per_s=10.0, address_burst=2))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for _ in range(2):
        limits.take(request(), "192.0.2.1")
    with pytest.raises(RateLimited):
        limits.take(request(), "192.0.2.1")
    now += 0.11
    limits.take(request(), "192.0.2.1")


def test_replicas_tell_each_other_what_they_let_through():
    one, other = limits_of(FEW), limits_of(FEW)
    for _ in range(4):
        one.take(request(), "192.0.2.1")
    said = one.tell()
    assert b"192.0.2.1" not in said
    one.take(request(), "192.0.2.1")
    other.hear(said)
    other.take(request(), "192.0.2.1")
    with pytest.raises(RateLimited):
        other.take(request(), "192.0.2.1")
    assert one.tell()
    assert one.tell() == b""
    for noise in (b"", b"[]", b'{"nonsense:1": 5, "address:1": -3}'):
        other.hear(noise)


def test_only_configured_proxies_say_where_a_request_comes_from():
    fields = [(b"x-forwarded-for", b"198.51.100.7, 203.0.113.5, 10.0.0.2")]
    assert Visitors((), ()).address("192.0.2.1", fields) == "192.0.2.1"
    visitors = Visitors(("10.0.0.0/8", "192.0.2.1/32"), ("127.0.0.0/8",))
    assert visitors.address("192.0.2.1", fields) == "203.0.113.5"
    assert visitors.address("192.0.2.1", []) == "192.0.2.1"
    assert visitors.address("192.0.2.1", [(b"x-forwarded-for", b"nonsense")]) == "192.0.2.1"
    assert visitors.address("198.51.100.9", fields) == "198.51.100.9"
    assert visitors.is_unlimited("127.0.0.1")
    assert not visitors.is_unlimited("203.0.113.5")


def test_claims_and_names_read_in_two_ways_are_dropped():
    for name in (b"x-user-id", b"x-forwarded-host", b"forwarded", b"x_user_id", b"content_length"):
        assert is_suspect(name)
    for name in (b"authorization", b"x-cart-token", b"x-request-id", b"idempotency-key", b"accept"):
        assert not is_suspect(name)


async def added(answers, *fields, said=()):
    """The fields of an answer to a request."""
    sent = []

    async def send(message):
        sent.append(message)

    start = {"type": "http.response.start", "status": 200, "headers": list(said)}
    await completed(send, answers.of_api(list(fields)))(start)
    return Counter(name for name, _ in sent[0]["headers"]), dict(sent[0]["headers"])


async def test_answers_are_private_and_safe():
    answers = Answers(Config(public_url="https://merkato.example"))
    count, fields = await added(answers, (b"authorization", b"Bearer x"))
    assert fields[b"cache-control"] == b"no-store"
    assert fields[b"x-content-type-options"] == b"nosniff"
    assert b"max-age" in fields[b"strict-transport-security"]
    count, fields = await added(
        answers, (b"authorization", b"x"), said=[(b"cache-control", b"private")]
    )
    assert (count[b"cache-control"], fields[b"cache-control"]) == (1, b"private")
    plain = Answers(Config())
    _, fields = await added(plain, (b"origin", b"https://evil.example"))
    assert b"strict-transport-security" not in fields
    assert b"access-control-allow-origin" not in fields
    assert b"cache-control" not in fields


async def test_pages_of_configured_origins_may_call():
    partner = (b"origin", b"https://partner.example")
    evil = (b"origin", b"https://evil.example")
    answers = Answers(Config(gateway=Gateway(cors_origins=("https://partner.example",))))
    assert (await added(answers, partner))[1][b"access-control-allow-origin"] == partner[1]
    readable = (await added(answers, partner))[1][b"access-control-expose-headers"].split(b", ")
    assert {b"etag", b"location", b"next-cursor", b"retry-after"} <= set(readable)
    assert b"access-control-allow-origin" not in (await added(answers, evil))[1]
    asks = (b"access-control-request-method", b"POST")

    def preflight(*fields):
        return answers.preflight({"method": "OPTIONS", "headers": list(fields)})

    assert dict(preflight(partner, asks))[b"access-control-allow-origin"] == partner[1]
    assert b"access-control-allow-origin" not in dict(preflight(evil, asks))
    assert preflight(partner) is None
    assert b"access-control-allow-credentials" not in dict(preflight(partner, asks))


@pytest.mark.parametrize(
    "path",
    ["/a/../b", "/a/./b", "//a", "/a//b", "/a\\b", "/a%2fb", "/a%2Fb", "/%2e%2e/b", "/a%5cb",
     "/a%00", "/..", "a", "", "/a b", "/%252e%252e/a", "/a/..;/b", "/a%c0%af", "/a/%2E/b"],
)  # fmt: skip
def test_paths_that_can_be_read_in_two_ways(path):
    assert not is_canonical(path.encode())


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/b.c", "/a%20b", "/a/50%25", "/m%C3%BCtze", "/a..b"]
)
def test_paths_that_cannot(path):
    assert is_canonical(path.encode())


async def test_measurements_are_for_our_own_networks():
    config = Config(here=("gateway",), gateway=Gateway(unlimited=("127.0.0.0/8",)))
    door = front(config, {}, {})
    for address, status in (("127.0.0.1", 200), ("203.0.113.5", 404)):
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http", "method": "GET", "path": "/metrics", "raw_path": b"/metrics",
            "query_string": b"", "headers": [], "client": (address, 1), "state": {},
        }  # fmt: skip
        await door(scope, receive, send)
        assert sent[0]["status"] == status, address


def test_whoever_has_a_network_of_version_6_is_one_address():
    limits = limits_of(FEW)
    for n in range(5):
        limits.take(request(), f"2001:db8:0:7::{n:x}")
    for one in ("2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:0DB8::7:1:2:3:4"):
        with pytest.raises(RateLimited):
            limits.take(request(), one)
    limits.take(request(), "2001:db8:0:8::1")
    for _ in range(5):
        limits.take(request(), "::ffff:192.0.2.1")
    with pytest.raises(RateLimited):
        limits.take(request(), "192.0.2.1")
    limits.take(request(), "::ffff:192.0.2.2")
