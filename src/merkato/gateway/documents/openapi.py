"""One OpenAPI 3.1 document of the whole shop, made from the routes of all services."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from merkato.chassis import http
from merkato.chassis.description import Given, Operation, is_json, operations
from merkato.chassis.service import Service
from merkato.contracts.problem import Problem
from merkato.gateway.documents.examples import example
from merkato.gateway.documents.own import OWN_PATHS

Json = dict[str, Any]
REF = "#/components/schemas/{name}"
NO_NUL = r"^[^\x00]*$"
ONE_SEGMENT = (  # what no hop of a path reads in two ways; see gateway.routing
    r"^(?!\.{1,2}(?:;|$))(?!.*%(?:25)*(?:2[eEfF]|5[cC]|00))[^\x00/\\]+$"
)
QUALIFIED = re.compile(r"merkato\.(\w+)(?:\.\w+)*\.(\w+)")
TEXT = """\
Everything one can do with the shop. JSON in `snake_case`, times in UTC (RFC 3339), money as \
whole minor units of its currency. Lists are pages: `items` and `next_cursor`. Refusals are \
problem documents (RFC 9457), whose `type` is a page that explains them. Where money or \
stock moves an `Idempotency-Key` makes a repeat harmless; where a change must not overwrite \
another, `If-Match` carries the `ETag` one has seen."""
HEADERS: Json = {
    "X-Request-Id": {
        "description": "The id of this request: yours, if you sent one, or ours.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'What is left of the limit that is nearest: `"principal";r=99;t=1`.',
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}},
}
SECURITY: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Of a person, from POST /api/v1/auth/token; lives 15 minutes.",
    },
    "api-key": {
        "type": "http",
        "scheme": "bearer",
        "description": "Of an integration (`mk_…`); it may do what its scopes name.",
    },
    "cart-token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Cart-Token",
        "description": "Of a guest, from POST /api/v1/carts; proves that the cart is theirs.",
    },
    "order-token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Order-Token",
        "description": "Of a guest, from the answer to placing an order.",
    },
}
PROBLEM: Json = {
    "title": "Problem",
    "description": "A refusal (RFC 9457). Some kinds have members of their own.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "description": "What is wrong, by JSON pointer (RFC 6901).",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["pointer", "detail"],
            },
        },
    },
    "required": ["type", "title", "status"],
}


def described(services: Mapping[str, Service]) -> list[Operation]:
    """List every operation that the gateway lets in: all but those for services."""
    found = [one for name in sorted(services) for one in operations(name, services[name].routes)]
    return [one for one in found if one.policy != http.SERVICE]


def document(services: Mapping[str, Service]) -> Json:
    """Make the document. It is the same for the same code."""
    every = described(services)
    forms = _forms(every)
    schemas, components = msgspec.json.schema_components(forms.values(), ref_template=REF)
    by_form = dict(zip(forms, map(tidied, schemas), strict=True))
    shared = {_named(name): tidied(one) for name, one in components.items()}
    if len(shared) < len(components):
        raise ValueError(f"a service has two structs of one name: {sorted(components)}")
    paths: dict[str, Json] = defaultdict(dict)
    for one in every:
        paths[one.path][one.method.lower()] = _operation(one, by_form, shared)
    kinds = {kind for one in every for kind in one.problems} | {http.MethodNotAllowed}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Merkato", "version": version("merkato"), "description": TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "servers": [{"url": "/", "description": "This shop."}],
        "tags": [{"name": name, "description": _said(name)} for name in (*services, "gateway")],
        "paths": {path: paths[path] for path in sorted(paths)} | OWN_PATHS,
        "components": {
            "schemas": {**dict(sorted(shared.items())), "Problem": PROBLEM},
            "responses": {kind.slug: _shared_response(kind) for kind in _ordered(kinds)},
            "examples": {kind.slug: _problem_example(kind) for kind in _ordered(kinds)},
            "headers": HEADERS,
            "securitySchemes": SECURITY,
        },
    }  # fmt: skip


def fragment(whole: Json, service: str) -> Json:
    """Cut out of a document what concerns one service: its paths, and the schemas these use."""
    paths = {
        path: methods
        for path, methods in whole["paths"].items()
        if any(one["tags"] == [service] for one in methods.values())
    }
    schemas = whole["components"]["schemas"]
    used: dict[str, Json] = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = schemas[name]
            waiting += _references(schemas[name])
    return {"paths": paths, "schemas": {name: used[name] for name in sorted(used)}}


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, Mapping):
        target = part.get("$ref")
        if isinstance(target, str) and target.startswith("#/components/schemas/"):
            yield target.rsplit("/", 1)[-1]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def _forms(every: Sequence[Operation]) -> dict[str, Any]:
    """Give every type that needs a schema a name: where it stands."""
    forms: dict[str, Any] = {}
    for one in every:
        place = f"{one.method} {one.path}"
        forms |= {f"{place} {given.place} {given.name}": given.form for given in one.given}
        forms |= {f"{place} body {kind}": form for kind, form in one.reads.items() if form}
        for media_type, answer in one.answers.items():
            found = enumerate(_alternatives(answer))
            forms |= {f"{place} answer {media_type} {n}": kind for n, kind in found}
    return forms


def _alternatives(answer: Any) -> Sequence[Any]:
    """List what an answer may be; what is only written may be one of several structs."""
    if get_origin(answer) in (Union, UnionType):
        return get_args(answer)
    return [Any if answer is object else answer]


def _named(component: str) -> str:
    """Write a name that two services use as ``<service>.<Name>``."""
    return QUALIFIED.sub(r"\1.\2", component)


def tidied(schema: Any, key: str = "") -> Any:
    r"""Write a schema as its readers understand it: ECMA 262 has no ``\Z`` in patterns."""
    if isinstance(schema, dict):
        return {name: tidied(one, name) for name, one in schema.items()}
    if isinstance(schema, str):
        return (
            schema.replace(r"\Z", "$")
            if key == "pattern"
            else (_named(schema) if key == "$ref" else schema)
        )
    return [tidied(one) for one in schema] if isinstance(schema, list | tuple) else schema


def _operation(one: Operation, forms: Mapping[str, Json], components: Mapping[str, Json]) -> Json:
    place = f"{one.method} {one.path}"
    first, _, rest = one.text.partition("\n\n")
    made: Json = {
        "operationId": f"{one.service}.{one.name}",
        "tags": [one.service],
        "summary": " ".join(first.split()),
        "x-policy": one.policy,
        "security": _security(one),
    }
    if rest:
        made["description"] = " ".join(rest.split())
    if one.given:
        made["parameters"] = [
            _parameter(given, forms[f"{place} {given.place} {given.name}"], components)
            for given in one.given
            if given.name not in ("X-Cart-Token", "X-Order-Token")
        ]
    if one.reads:
        content = {kind: _body(one, kind, forms, components) for kind in one.reads}
        made["requestBody"] = {"required": True, "content": content}
    made["responses"] = _responses(one, {kind: _answer(place, kind, forms) for kind in one.answers})
    return made


def _body(
    one: Operation, media_type: str, forms: Mapping[str, Json], components: Mapping[str, Json]
) -> Json:
    schema = forms.get(f"{one.method} {one.path} body {media_type}")
    if schema is None:  # bytes
        return {}
    shown = one.example if one.example is not None else example(schema, components)
    return {"schema": schema, "example": shown}


def _answer(place: str, media_type: str, forms: Mapping[str, Json]) -> Json:
    start = f"{place} answer {media_type} "
    found = [schema for name, schema in forms.items() if name.startswith(start)]
    return {"anyOf": found} if len(found) > 1 else found[0]


def _parameter(given: Given, schema: Json, components: Mapping[str, Json]) -> Json:
    if given.default is not None and "$ref" not in schema:
        schema = {**schema, "default": given.default}
    schema = _limited(schema, ONE_SEGMENT if given.place == "path" else NO_NUL)
    made: Json = {"name": given.name, "in": given.place, "required": given.required}
    if given.name == "Idempotency-Key":
        made["description"] = "New for each request that is not a repeat; quoted or bare."
        made["example"] = "order-7f3a9c52d81e"
    elif given.name == "If-Match":
        made["description"] = "The ETag of what you have seen."
        made["example"] = '"v3"'
    elif given.required:
        made["example"] = example(schema, components, given.name)
    return made | {"schema": schema}


def _limited(schema: Json, pattern: str) -> Json:
    """Say of the texts of an address what the gateway and the edges of services see to."""
    if schema.get("type") == "array":
        return {**schema, "items": _limited(schema.get("items", {}), pattern)}
    told = schema.keys() & {"pattern", "enum", "format", "const"}
    return schema if told or schema.get("type") != "string" else {**schema, "pattern": pattern}


def _security(one: Operation) -> list[Json]:
    if one.policy == http.SIGNED:
        return []
    permission = [one.policy.removeprefix("staff:")] if one.policy.startswith("staff:") else []
    found: list[Json] = [{"token": []}, {"api-key": permission}]
    names = {given.name for given in one.given}
    if "X-Cart-Token" in names:
        found.append({"cart-token": []})
    if "X-Order-Token" in names:
        found.append({"order-token": []})
    if one.policy == http.ANYONE:
        found.append({})
    return found


def _responses(one: Operation, schemas: Mapping[str, Json]) -> Json:
    made: Json = {}
    has_content = bool(schemas) or not any(map(is_json, one.produces))
    for status in one.statuses:
        response: Json = {"description": http.PHRASES[status], "headers": _headers("X-Request-Id")}
        if has_content and status < 300:
            response["content"] = {
                kind: {"schema": schemas[kind]} if kind in schemas else {} for kind in one.produces
            }
        made[str(status)] = response
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    for kind in one.problems:
        by_status[kind.status].append(kind)
    for code, kinds in sorted(by_status.items()):
        made[str(code)] = (
            {"$ref": f"#/components/responses/{kinds[0].slug}"}
            if len(kinds) == 1
            else _response(kinds)
        )
    return made


def _response(kinds: Sequence[type[Problem]]) -> Json:
    examples = {kind.slug: {"$ref": f"#/components/examples/{kind.slug}"} for kind in kinds}
    schema = {"$ref": "#/components/schemas/Problem"}
    names = ["X-Request-Id"]
    if kinds[0].status in (409, 429, 503):
        names.append("Retry-After")
    return {
        "description": " · ".join(f"`{kind.slug}`: {_first(kind)}" for kind in kinds),
        "headers": _headers(*names),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


def _shared_response(kind: type[Problem]) -> Json:
    return _response([kind])


def _problem_example(kind: type[Problem]) -> Json:
    value: Json = {
        "type": f"/problems/{kind.slug}", "title": kind.title, "status": kind.status,
        "detail": _first(kind), "instance": "urn:request:0198c2f0-5a52-7c3e",
        "request_id": "0198c2f0-5a52-7c3e",
    }  # fmt: skip
    if kind.slug == "validation":
        value["errors"] = [{"pointer": "/lines/0/quantity", "detail": "Expected `int` >= 1"}]
    return {"summary": kind.title, "value": value}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _first(kind: type[Problem]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _ordered(kinds: Iterable[type[Problem]]) -> list[type[Problem]]:
    return sorted(kinds, key=lambda kind: (kind.status, kind.slug))


def _said(name: str) -> str:
    """Give the first sentence of a service's door plate."""
    plate = sys.modules[f"merkato.{name}"].__doc__ or ""
    return plate.splitlines()[0] if plate else ""
