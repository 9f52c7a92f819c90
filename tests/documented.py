"""Holds the answers that tests get against the OpenAPI document, so that it cannot lie.

Stricter than the document's readers are: an answer may have no member that is not described, so
that nothing is shown by accident. Whatever a program may add of its own is in `OPEN`.
"""

import re
from functools import cache

import jsonschema_rs
import msgspec

from merkato import config, topology
from merkato.gateway.documents import openapi

OPEN = {"LoggedEvent", "Problem"}  # attributes of publishers, members of each kind of problem
JSON = re.compile(r"application/(?:[a-z.-]+\+)?json")


class Undocumented(AssertionError):
    """An answer is not what the document says."""


@cache
def document():
    """The document of the whole shop."""
    return openapi.document(topology.services(config.Config(here=("gateway",))))


@cache
def _patterns():
    """(pattern of a path, its operations): the fewest parameters first, as routes are found."""
    found = sorted(document()["paths"].items(), key=lambda one: one[0].count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"/?"), each) for path, each in found]


def closed(part, name=""):
    """Give a schema whose objects have no other members than those it names."""
    if isinstance(part, list):
        return [closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: closed(value, key) for key, value in part.items()}
    if "properties" in part and name not in OPEN:
        made.setdefault("additionalProperties", False)
    return made


@cache
def _schemas():
    return closed(document()["components"]["schemas"])


_validators = {}


def _validator(schema):
    key = repr(schema)
    if key not in _validators:
        whole = {**closed(schema), "components": {"schemas": _schemas()}}
        _validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return _validators[key]


def operation(method, path):
    """What the document says of a request; None: nothing, so it is for services only."""
    path = path.partition("?")[0]
    each = next((each for one, each in _patterns() if one.fullmatch(path)), {})
    return each.get(method.lower())


def check(method, path, status, media_type, value):
    """See that an answer is one of those the document has for its request; `value`: its bytes."""
    said = operation(method, path)
    if said is None or status >= 500:
        return
    response = said["responses"].get(str(status))
    if response is None:
        raise Undocumented(f"{method} {path}: {status} is not in the document: {value[:300]!r}")
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {})
    kind = (media_type or "").partition(";")[0].strip()
    if not value and not content:
        return
    if kind not in content and not (not value and status in (204, 301, 304)):
        raise Undocumented(f"{method} {path}: {status} is {kind or 'of no type'}, not {[*content]}")
    if JSON.fullmatch(kind):
        _check_json(f"{method} {path}: {status}", content[kind], value)


def _check_json(place, described, value):
    schema = described.get("schema")
    if not schema:
        raise Undocumented(f"{place} has no schema")
    decoded = msgspec.json.decode(value)
    for wrong in _validator(schema).iter_errors(decoded):
        raise Undocumented(f"{place} at {wrong.instance_path}: {wrong.message[:500]}")
    slugs = described.get("examples", {}).keys()
    if slugs and decoded["type"].rpartition("/")[2] not in slugs:
        raise Undocumented(f"{place} is {decoded['type']}, none of {sorted(slugs)}")
