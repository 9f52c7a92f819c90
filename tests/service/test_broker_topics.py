"""Topics: ours as they are in the code, others' with their schemas, and publishing to them."""

from uuid import uuid4

import harness
import jsonschema_rs
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from service.test_broker_log import ADMIN, service, walked

from merkato.broker.domain import projection, topics

TOPICS = "/api/v1/topics"
COUNTED = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "counted": {"type": "integer", "minimum": 0}},
    "required": ["sku", "counted"],
    "examples": [{"sku": "MUG", "counted": 3}],
}


@pytest.fixture
async def broker(new_database):
    async with harness.alone(service(), new_database) as alone:
        yield alone


def new_key():
    return uuid4().hex


async def register(broker, schema=COUNTED, name="erp.stock_counted", **more):
    body = {"name": name, "schema": schema, **more}
    return await broker.request("POST", TOPICS, body, token=ADMIN)


async def publish(broker, headers, body, name="erp.stock_counted", key=None):
    path = f"{TOPICS}/{name}/events"
    sent = {name.lower(): value for name, value in headers.items()}
    return await broker.request("POST", path, body, token=ADMIN, key=key or new_key(), headers=sent)


def event(n=1, **more):
    attributes = {"type": "erp.stock_counted.v1", "source": "/erp", "id": f"e-{n}", **more}
    return {"specversion": "1.0", **attributes, "data": {"sku": "MUG", "counted": n}}


STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


async def logged(broker):
    """Carry what was said to the log, as relay and ear do, and read it."""
    said = await broker.said()
    rows = await broker.fetch("select id from outbox order by seq")
    await broker.hear(*said, ids=[row["id"] for row in rows])
    return await walked(broker)


async def test_every_public_event_is_a_topic_with_a_schema_that_fits_its_sample(broker):
    page = (await broker.request("GET", TOPICS, token=ADMIN)).json()
    found = {one["name"]: one for one in page["items"]}
    assert {v["type"] for one in page["items"] for v in one["versions"]} == {*projection.PUBLIC}
    for one in page["items"]:
        assert one["description"]
        assert "broker" in one["hears"]
        for version in one["versions"]:
            jsonschema_rs.validate(version["schema"], version["sample"])
            properties = {*version["schema"]["properties"]}
            assert properties == {*projection.PUBLIC[version["type"]].public}
            assert not properties & projection.PUBLIC[version["type"]].hidden_fields()
    placed = found["orders.order_placed"]
    assert placed["says"] == "orders"
    assert placed["key"] == "order_id"
    assert {"payments", "notifications"} <= {*placed["hears"]}
    assert not {"users.access_changed", "users.password_reset_requested"} & found.keys()
    for name in ("orders.order_placed", "orders.order_placed.v1"):
        one = await broker.request("GET", f"{TOPICS}/{name}", token=ADMIN)
        assert one.json() == placed
    for name in ("orders.order_placed.v9", "users.access_changed", "nothing"):
        assert (await broker.request("GET", f"{TOPICS}/{name}", token=ADMIN)).status == 404


async def test_a_topic_is_registered_and_changed_compatibly(broker):
    new = await register(broker, description="Somebody counted.")
    assert new.status == 201
    assert new.headers["location"] == f"{TOPICS}/erp.stock_counted"
    assert new.json()["versions"][0]["sample"] == {"sku": "MUG", "counted": 3}
    again = await register(broker, description="Somebody counted.")
    assert (again.status, again.json()) == (200, new.json())
    wider = {**COUNTED, "properties": {**COUNTED["properties"], "by": {"type": "string"}}}
    changed = await register(broker, wider)
    assert (changed.status, changed.json()["versions"][0]["revision"]) == (200, 2)
    narrow = {**wider, "required": ["sku", "counted", "by"]}
    refused = await register(broker, narrow)
    assert (refused.status, refused.json()["type"]) == (409, "/problems/incompatible-schema")
    assert refused.json()["differences"] == [
        {"pointer": "/schema/required/by", "detail": "required now"}
    ]
    assert (await register(broker, narrow, version=3)).status == 409
    second = await register(broker, narrow, version=2)
    assert second.status == 201
    assert [one["version"] for one in second.json()["versions"]] == [1, 2]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("orders.mine", COUNTED),  # the shop's own
        ("erp", COUNTED),
        ("erp.counted.v1", COUNTED),
        ("Erp.counted", COUNTED),
        ("erp.counted", {"type": "nonsense"}),
        ("erp.counted", {"$ref": "http://127.0.0.1:1/schema"}),
        ("erp.counted", {"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
        ("erp.counted", {"$ref": "#/$defs/missing"}),
        ("erp.counted", {"pattern": "(a+)+\\1"}),
        ("erp.counted", {"description": "x" * 70_000}),
        ("erp.counted", {"$schema": "http://json-schema.org/draft-04/schema#"}),
    ],
)
async def test_what_is_no_topic_is_refused(broker, name, schema):
    refused = await register(broker, schema, name)
    assert refused.status == 422, refused
    assert refused.json()["errors"]


async def test_events_are_published_in_every_mode_and_logged_as_they_came(broker):
    await register(broker)
    assert (await publish(broker, STRUCTURED, event(1, subject="MUG", shelf="4"))).status == 202
    batch = await publish(broker, BATCH, [event(2), event(3)])
    assert batch.json() == {"accepted": 2, "duplicates": 0}
    binary = {
        "ce-specversion": "1.0", "ce-id": "e-4", "ce-source": "/erp",
        "ce-type": "erp.stock_counted.v1", "ce-subject": "M%C3%BCG",
        "content-type": "application/json",
    }  # fmt: skip
    assert (await publish(broker, binary, {"sku": "MUG", "counted": 4})).status == 202
    found = await logged(broker)
    assert [one["id"] for one in found] == ["e-1", "e-2", "e-3", "e-4"]
    assert [one["data"]["counted"] for one in found] == [1, 2, 3, 4]
    assert {one["source"] for one in found} == {"/erp"}
    assert found[0]["shelf"] == "4"
    assert (found[0]["subject"], found[3]["subject"]) == ("MUG", "MüG")
    by_topic = await walked(broker, "topic=erp.stock_counted")
    assert by_topic == found


async def test_the_foreign_sdk_publishes_and_reads(broker):
    await register(broker)
    attributes = {
        "type": "erp.stock_counted.v1",
        "source": "/sdk",
        "id": "s-1",
        "specversion": "1.0",
    }
    made = CloudEvent({**attributes}, {"sku": "MUG", "counted": 7})
    message = to_structured(made, JSONFormat())
    assert (await publish(broker, message.headers, message.body)).status == 202
    other = CloudEvent(
        {**attributes, "id": "s-2", "specversion": "1.0", "datacontenttype": "application/json"},
        {"sku": "MUG", "counted": 8},
    )
    message = to_binary(other, JSONFormat())
    assert (await publish(broker, message.headers, message.body)).status == 202
    await logged(broker)
    page = await walked(broker)
    shown = await broker.request("GET", f"/api/v1/events/{page[1]['cursor']}", token=ADMIN)
    read = from_http(
        HTTPMessage({"content-type": shown.headers["content-type"]}, shown.body),
        JSONFormat(), CloudEvent,
    )  # fmt: skip
    assert (read.get_id(), read.get_source()) == ("s-2", "/sdk")
    assert read.get_data() == {"sku": "MUG", "counted": 8}


async def test_an_event_is_published_once_by_source_and_id(broker):
    await register(broker)
    key = new_key()
    first = await publish(broker, STRUCTURED, event(1), key=key)
    replayed = await publish(broker, STRUCTURED, event(1), key=key)
    assert replayed.headers["idempotent-replayed"] == "true"
    assert replayed.body == first.body
    assert (await publish(broker, STRUCTURED, event(2), key=key)).status == 422
    again = await publish(broker, BATCH, [event(1), event(2), event(2)])
    assert again.json() == {"accepted": 1, "duplicates": 2}
    assert [one["id"] for one in await logged(broker)] == ["e-1", "e-2"]


async def test_what_does_not_fit_is_refused_whole_with_pointers(broker):
    await register(broker)
    wrong = event(2)
    wrong["data"] = {"sku": 5, "counted": -1}
    refused = await publish(broker, BATCH, [event(1), wrong])
    assert refused.status == 422
    assert {one["pointer"] for one in refused.json()["errors"]} == {
        "/1/data/sku",
        "/1/data/counted",
    }
    assert await broker.said() == []
    for bad in (
        event(1, type="erp.other.v1"),
        event(1, specversion="0.3"),
        event(1, id=""),
        event(1, source="a\nb"),
        event(1, time="yesterday"),
        event(1, time="2026-01-01T00:00:00"),
        event(1, UPPER="x"),
        event(1, dataschema=""),
        event(1, dataschema="no uri"),
        event(1, dataschema="https://a.b/" + "x" * 2_000),
        event(1, dataschema=5),
        event(1, extension={"a": 1}),
        event(1, datacontenttype="text/plain"),
        {k: v for k, v in event(1).items() if k != "data"},
        {**event(1), "data": {"sku": "x" * 200_000, "counted": 1}},
    ):
        refused = await publish(broker, STRUCTURED, bad)
        assert refused.status == 422, (bad, refused)
    for headers, body, status in (
        (STRUCTURED, b"{", 400),
        (BATCH, [], 422),
        (BATCH, [event(n) for n in range(101)], 422),
        ({"content-type": "text/plain"}, b"x", 415),
        ({"content-type": "application/json"}, event(1), 415),
        (STRUCTURED, b'{"specversion": "1.0", "data": 1e999}', 422),
    ):
        assert (await publish(broker, headers, body)).status == status, body
    missing = await publish(broker, STRUCTURED, event(1), name="erp.nothing")
    assert missing.status == 404
    path = f"{TOPICS}/erp.stock_counted/events"
    keyless = await broker.request("POST", path, event(1), token=ADMIN, headers=STRUCTURED)
    assert keyless.json()["type"] == "/problems/idempotency-key-missing"
    assert await broker.said() == []


@pytest.mark.parametrize(
    "one",
    [
        b'{%s,"data":{"sku":"M","counted":-5,"counted":1}}',
        b'{%s,"data":{"sku":"M","counted":1,"c\\u006funted":1}}',
        b'{%s,"data":{"sku":"M","counted":1,"more":[{"a":1,"a":1}]}}',
        b'{%s,"source":"/b","data":{"sku":"M","counted":1}}',
    ],
)
async def test_a_member_is_there_once_in_an_event_too(broker, one):
    await register(broker)
    body = one % b'"specversion":"1.0","id":"d","source":"/a","type":"erp.stock_counted.v1"'
    for headers, sent in ((STRUCTURED, body), (BATCH, b"[" + body + b"]")):
        refused = await publish(broker, headers, sent)
        assert (refused.status, refused.json()["type"]) == (400, "/problems/malformed"), refused
    binary = {
        "ce-specversion": "1.0", "ce-id": "d", "ce-source": "/a",
        "ce-type": "erp.stock_counted.v1", "content-type": "application/json",
    }  # fmt: skip
    twice = b'{"sku":"M","counted":-5,"counted":1}'
    assert (await publish(broker, binary, twice)).status == 400
    assert await broker.said() == []


async def test_what_is_read_from_a_log_can_be_published_again(broker):
    await register(broker)
    schema = "https://erp.example/schemas/counted.json?v=1"
    ours = {"sequence": 5, "causationid": "a-cause", "cursor": "WzVd", "requestid": ""}
    sent = event(1, subject="MUG", dataschema=schema, shelf="4", **ours)
    assert (await publish(broker, STRUCTURED, sent)).status == 202
    assert (await publish(broker, BATCH, [event(2)])).status == 202
    binary = {
        "ce-specversion": "1.0", "ce-id": "e-3", "ce-source": "/erp", "ce-cursor": "x",
        "ce-type": "erp.stock_counted.v1", "ce-dataschema": schema, "ce-sequence": "1",
    }  # fmt: skip
    headers = {"content-type": "application/json"}
    answer = await publish(broker, binary | headers, {"sku": "MUG", "counted": 3})
    assert answer.status == 202
    found = await logged(broker)
    assert [one["dataschema"] for one in found] == [
        schema, "/api/v1/topics/erp.stock_counted.v1", schema,
    ]  # fmt: skip
    assert found[0]["shelf"] == "4"
    for name in ("sequence", "causationid", "requestid"):
        assert name not in found[0]
    assert len({one["cursor"] for one in found} - {"x", "WzVd"}) == 3
    elsewhere = [one | {"source": "/elsewhere"} for one in found]
    assert (await publish(broker, BATCH, elsewhere)).json() == {"accepted": 3, "duplicates": 0}
    again = (await logged(broker))[-3:]
    assert [one | {"cursor": ""} for one in again] == [one | {"cursor": ""} for one in elsewhere]


async def test_extensions_have_a_size_and_the_largest_event_is_taken(broker):
    name, type_ = "erp.anything", "erp.anything.v1"
    await register(broker, {}, name)
    for extensions, pointer in (
        ({"note": "x" * 600_000}, "/note"),
        ({"note": "\u8a9e" * 20_000}, "/note"),
        ({f"note{n}": "x" * 200 for n in range(3_000)}, "/note15"),
    ):
        refused = await publish(broker, STRUCTURED, event(1, type=type_, **extensions), name)
        assert refused.status == 422, refused
        assert refused.json()["errors"][0]["pointer"].startswith(pointer)
    long = '"' * 256
    largest = event(1, type=type_, source=long, id=long, subject=long, note='"' * 16_000)
    largest["data"] = ['"' * 65_000]
    assert (await publish(broker, STRUCTURED, largest, name)).status == 202
    [found] = await logged(broker)
    assert {word: found[word] for word in largest} == largest


def test_what_breaks_readers_or_publishers_is_a_difference():
    def pointers(now):
        return [one["pointer"].removeprefix("/schema") for one in topics.differences(COUNTED, now)]

    words = {"title": "Counted", "description": "x", "examples": [1]}
    assert pointers({**COUNTED, **words}) == []
    assert pointers({**COUNTED, "$defs": {"New": {}}}) == []
    assert pointers({**COUNTED, "type": "array"}) == ["/type"]
    assert pointers({**COUNTED, "additionalProperties": False}) == ["/additionalProperties"]
    assert pointers({**COUNTED, "required": ["sku"]}) == ["/required/counted"]
    properties = {"sku": {"type": "string"}, "counted": {"type": "integer", "minimum": 1}}
    assert pointers({**COUNTED, "properties": properties}) == ["/properties/counted/minimum"]
    assert pointers({**COUNTED, "properties": {"sku": {"type": "string"}}}) == [
        "/properties/counted"
    ]
    assert pointers({}) == [
        "/properties/counted", "/properties/sku", "/required/counted", "/required/sku", "/type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "pointers"),
    [
        ({"const": 1}, {"const": True}, ["/const"]),
        ({"const": [0]}, {"const": [False]}, ["/const"]),
        ({"const": 1}, {"const": 1.0}, []),
        ({"const": {"title": 1}}, {"const": {"title": 2}}, ["/const"]),
        ({"enum": [0, "a"]}, {"enum": [False, "a"]}, ["/enum"]),
        ({"enum": [{"a": 0}]}, {"enum": [{"a": False}]}, ["/enum"]),
        ({"enum": [1]}, {"enum": [1.0]}, []),
        ({"minimum": 1}, {"minimum": 1.0}, []),
        ({"items": True}, {"items": False}, ["/items"]),
        ({"properties": {"title": True}}, {"properties": {"title": False}}, ["/properties/title"]),
        ({"properties": {"title": {}}}, {"properties": {}}, ["/properties/title"]),
        ({"$defs": {"title": {"type": "string"}}}, {"$defs": {"title": {}}}, ["/$defs/title/type"]),
        ({"$defs": {"$defs": {"const": 1}}}, {"$defs": {"$defs": {}}}, ["/$defs/$defs/const"]),
        (
            {"patternProperties": {"title": {"type": "string"}}},
            {"patternProperties": {"title": {"type": "integer"}}},
            ["/patternProperties/title/type"],
        ),
        ({}, {"patternProperties": {"title": {}}}, ["/patternProperties/title"]),
        ({"patternProperties": {}}, {}, []),
        (
            {"dependentSchemas": {"default": {"required": ["a"]}}},
            {"dependentSchemas": {}},
            ["/dependentSchemas/default"],
        ),
        ({"dependentRequired": {"title": ["a"]}}, {}, ["/dependentRequired/title"]),
        (
            {"patternProperties": {"required": {"title": "x"}}},
            {"patternProperties": {"required": {"title": "y"}}},
            [],
        ),
    ],
)
def test_values_are_compared_as_json_and_names_are_no_words(before, now, pointers):
    found = [one["pointer"] for one in topics.differences(before, now)]
    assert found == [f"/schema{one}" for one in pointers]


async def test_a_schema_that_only_python_takes_for_the_same_is_refused(broker):
    assert (await register(broker, {"properties": {"a": {"const": 1}}})).status == 201
    refused = await register(broker, {"properties": {"a": {"const": True}}})
    assert (refused.status, refused.json()["type"]) == (409, "/problems/incompatible-schema")
    words = {"properties": {"a": {"const": 1, "default": 1}}}
    assert (await register(broker, words)).json()["versions"][0]["revision"] == 2
    words = {"properties": {"a": {"const": 1, "default": True}}}
    changed = (await register(broker, words)).json()["versions"][0]
    assert (changed["revision"], changed["schema"]) == (3, words)
