"""Events stay what they were: samples of every version, kept for ever, are read and compared.

To keep a sample of a new event: `python tests/contract/test_events.py`. It writes what is missing
and never changes what is there.
"""

import importlib
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest

from merkato import config, contracts
from merkato.contracts.event import Event

FOLDER = Path(__file__).parent / "events"


def kinds():
    """Every event there is, by type."""
    found = {}
    for module in pkgutil.iter_modules(contracts.__path__):
        for one in vars(importlib.import_module(f"merkato.contracts.{module.name}")).values():
            is_event = isinstance(one, type) and issubclass(one, Event)
            if is_event and isinstance(vars(one).get("type"), str):
                found[one.type] = one
    return found


EVENTS = kinds()


def example(hint):
    """A value of a type: always the same."""
    if get_origin(hint) is Annotated:
        return example(get_args(hint)[0])
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        return example(next(one for one in get_args(hint) if one is not type(None)))
    if get_origin(hint) is tuple:
        return (example(get_args(hint)[0]),)
    if get_origin(hint) is dict:
        key, value = get_args(hint)
        return {"en" if key is str else example(key): example(value)}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return filled(hint)
    if hint is bool:
        return True
    return SCALARS[hint]


SCALARS = {
    str: "text", int: 1, UUID: UUID(int=1), datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    Any: "text",
}  # fmt: skip
WORDS = {"country": "DE", "currency": "EUR", "email": "ada@example.org", "sku": "SKU-1"}


def filled(kind):
    """A struct with an example in each of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    names = kind.__struct_fields__
    return kind(**{name: WORDS.get(name) or example(hints[name]) for name in names})


def sample(kind):
    """What is kept of a kind: its JSON with all fields, and what each field is."""
    return {
        "data": msgspec.json.decode(msgspec.json.encode(filled(kind))),
        "required": sorted(field.name for field in msgspec.structs.fields(kind) if field.required),
        "public": sorted(kind.public),
        "hidden": sorted(kind.hidden_fields()),
    }


def shape(value):
    """JSON with names of types for values."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def missing(before, now, place=""):
    """Where the old shape is not found in the new one; more fields are fine."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            wrong
            for name, one in before.items()
            for wrong in (
                missing(one, now[name], f"{place}/{name}") if name in now else [f"{place}/{name}"]
            )
        ]
    if isinstance(before, list) and isinstance(now, list):
        return [wrong for old, new in zip(before, now, strict=False)
                for wrong in missing(old, new, f"{place}/0")]  # fmt: skip
    return [] if before == now else [place]


def differences(kept, kind):
    """Say how a kind is no longer what its sample promises."""
    wrong = []
    try:
        msgspec.json.decode(msgspec.json.encode(kept["data"]), type=kind)
        bare = {name: kept["data"][name] for name in kept["required"]}
        msgspec.json.decode(msgspec.json.encode(bare), type=kind)
    except msgspec.ValidationError as error:
        wrong.append(f"the old sample cannot be read: {error}")
    now = sample(kind)
    wrong += [f"changed: {one}" for one in missing(shape(kept["data"]), shape(now["data"]))]
    wrong += [f"required now: {one}" for one in set(now["required"]) - set(kept["required"])]
    wrong += [f"no longer public: {one}" for one in set(kept["public"]) - set(now["public"])]
    wrong += [f"no longer hidden: {one}" for one in set(kept["hidden"]) - set(now["hidden"])]
    return wrong


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_an_event_is_what_it_was(file):
    assert file.stem in EVENTS, f"{file.stem} was said once, and rests in outboxes and streams"
    assert differences(msgspec.json.decode(file.read_bytes()), EVENTS[file.stem]) == []


def test_there_is_a_sample_of_every_event():
    assert {file.stem for file in FOLDER.glob("*.json")} == EVENTS.keys()
    assert len(EVENTS) > 20


class Before(Event, frozen=True, kw_only=True):
    type = "test.something_happened.v1"
    public = ("number",)

    number: int
    word: str = ""


BEFORE = {
    "data": {"number": 1, "word": "text"}, "required": ["number"], "public": ["number"],
    "hidden": [],
}  # fmt: skip


def test_changes_that_break_readers_are_found():
    def changed(public=("number",), **fields):
        return msgspec.defstruct("After", list(fields.items()), bases=(Event,),
                                 namespace={"type": Before.type, "public": public},
                                 frozen=True, kw_only=True)  # fmt: skip

    assert differences(BEFORE, Before) == []
    more = msgspec.defstruct("More", [("later", str | None, None)], bases=(Before,), frozen=True,
                             kw_only=True)  # fmt: skip
    assert differences(BEFORE, more) == []
    assert differences(BEFORE, changed(number=int))
    assert differences(BEFORE, changed(number=str, word=str))
    assert differences(BEFORE, changed(number=int, word=str, later=int))
    assert differences(BEFORE, changed(public=(), number=int, word=str))


def test_every_event_is_heard_or_public():
    from merkato import topology

    services = topology.services(config.Config(here=("gateway",))).values()
    said = {one.type: one for service in services for one in service.says}
    heard = {one.type for service in services for one in service.hears} | {
        "users.access_changed.v1",
        "users.role_changed.v1",  # by the chassis of every service
        "users.user_erased.v1",
        "orders.order_erased.v1",
    }
    assert said.keys() == EVENTS.keys()
    assert heard <= said.keys(), "nobody says it"
    for name, kind in said.items():
        assert name in heard or kind.public, f"{name} is neither heard nor public"


def test_a_service_says_what_is_its_own():
    from merkato import topology

    for service in topology.services(config.Config(here=("gateway",))).values():
        assert all(one.type.startswith(f"{service.name}.") for one in service.says)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, kind in EVENTS.items():
        file = FOLDER / f"{name}.json"
        if not file.exists():
            file.write_bytes(msgspec.json.format(msgspec.json.encode(sample(kind))) + b"\n")
