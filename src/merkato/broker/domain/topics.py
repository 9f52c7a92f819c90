"""Topics: what one shows of itself, what it may be called, and which changes of it break nobody."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs
import msgspec

from merkato.broker.domain.projection import EVERY, PUBLIC, public_struct
from merkato.broker.domain.samples import sample
from merkato.contracts.problem import Problem, Validation

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}(\.[a-z][a-z0-9_-]{0,39}){1,4}\Z")
VERSIONED = re.compile(r"(?P<name>.+)\.v(?P<version>[1-9]\d{0,3})\Z")
SCHEMA_MAX_BYTES = 65_536
DEPTH_MAX = 32
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TELLING = {
    "title",
    "description",
    "examples",
    "example",
    "default",
    "$comment",
    "deprecated",
    "$id",
}
GROWING = {"properties", "$defs", "definitions"}  # of names, new ones are no difference
NAMED = {*GROWING, "patternProperties", "dependentSchemas", "dependentRequired"}
HOUSE = {name.partition(".")[0] for name in EVERY} | {"merkato", "gateway", "storefront", "admin"}


class IncompatibleSchema(Problem):
    """The new schema would break those who publish or read by the old one. See `differences`."""

    slug, status, title = "incompatible-schema", 409, "Incompatible change of a schema"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a topic: the type of its events, the schema of their data, and a sample."""

    version: int
    revision: int  # compatible changes made, from 1
    type: str
    schema: dict[str, Any]
    sample: Any  # None where nobody gave one


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of event: what happened, who says and hears it, and all versions of its data."""

    name: str
    description: str
    external: bool  # others publish it
    says: str  # a service, or whoever registered it
    hears: list[str]  # services
    key: str  # what `subject` names
    versions: list[Version]


def split(type_: str) -> tuple[str, int | None]:
    """Split `orders.order_placed.v1` into name and version; None where no version is named."""
    match = VERSIONED.fullmatch(type_)
    return (match["name"], int(match["version"])) if match else (type_, None)


def own(heard: Mapping[str, Sequence[str]]) -> dict[str, Topic]:
    """Make the topics of our own events, by name; `heard`: event type -> services that hear it."""
    found: dict[str, Topic] = {}
    for type_, kind in PUBLIC.items():
        name, version = split(type_)
        shape = public_struct(kind)
        one = Version(
            version=version or 1, revision=1, type=type_, schema=schema_of(shape),
            sample=msgspec.to_builtins(sample(shape)),
        )  # fmt: skip
        before = found.get(name)
        found[name] = Topic(
            name=name,
            description=" ".join((kind.__doc__ or "").split()),
            external=False,
            says=name.partition(".")[0],
            hears=sorted({*heard.get(type_, ()), *(before.hears if before else ())}),
            key=_key_of(kind),
            versions=[*(before.versions if before else ()), one],
        )
    return found


def _key_of(kind: type[Any]) -> str:
    """Name the field whose value the key is, found by looking at a sample."""
    one = sample(kind)
    fields = [name for name in kind.__struct_fields__ if str(getattr(one, name)) == one.key]
    return fields[0] if fields else "subject"


def type_of(name: str, version: int) -> str:
    """Name the type of events of one version of a topic."""
    return f"{name}.v{version}"


def types_named(wanted: Sequence[str], external: Collection[str]) -> dict[str, list[str]]:
    """Find the event types that names of topics mean, with or without a version."""
    every = [*PUBLIC, *external]
    return {one: [t for t in every if one in (t, split(t)[0])] for one in wanted}


def schema_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Make the JSON Schema (2020-12) of a struct, whole in itself."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    defs = dict(components)
    top = defs.pop(shape.__name__)
    assert schema
    whole: dict[str, Any] = {"$schema": DIALECT, **top, **({"$defs": defs} if defs else {})}
    for _, part in _parts(whole, ""):
        if isinstance(part.get("pattern"), str):
            part["pattern"] = part["pattern"].replace("\\Z", "$")  # as ECMA-262 writes it
    return whole


def check_name(name: str) -> None:
    """Raise Validation for what is no name of a topic, or the name of one of ours."""
    if not NAME.fullmatch(name) or VERSIONED.fullmatch(name):
        detail = "Two to five words of a-z 0-9 _ -, joined by dots, without a version: erp.counted."
        raise Validation.at("/name", detail)
    if name.partition(".")[0] in HOUSE:
        raise Validation.at("/name", "Names that begin like this are the shop's own.")


def validator(schema: Mapping[str, Any], pointer: str = "/schema") -> Any:
    """Make a validator of data. Raises Validation for what is no schema, or looks elsewhere.

    Patterns are matched in linear time, and nothing is fetched.
    """
    if len(msgspec.json.encode(schema)) > SCHEMA_MAX_BYTES:
        raise Validation.at(pointer, f"A schema has at most {SCHEMA_MAX_BYTES} bytes.")
    for place, part in _parts(schema, ""):
        reference = part.get("$ref", part.get("$dynamicRef", "#"))
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Validation.at(f"{pointer}{place}/$ref", "References stay inside the schema.")
    if schema.get("$schema", DIALECT) != DIALECT:
        raise Validation.at(f"{pointer}/$schema", f"Schemas are of {DIALECT}.")
    try:
        jsonschema_rs.meta.validate(dict(schema))
        return jsonschema_rs.Draft202012Validator(
            dict(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        said = getattr(error, "message", None) or str(error)
        raise Validation.at(pointer, f"Not a schema: {said[:200]}") from error


def _parts(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk all objects of a schema. Raises Validation where it is too deep."""
    if depth > DEPTH_MAX:
        raise Validation.at("/schema", f"A schema is at most {DEPTH_MAX} levels deep.")
    if isinstance(value, dict):
        yield place, value
        for name, one in value.items():
            yield from _parts(one, f"{place}/{name}", depth + 1)
    elif isinstance(value, list):
        for n, one in enumerate(value):
            yield from _parts(one, f"{place}/{n}", depth + 1)


def differences(before: Any, now: Any, place: str = "") -> list[dict[str, str]]:
    """List where a new schema breaks who publishes or reads by the old one: pointer and detail.

    New optional properties, new definitions and words that only describe are no difference; all
    else is: publishers may send something, or readers find something, that they do not know.
    """
    if not isinstance(before, dict) or not isinstance(now, dict):
        return [] if alike(before, now) else [_difference(place, "changed")]
    found = []
    for word in sorted((before.keys() | now.keys()) - TELLING):
        at = f"{place}/{word}"
        if word in NAMED:
            found += _by_name(before.get(word, {}), now.get(word, {}), at, word in GROWING)
        elif word == "required":
            found += _required(before.get(word, ()), now.get(word, ()), at)
        elif word not in now or word not in before:
            found.append(_difference(at, "removed" if word in before else "added"))
        elif word == "const":
            found += [] if alike(before[word], now[word]) else [_difference(at, "changed")]
        else:
            found += differences(before[word], now[word], at)
    return found


def alike(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: ``1`` and ``1.0`` are, ``1`` and ``true`` not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def _by_name(
    before: Mapping[str, Any], now: Mapping[str, Any], at: str, growing: bool
) -> list[dict[str, str]]:
    found = []
    for name in sorted(before.keys() | now.keys()):
        if name in before and name in now:
            found += differences(before[name], now[name], f"{at}/{name}")
        elif name in before or not growing:
            found.append(_difference(f"{at}/{name}", "removed" if name in before else "added"))
    return found


def _required(before: Sequence[str], now: Sequence[str], at: str) -> list[dict[str, str]]:
    return [
        _difference(f"{at}/{name}", "required now" if name in now else "no longer required")
        for name in sorted({*before} ^ {*now})
    ]


def _difference(place: str, detail: str) -> dict[str, str]:
    return {"pointer": f"/schema{place}", "detail": detail}
