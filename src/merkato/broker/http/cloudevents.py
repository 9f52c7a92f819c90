"""CloudEvents 1.0 as others send them over HTTP: structured, binary and batched."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, UnsetType

from merkato.broker.domain.cloudevents import Attribute, CloudEvent, Uri, checked, decoded
from merkato.chassis.strict import UnsupportedMediaType, check_members
from merkato.contracts.problem import Validation

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_MAX = 100  # events in one request


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent of a topic. `type` is the topic with its version; `data` fits its schema.

    Attributes of your own are kept. Those that the log says itself (`sequence`, `causationid`,
    `cursor`, `requestid`) are taken and left out, so what was read from a log can be published.
    """

    specversion: Literal["1.0"]
    id: Attribute  # unique together with `source`
    source: Attribute
    type: Attribute
    time: Annotated[datetime, msgspec.Meta(tz=True)] | UnsetType = UNSET
    subject: Attribute | UnsetType = UNSET  # the key of its order
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
    dataschema: Uri | UnsetType = UNSET  # shown as it is; without it the log names our schema
    data: Any


READS = {
    STRUCTURED: Published,
    BATCH: Annotated[list[Published], msgspec.Meta(min_length=1, max_length=BATCH_MAX)],
}


def read(content_type: str, headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """Read the events of a request, by its content type.

    Raises Malformed, Validation with pointers, and UnsupportedMediaType.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == BATCH:
        parts = decoded(body, list[msgspec.Raw])
        if not 1 <= len(parts) <= BATCH_MAX:
            raise Validation.at("", f"A batch has 1 to {BATCH_MAX} events.")
        events = [_structured(bytes(one), f"/{n}") for n, one in enumerate(parts)]
    elif media_type == STRUCTURED:
        events = [_structured(body, "")]
    elif "ce-specversion" in headers or "ce-id" in headers or "ce-type" in headers:
        events = [_binary(media_type, headers, body)]
    else:
        raise UnsupportedMediaType(
            f"Send a CloudEvent: {STRUCTURED}, {BATCH}, or ce-… headers with a JSON body."
        )
    check_members(body)  # of attributes and data
    return events


def _structured(body: bytes, place: str) -> CloudEvent:
    attributes = decoded(body, dict[str, msgspec.Raw])
    data = attributes.pop("data", None)
    plain = {name: decoded(bytes(raw), Any) for name, raw in attributes.items()}
    media_type = plain.get("datacontenttype") or "application/json"
    return checked(plain, media_type, None if data is None else bytes(data), place)


def _binary(media_type: str, headers: Mapping[str, str], body: bytes) -> CloudEvent:
    attributes = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    return checked(attributes, media_type, body or None, "")
