"""What the world may see of an event: the fields its contract declares public, and no more."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec
from msgspec import Raw

from merkato.contracts import broker, catalog, inventory, notifications, orders, payments, users
from merkato.contracts.broker import EventPublished
from merkato.contracts.event import Event

SPEAKERS = (broker, catalog, inventory, notifications, orders, payments, users)


def _kinds() -> dict[str, type[Event]]:
    found = {}
    for speaker in SPEAKERS:
        for one in vars(speaker).values():
            if isinstance(one, type) and issubclass(one, Event) and "type" in vars(one):
                found[one.type] = one
    return dict(sorted(found.items()))


EVERY: Mapping[str, type[Event]] = _kinds()  # event type -> its struct
PUBLIC: Mapping[str, type[Event]] = {name: kind for name, kind in EVERY.items() if kind.public}


def public_struct(kind: type[Event]) -> type[msgspec.Struct]:
    """Make the struct of an event's public fields, typed as in its contract."""
    hints = get_type_hints(kind, include_extras=True)
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        if field.name in kind.public:
            default = () if field.required else (_default(field),)
            fields.append((field.name, hints[field.name], *default))
    return msgspec.defstruct(
        kind.__name__, fields, kw_only=True, frozen=True, namespace={"__doc__": kind.__doc__}
    )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default


class Envelope(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is shown around an event's data; the rest (whose request it was) stays inside."""

    specversion: Raw
    id: str
    source: Raw
    type: str
    time: Raw
    subject: str
    sequence: Raw = Raw()
    datacontenttype: Raw = Raw()
    dataschema: Raw = Raw()
    traceparent: Raw = Raw()
    causationid: Raw = Raw()
    data: Raw


_envelopes = msgspec.json.Decoder(Envelope)
_data = {
    name: msgspec.json.Decoder(
        msgspec.defstruct(
            kind.__name__, [(field, Raw, Raw()) for field in kind.public], omit_defaults=True
        )
    )
    for name, kind in PUBLIC.items()
}


def shown(message: bytes) -> str:
    """Give a public event as the log keeps it, from the message on the bus.

    Raises KeyError for a type that shows nothing. Values are passed on byte by byte.
    """
    envelope = _envelopes.decode(message)
    projection = _data[envelope.type].decode(envelope.data)
    envelope.data = Raw(msgspec.json.encode(projection))
    return msgspec.json.encode(envelope).decode()


def published(event: EventPublished) -> str:
    """Give the CloudEvent that somebody outside published, as the log keeps it."""
    type_ = f"{event.topic}.v{event.version}"
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": type_,
        "time": event.time,
    }
    if event.subject is not None:
        envelope["subject"] = event.subject
    envelope |= {
        "datacontenttype": "application/json",
        "dataschema": event.dataschema or f"/api/v1/topics/{type_}",
        **event.extensions,
        "data": Raw(event.data.encode()),
    }
    return msgspec.json.encode(envelope).decode()
