"""The registry over HTTP: what there is to read and to publish, and publishing."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post

from merkato.broker.actions import topics as actions
from merkato.broker.domain import topics
from merkato.broker.domain.topics import Topic, Version
from merkato.broker.http import cloudevents
from merkato.broker.store import topics as store
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import IdempotencyKey, Page, respond, staff
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, Validation
from merkato.contracts.values import Text

PATH = "/api/v1/topics"
READ = "events:read"
ERRORS_MAX = 20  # pointers in one refusal


class Registry:
    """Our own topics, made from the code once."""

    def __init__(self, own: dict[str, Topic]) -> None:
        self.own = own


class NewTopic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topic of yours, or its next version; `schema` is of the data, JSON Schema 2020-12."""

    name: Annotated[str, msgspec.Meta(max_length=200)]
    version: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    description: Text = ""
    schema: dict[str, Any]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """How many events will be in the log; duplicates, by source and id, were there before."""

    accepted: int
    duplicates: int


@get(PATH, policy=staff(READ))
async def list_topics(registry: Registry, db: Database) -> Page[Topic]:
    """List all topics by name, with the schema and a sample of each version."""
    async with db.reading() as tx:
        external = _external(await store.every(tx))
    found = {**registry.own, **external}
    return Page(items=[found[name] for name in sorted(found)])


@get(f"{PATH}/{{name:str}}", policy=staff(READ))
async def show_topic(name: str, registry: Registry, db: Database) -> Topic:
    """Give a topic by name; with a version in the name (as in `dataschema`) that one alone."""
    plain, version = topics.split(name)
    async with db.reading() as tx:
        topic = registry.own.get(plain) or _external(await store.of(tx, plain)).get(plain)
    if topic is None:
        raise NotFound("There is no such topic.")
    versions = [one for one in topic.versions if version in (None, one.version)]
    if not versions:
        raise NotFound("There is no such version of this topic.")
    return msgspec.structs.replace(topic, versions=versions)


def _external(rows: list[Row]) -> dict[str, Topic]:
    found: dict[str, Topic] = {}
    for row in rows:
        before = found.get(row["name"])
        one = Version(
            version=row["version"],
            revision=row["revision"],
            type=topics.type_of(row["name"], row["version"]),
            schema=row["schema"],
            sample=next(iter(row["schema"].get("examples") or [None]), None),
        )
        found[row["name"]] = Topic(
            name=row["name"],
            description=row["description"],
            external=True,
            says=row["registered_by"],
            hears=[],
            key="subject",
            versions=[*(before.versions if before else ()), one],
        )
    return found


@post(PATH, policy=staff("topics:write"), also=(200,), answers=Topic)
async def register_topic(
    data: NewTopic, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Register a topic (201), or change one compatibly (200); the same again changes nothing.

    A change that would break publishers or readers is refused (409) with its differences; it can
    be registered as the next version.
    """
    key = parse_key(idempotency_key, required=False)
    topics.check_name(data.name)
    topics.validator(data.schema)

    async def work(tx: Tx) -> Answer:
        new = await actions.register(
            tx, data.name, data.version, data.description, data.schema, caller.principal
        )
        note(tx, caller, "broker.topic_registered", f"topic:{data.name}", after=data)
        topic = _external(await store.of(tx, data.name))[data.name]
        return answer(201 if new else 200, topic, location=f"{PATH}/{data.name}")

    return respond(await once(db, (caller.principal, f"POST {PATH}", key), data, work))


@post(
    f"{PATH}/{{name:str}}/events", policy=staff("events:publish"), opt={"media_type": "any"},
    reads=cloudevents.READS,
    status_code=202, answers=Accepted,
)  # fmt: skip
async def publish(
    name: str,
    request: Request[Any, Any, Any],
    caller: Caller,
    db: Database,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Publish one CloudEvent or a batch, all or none of it.

    Each must be of a type of this topic, and its data must fit the schema (else 422). An event
    whose source and id are known is a duplicate: it is left out, and nothing is wrong. One event
    may be sent in binary mode as well: its attributes in `ce-…` headers, its data as JSON.
    """
    key = parse_key(idempotency_key, required=True)
    body = await request.body()
    given = dict(request.headers.items())
    events = cloudevents.read(given.get("content-type", ""), given, body)
    async with db.reading() as tx:
        versions = {topics.type_of(name, row["version"]): row for row in await store.of(tx, name)}
    if not versions:
        raise NotFound("There is no such topic to publish to.")
    batch = len(events) > 1 or given.get("content-type", "").startswith(cloudevents.BATCH)
    chosen = []
    for n, one in enumerate(events):
        at = f"/{n}" if batch else ""
        row = versions.get(one.type)
        if row is None:
            known = ", ".join(versions)
            raise Validation.at(f"{at}/type", f"Events of this topic are of type {known}.")
        _check(row, one.value, f"{at}/data")
        chosen.append(row)

    async def work(tx: Tx) -> Answer:
        duplicates = await actions.publish(tx, chosen, events, datetime.now(UTC))
        done = Accepted(accepted=len(events) - duplicates, duplicates=duplicates)
        return answer(202, done)

    scope = (caller.principal, f"POST {PATH}/{name}/events", key)
    return respond(
        await once(db, scope, [(one.source, one.id, one.type, one.data) for one in events], work)
    )


_validators: dict[tuple[str, int, int], Any] = {}


def _check(row: Row, value: Any, at: str) -> None:
    """See that data fit a topic's schema. Raises Validation with a pointer for each mistake."""
    name = (row["name"], row["version"], row["revision"])
    if name not in _validators:
        _validators[name] = topics.validator(row["schema"])
    errors = []
    for error in _validators[name].iter_errors(value):
        pointer = at + "".join(f"/{part}" for part in error.instance_path)
        errors.append({"pointer": pointer, "detail": error.message[:300]})
        if len(errors) == ERRORS_MAX:
            break
    if errors:
        raise Validation("The data do not fit the topic's schema.", errors=errors)
