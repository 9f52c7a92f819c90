"""One AsyncAPI 3 document of all public events, made from the contracts, and a page to read it."""

from collections.abc import Iterable, Mapping
from html import escape
from importlib.metadata import version
from typing import Any

import msgspec

from merkato.chassis.service import Service
from merkato.contracts.event import Event
from merkato.gateway.documents.examples import example
from merkato.gateway.documents.openapi import tidied

Json = dict[str, Any]
REF = "#/components/schemas/{name}"
TEXT = """\
What the shop tells other systems, as CloudEvents 1.0: read from the log (`GET /api/v1/events`), \
as a stream (`GET /api/v1/events/stream`) or sent to a webhook. Events of one `subject` come in \
the order of their `sequence`; each may come twice and has the same `id` then. Personal data is in \
none."""
ENVELOPE: Json = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "subject", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "Equal for copies."},
        "source": {"type": "string", "description": "`/merkato/<service>`."},
        "type": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "description": "What it is about: the key of its order."},
        "sequence": {"type": "string", "description": "Its place among those of the subject."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string"},
        "traceparent": {"type": "string"},
        "causationid": {"type": "string", "description": "The event that led to this one."},
    },
}


def document(services: Mapping[str, Service]) -> Json:
    """Make the document. It is the same for the same code."""
    kinds = [(name, kind) for name in sorted(services) for kind in _public(services[name].says)]
    schemas, parts = msgspec.json.schema_components([k for _, k in kinds], ref_template=REF)
    found: Json = {name: tidied(one) for name, one in parts.items()}
    channels, operations, messages = {}, {}, {}
    for (service, kind), schema in zip(kinds, schemas, strict=True):
        name = kind.type
        whole = found[schema["$ref"].rsplit("/", 1)[-1]]
        data = _projected(kind, whole)
        channels[name] = {
            "address": name,
            "description": _said(kind),
            "messages": {"event": {"$ref": f"#/components/messages/{name}"}},
            "tags": [{"name": service}],
        }
        operations[f"send {name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": _said(kind),
        }
        messages[name] = _message(kind, service, data, example(data, found))
    data_of = {kind.__name__ for _, kind in kinds}
    used = _used(messages, found)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Merkato", "version": version("merkato"), "description": TEXT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {
                "CloudEvent": ENVELOPE,
                **{name: found[name] for name in sorted(used) if name not in data_of},
            },
        },
    }  # fmt: skip


def _public(kinds: Iterable[type[Event]]) -> list[type[Event]]:
    return sorted((kind for kind in kinds if kind.public), key=lambda kind: kind.type)


def _projected(kind: type[Event], whole: Mapping[str, Any]) -> Json:
    """Keep of a struct's schema what everybody may see."""
    shown = {name: whole["properties"][name] for name in kind.public}
    required = [name for name in whole.get("required", ()) if name in shown]
    return {"type": "object", "properties": shown, "required": required}


def _message(kind: type[Event], service: str, data: Json, sample: Any) -> Json:
    envelope = {
        "specversion": "1.0", "id": "0198c2f0-5a52-7c3e-9d2b-3f1a6f0c8e11",
        "source": f"/merkato/{service}", "type": kind.type, "time": "2026-03-01T09:30:00Z",
        "subject": "0198c2f0-5a52-7c3e-9d2b-3f1a6f0c8e12", "sequence": "1",
        "datacontenttype": "application/json", "data": sample,
    }  # fmt: skip
    typed = {"type": "object", "properties": {"type": {"const": kind.type}, "data": data}}
    return {
        "name": kind.type,
        "title": kind.__name__,
        "summary": _said(kind),
        "contentType": "application/cloudevents+json",
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, typed]},
        "examples": [{"name": "one", "payload": envelope}],
    }


def _used(part: Any, found: Mapping[str, Any]) -> set[str]:
    """Name the schemas that a part refers to, and those that these refer to."""
    names: set[str] = set()
    waiting: list[Any] = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            name = str(one.get("$ref", "")).rpartition("#/components/schemas/")[2]
            if name in found and name not in names:
                names.add(name)
                waiting.append(found[name])
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return names


def _said(kind: type[Event]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Events of this shop</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/static/docs.css">
<main><h1>Events of this shop</h1><p>{text}</p>
<p><a href="/docs">Requests</a> · <a href="/asyncapi.json">as AsyncAPI 3</a></p>
{parts}</main></html>
"""
PART = """<section id="{name}"><h2>{title}</h2><p><code>{name}</code> · said by {service}</p>
<p>{said}</p>
<table><tr><th>Field of <code>data</code></th><th>Type</th><th></th></tr>{rows}</table>
<details><summary>Example</summary><pre>{sample}</pre></details></section>"""
ROW = "<tr><td><code>{name}</code></td><td>{kind}</td><td>{needed}</td></tr>"


def page(made: Json) -> str:
    """Make a page of the document that needs nothing but a browser."""
    parts = []
    for name, message in made["components"]["messages"].items():
        data = message["payload"]["allOf"][1]["properties"]["data"]
        rows = "".join(
            ROW.format(
                name=escape(field),
                kind=escape(_kind(schema)),
                needed="" if field in data["required"] else "optional",
            )
            for field, schema in data["properties"].items()
        )
        sample = msgspec.json.format(msgspec.json.encode(message["examples"][0]["payload"]))
        parts.append(
            PART.format(
                name=name, title=escape(message["title"]), said=escape(message["summary"]),
                service=made["channels"][name]["tags"][0]["name"], rows=rows,
                sample=escape(sample.decode()),
            )
        )  # fmt: skip
    text = escape(made["info"]["description"]).replace("`", "")
    return PAGE.format(text=text, parts="".join(parts))


def _kind(schema: Mapping[str, Any]) -> str:
    """Name a type in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "anything"))
