"""Rows of the catalogue of bad input over webhooks, topics and dead letters: a problem, no change.

Each test is a row (E: input, F: who may, G: secrets); addresses are in test_webhook_addresses.py.
After each, everything is as it was: the endpoint, its deliveries, the topic, the dead letter.
"""

from uuid import uuid4

import harness
import msgspec
import pytest
import webhook_desk
from e2e.test_bad_input import is_problem
from harness import answering
from service.letters_desk import cancelled, made, plant
from service.test_broker_log import ADMIN, stock
from service.test_webhooks_secrets import webhooks_secret
from webhook_desk import PATH, ask, deliveries, logged, subscribe

from merkato.broker.http.webhooks import Webhook
from merkato.config import SERVICES
from merkato.contracts.letters import IDS_MAX

TOPICS, LETTERS = "/api/v1/topics", "/api/v1/dead-letters"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/erp", "type": "erp.counted.v1",
         "data": {"n": 1}}  # fmt: skip
TABLES = ("subscriptions", "deliveries", "attempts", "topics", "published", "outbox", "log")


class Desk:
    """A broker with an endpoint, a delivery, a topic and a dead letter, and what all of it is."""

    def __init__(self, broker, inventory):
        self.broker, self.inventory = broker, inventory
        self.routes = []

    async def begin(self, receiver):
        self.url = receiver.url
        self.id = await subscribe(self.broker, receiver, topics=["inventory.stock_changed"])
        await logged(self.broker, stock(1))
        [self.delivery] = await deliveries(self.broker, self.id)
        await ask(self.broker, "POST", TOPICS, {"name": "erp.counted", "schema": SCHEMA})
        self.letter = f"inventory:{await plant(self.inventory, cancelled(uuid4()))}"
        one, sent = f"{PATH}/{self.id}", f"/api/v1/deliveries/{self.delivery['id']}"
        self.writes = {  # with a body that would do
            ("POST", PATH): {"url": self.url}, ("PATCH", one): {"description": "new"},
            ("POST", f"{one}/secret"): {"overlap_s": 5},
            ("POST", f"{one}/replay"): {"time": "2026-01-01T00:00:00Z"},
            ("POST", f"{one}/redeliveries"): {"state": "failed"},
            ("POST", TOPICS): {"name": "erp.counted", "schema": SCHEMA},
            ("POST", f"{LETTERS}/retry"): {"ids": [self.letter]},
            ("POST", f"{LETTERS}/discard"): {"ids": [self.letter]},
            ("POST", f"{LETTERS}/{self.letter}/edit"): {"data": {"reason": "staff"}},
        }  # fmt: skip
        self.acts = [("POST", f"{one}/ping"), ("POST", f"{sent}/redelivery"), ("DELETE", one),
                     ("POST", f"{LETTERS}/{self.letter}/retry"),
                     ("POST", f"{LETTERS}/{self.letter}/discard")]  # fmt: skip
        self.lists = [PATH, f"{one}/deliveries", "/api/v1/deliveries", LETTERS, "/api/v1/events"]
        self.reads = [*self.lists, one, sent, TOPICS, f"{LETTERS}/{self.letter}"]
        self.before = await self.all()

    async def all(self):
        rows = [await self.broker.fetch(f"select t::text from {name} t") for name in TABLES]
        rows.append(await self.inventory.fetch("select t::text from set_aside t"))
        return [sorted(row["t"] for row in table) for table in rows]

    async def refused(self, method, path, body=None, *statuses, pointer=None, **more):
        """See that it is refused with one of these statuses (any 4xx) and that nothing changed."""
        more.setdefault("token", ADMIN)
        if path.endswith("/events"):
            more.setdefault("key", uuid4().hex)
        answer = await self.broker.request(method, path, body, **more)
        is_problem(answer)
        assert not statuses or answer.status in statuses, (method, path, body, answer)
        if pointer is not None:
            pointers = [one["pointer"] for one in answer.json()["errors"]]
            assert pointer in pointers, (body, answer)
        return answer

    async def unchanged(self):
        assert await self.all() == self.before


@pytest.fixture
async def desk(new_database, receiver):
    async with harness.alone(made("inventory"), new_database) as inventory:
        apps = dict.fromkeys(SERVICES, answering(200, {"items": [], "count": 0}))
        apps["inventory"] = inventory.request.app
        async with harness.alone(webhook_desk.service(), new_database, apps=apps) as broker:
            one = Desk(broker, inventory)
            await one.begin(receiver)
            yield one
            await one.unchanged()


def raw(body, name, value):
    """A body with one field as these bytes."""
    return msgspec.json.encode(body | {name: msgspec.Raw(value)})


async def test_e02_e07_e09_what_cannot_be_read(desk):
    bad = [b"{", b"{} {}", b"\xff\xfe", b'{"url": "\xff"}', b"[" * 100_000, b'{"a":' * 10_000,
           '{"url": "x"}'.encode("utf-16")]  # fmt: skip
    for method, path in desk.writes:
        for body in bad:
            await desk.refused(method, path, body, 400, 422)
    for body in bad:
        for kind in ("application/cloudevents+json", "application/cloudevents-batch+json"):
            sent = {"content-type": kind}
            await desk.refused("POST", f"{TOPICS}/erp.counted/events", body, 400, 422, headers=sent)


async def test_e06_e11_numbers_that_are_none(desk):
    path = f"{PATH}/{desk.id}/secret"
    for value in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1", b"1.5", b'"5"', b"true",
                  b"9223372036854775808", b"9" * 5_000, b"null", b"604801"):  # fmt: skip
        await desk.refused("POST", path, raw({}, "overlap_s", value), 400, 422)
    for value in (b"0", b"-1", b"1.5", b'"1"', b"true", b"2147483648", b"9" * 5_000):
        body = raw({"name": "erp.counted", "schema": SCHEMA}, "version", value)
        await desk.refused("POST", TOPICS, body, 400, 409, 422)


async def test_e08_characters_that_databases_and_logs_choke_on(desk):
    for text in ("\x00", "a\x00b", "\x1b[31m", "\x08"):
        body = {"url": desk.url, "description": text}
        await desk.refused("POST", PATH, body, 400, 422)
        await desk.refused("POST", PATH, {"url": desk.url + text}, 400, 422)
        await desk.refused("POST", PATH, {"url": desk.url, "topics": [text]}, 400, 422)
        body = {"name": f"erp.{text}", "schema": SCHEMA}
        await desk.refused("POST", TOPICS, body, 400, 422)
        for name in ("service", "type", "key"):
            await desk.refused("POST", f"{LETTERS}/discard", {name: text}, 400, 422)
        body = {"ids": [f"inventory:{text}"]}
        await desk.refused("POST", f"{LETTERS}/discard", body, 400, 404, 422)
    lone = b'{"url": "%b", "description": "\\ud800"}' % desk.url.encode()
    await desk.refused("POST", PATH, lone, 400, 422)
    for word in ("%00", "%ff", "%ED%A0%80", "..%2f..", "nothing", "0" * 36, "x" * 300):
        for path in (PATH, "/api/v1/deliveries", TOPICS, LETTERS):
            await desk.refused("GET", f"{path}/{word}", None, 400, 404)
        await desk.refused("DELETE", f"{PATH}/{word}", None, 400, 404)


async def test_e12_other_types_than_asked_for(desk):
    for field, values in {
        "url": (1, None, [], {}, True), "topics": ("all", None, [1], [None], {"a": 1}),
        "description": (1, None, []), "ordered": (1, "true", None, []),
        "begin": ("now", [], 1, {"cursor": 1}, {"time": 1.5e30}),
    }.items():  # fmt: skip
        for value in values:
            await desk.refused("POST", PATH, {"url": desk.url, field: value}, 422)
            if field != "begin":
                await desk.refused("PATCH", f"{PATH}/{desk.id}", {field: value}, 422)
    for value in ("disabled", "deleted", "", 1, None, True):
        await desk.refused("PATCH", f"{PATH}/{desk.id}", {"state": value}, 422, pointer="/state")
    for value in (1, None, "x", [], True):
        await desk.refused("POST", TOPICS, {"name": "erp.counted", "schema": value}, 422)
        body = {"data": value}
        if not isinstance(value, dict):
            await desk.refused("POST", f"{LETTERS}/{desk.letter}/edit", body, 422)
    for ids in ("x", [1], [None], [], [""], [desk.letter] * (IDS_MAX + 1)):
        await desk.refused("POST", f"{LETTERS}/discard", {"ids": ids}, 422)


async def test_e13_f06_nobody_gives_an_endpoint_more_than_is_theirs_to_give(desk):
    for field, value in {
        "secret": "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0", "old_secret": "x", "state": "disabled",
        "reason": None, "failures": 0, "open_until": None, "position": 0, "began": 0,
        "cursor": "WzBd", "created_by": "user:1", "version": 9, "id": str(uuid4()),
        "__proto__": {}, "role": "admin",
    }.items():  # fmt: skip
        for method, path in desk.writes:
            if (field, method) == ("state", "PATCH") or path.endswith("/redeliveries"):
                continue
            if field in ("version", "cursor", "state") and path != PATH:
                continue  # these are fields of another request there
            body = desk.writes[method, path] | {field: value}
            await desk.refused(method, path, body, 422)


async def test_e25_pages_and_lists_without_measure(desk):
    for path in desk.lists:
        most = 1_001 if path == "/api/v1/events" else 101
        for limit in ("0", "-1", str(most), "1e9", "9" * 400, "x", "%00"):
            await desk.refused("GET", f"{path}?limit={limit}", None, 400, 422)
    for topics in (["orders.order_placed"] * 51, ["x" * 201], [""]):
        await desk.refused("POST", PATH, {"url": desk.url, "topics": topics}, 422)
    await desk.refused("POST", PATH, {"url": "http://127.0.0.1/" + "x" * 2_000}, 422)
    await desk.refused("POST", PATH, {"url": desk.url, "description": "x" * 20_001}, 422)
    body = b'{"url": "' + b"x" * 1_048_576 + b'"}'
    await desk.refused("POST", PATH, body, 413)


async def test_e26_filters_and_states_that_do_not_exist(desk):
    for path in (f"{PATH}/{desk.id}/deliveries", "/api/v1/deliveries", LETTERS):
        for state in ("nonsense", "%27;select", "", "PENDING", "%00"):
            await desk.refused("GET", f"{path}?state={state}", None, 400, 422)
    for service in ("nobody", "%00", "inventory%20", "x" * 41):
        await desk.refused("GET", f"{LETTERS}?service={service}", None, 400, 422)
    await desk.refused("POST", PATH, {"url": desk.url, "topics": ["orders.nothing"]}, 422)
    await desk.refused("POST", f"{PATH}/{desk.id}/redeliveries", {"state": "pending"}, 422)
    await desk.refused("POST", f"{PATH}/{desk.id}/redeliveries", {}, 422, pointer="/state")
    await desk.refused("POST", f"{LETTERS}/retry", {"service": "nobody"}, 422, pointer="/service")
    for id in (f"nobody:{uuid4()}", str(uuid4()), "inventory:", f"inventory:{uuid4()}", ":"):
        await desk.refused("POST", f"{LETTERS}/{id}/retry", None, 404)


async def test_e29_times_and_cursors_that_are_none(desk):
    for time in ("0000-00-00", "2026-02-30T00:00:00Z", "9999-12-31T23:59:60Z", "yesterday", "",
                 "2026-01-01T00:00:00", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00",
                 "0001-01-01T00:00:00+14:00"):  # fmt: skip
        await desk.refused("POST", PATH, {"url": desk.url, "begin": {"time": time}}, 422)
        await desk.refused("POST", f"{PATH}/{desk.id}/replay", {"time": time}, 422)
        again = {"state": "failed", "since": time}
        await desk.refused("POST", f"{PATH}/{desk.id}/redeliveries", again, 422)
    for cursor in ("x", "%ff", "bnVsbA", "WzFlNDAwXQ", "W10", "WyJ4Il0", "A" * 501, "",
                   "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"):  # fmt: skip
        await desk.refused("POST", PATH, {"url": desk.url, "begin": {"cursor": cursor}}, 422)
        await desk.refused("POST", f"{PATH}/{desk.id}/replay", {"cursor": cursor}, 422)
        for path in desk.lists:
            name = "after" if path == "/api/v1/events" else "cursor"
            await desk.refused("GET", f"{path}?{name}={cursor}", None, 400, 422)
    both = {"cursor": "WzBd", "time": "2026-01-01T00:00:00Z"}
    for begin in ({}, both):
        await desk.refused("POST", f"{PATH}/{desk.id}/replay", begin, 422)


async def test_e31_other_media_types(desk):
    for method, path in desk.writes:
        body = msgspec.json.encode(desk.writes[method, path])
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                     "application/json; charset=latin-1", "application/xml"):  # fmt: skip
            await desk.refused(method, path, body, 415, headers={"content-type": kind})
    events = f"{TOPICS}/erp.counted/events"
    for kind in ("text/plain", "application/cloudevents+xml", "application/avro"):
        body = msgspec.json.encode(EVENT)
        await desk.refused("POST", events, body, 415, headers={"content-type": kind})


async def test_events_that_are_none_are_not_published(desk):
    events = f"{TOPICS}/erp.counted/events"
    wrong = (
        {"id": ""}, {"id": None}, {"source": ""}, {"specversion": "0.3"}, {"type": "erp.other.v1"},
        {"type": "orders.order_placed.v1"}, {"data": {"n": "1"}}, {"data": None}, {"time": "now"},
        {"Subject": "x"}, {"ext_1": "x"}, {"id": "a\x00"}, {"subject": "\x00"},
        {"data": {"n": 1.5}},
    )  # fmt: skip
    for change in wrong:
        await desk.refused("POST", events, EVENT | change, 400, 404, 422, headers=STRUCTURED)
    await desk.refused("POST", f"{TOPICS}/erp.nothing/events", EVENT, 404, headers=STRUCTURED)
    await desk.refused(
        "POST", f"{TOPICS}/orders.order_placed/events", EVENT, 403, 404, 409, 422,
        headers=STRUCTURED,
    )  # fmt: skip
    batch = {"content-type": "application/cloudevents-batch+json"}
    good_and_bad = [EVENT, EVENT | {"id": "2", "data": {"n": "x"}}]
    for body in ([], [EVENT] * 101, good_and_bad, [[EVENT]], [None]):
        await desk.refused("POST", events, body, 400, 422, headers=batch)


async def test_keys_and_versions_that_are_none(desk):
    for key in ("short", "x" * 101, "with space with space", "é" * 20, '"', "' or 1=1 --' or"):
        for method, path in (("POST", PATH), ("POST", f"{PATH}/{desk.id}/redeliveries")):
            await desk.refused(method, path, desk.writes[method, path], 400, key=key)
    for tag in ("x", "v1", '"v"', '"v0"', '"v' + "9" * 400 + '"', 'W/"v1"', "*", '"v2"'):
        sent = {"if-match": tag}
        await desk.refused("PATCH", f"{PATH}/{desk.id}", {"ordered": True}, 412, headers=sent)


async def test_f04_f10_f16_f26_whoever_is_not_known_gets_nothing(desk):
    tokens = ("", "null", " ", "[]", "x" * 5_000, "a.b.c", ADMIN[:-1], f"{ADMIN}x", "mk_00000000_0")
    everything = [*desk.writes, *desk.acts, *(("GET", path) for path in desk.reads)]
    for method, path in everything:
        body = desk.writes.get((method, path))
        await desk.refused(method, path, body, 401, token=None)
        claims = {"x-user-id": "1", "x-roles": "admin", "x-forwarded-user": "admin"}
        await desk.refused(method, path, body, 401, token=None, headers=claims)
        await desk.refused(method, f"{path}?access_token={ADMIN}", body, 401, token=None)
        for token in tokens:
            sent = {"authorization": f"Bearer {token}"}
            await desk.refused(method, path, body, 401, token=None, headers=sent)


async def test_f09_whoever_may_not_does_not(desk):
    customer, reader = harness.user_token(), harness.user_token(role="staff")
    for path in desk.reads:
        await desk.refused("GET", path, None, 403, token=customer)
    for method, path in (*desk.writes, *desk.acts):
        body = desk.writes.get((method, path))
        await desk.refused(method, path, body, 403, token=customer)
        if not path.startswith((LETTERS, TOPICS)):
            await desk.refused(method, path, body, 403, token=reader)


async def test_f07_g12_answers_hold_what_is_documented_and_no_secret(desk):
    [secret] = [
        row["secret"] for row in await desk.broker.fetch("select secret from subscriptions")
    ]
    documented = {*Webhook.__struct_fields__} - {"secret"}
    shown = await ask(desk.broker, "GET", f"{PATH}/{desk.id}")
    assert {*shown} == documented
    assert {*(await ask(desk.broker, "GET", PATH))["items"][0]} == documented
    for path in desk.reads:
        answer = await desk.broker.request("GET", path, token=ADMIN)
        assert answer.status == 200, (path, answer)
        assert b"whsec_" not in answer.body
        assert bytes(secret).hex().encode() not in answer.body


async def test_e17_e28_words_are_given_back_as_they_came(new_database, receiver):
    words = ("=cmd|' /C calc'!A0", "<script>alert(1)</script>", "'; drop table subscriptions; --",
             "ﬀ K\u200b\u202e", "Ω≈ç√", "{{7*7}}", "%s%n", "a\r\nSet-Cookie: x",
             "😀" * 50)  # fmt: skip
    async with harness.alone(webhook_desk.service(), new_database) as broker:
        for word in words:
            id = await subscribe(broker, receiver, description=word)
            assert (await ask(broker, "GET", f"{PATH}/{id}"))["description"] == word
        assert len((await ask(broker, "GET", f"{PATH}?limit=100"))["items"]) == len(words)
        for secret in receiver.secrets:
            assert 24 <= len(webhooks_secret(secret)) <= 64
        assert len({*receiver.secrets}) == len(words)
