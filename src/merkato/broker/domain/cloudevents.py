"""A CloudEvent of somebody else: which attributes it may have, and that its data are JSON."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from merkato.contracts.problem import Malformed, Validation
from merkato.contracts.values import VISIBLE

DATA_MAX_BYTES = 131_072
EXTENSIONS_MAX_BYTES = 32_768  # as JSON, together; with data full of quotes the outbox takes it all
ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}\Z")  # names of attributes
OURS = {"sequence", "causationid", "cursor", "requestid"}  # said by the log; of others left out
PLAIN = ("id", "source", "type", "time", "subject", "dataschema")  # taken as they are
KNOWN = {*PLAIN, "specversion", "datacontenttype", "data", "data_base64"}
Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=VISIBLE)]
URI = r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+\Z"  # the characters of RFC 3986
Uri = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000, pattern=URI)]


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent of somebody else, checked for its form; `data` is JSON as it came."""

    id: Attribute
    source: Attribute
    type: Attribute
    time: datetime | None
    subject: Attribute | None
    dataschema: Uri | None
    extensions: dict[str, str]
    data: str
    value: Any  # the data, decoded


def decoded(body: bytes, form: Any) -> Any:
    """Decode JSON. Raises Malformed, and Validation for another form."""
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        if form is not Any:
            decoded(body, Any)  # what is no JSON at all is told as that
        raise Validation.at("", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("The body is not JSON.") from error


def checked(attributes: dict[str, Any], media_type: Any, data: bytes | None, at: str) -> CloudEvent:
    """Make an event of its attributes and data; `at` points to it. Raises Validation."""
    if attributes.get("specversion") != "1.0":
        raise Validation.at(f"{at}/specversion", "CloudEvents of version 1.0 are read.")
    if "data_base64" in attributes or not _is_json(media_type):
        raise Validation.at(f"{at}/datacontenttype", "Data of topics are JSON.")
    if data is None:
        raise Validation.at(f"{at}/data", "Data are missing.")
    if len(data) > DATA_MAX_BYTES:
        raise Validation.at(f"{at}/data", f"Data have at most {DATA_MAX_BYTES} bytes.")
    wanted = {name: attributes.get(name) for name in PLAIN} | {
        "extensions": _extensions(attributes, at),
        "data": data.decode(errors="replace"),
        "value": None,
    }
    value = decoded(data, Any)
    try:
        event = msgspec.convert(wanted, CloudEvent)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$.")
        raise Validation.at(f"{at}/{place.rstrip('`')}", detail) from error
    if event.time is not None and event.time.tzinfo is None:
        raise Validation.at(f"{at}/time", "A time has its offset from UTC.")
    return msgspec.structs.replace(event, value=value)


def _extensions(attributes: dict[str, Any], at: str) -> dict[str, str]:
    """Give the attributes that are not of CloudEvents itself, as texts. Raises Validation."""
    extensions, size = {}, 0
    for name, value in attributes.items():
        if name in KNOWN or name in OURS or value is None:
            continue
        if not ATTRIBUTE.match(name) or not isinstance(value, str | int):
            raise Validation.at(f"{at}/{name}", "Not an attribute of a CloudEvent.")
        extensions[name] = str(value).lower() if isinstance(value, bool) else str(value)
        size += len(msgspec.json.encode({name: extensions[name]}))
        if size > EXTENSIONS_MAX_BYTES:
            detail = f"Attributes of your own have at most {EXTENSIONS_MAX_BYTES} bytes together."
            raise Validation.at(f"{at}/{name}", detail)
    return extensions


def _is_json(media_type: Any) -> bool:
    kind = media_type.partition(";")[0].strip().lower() if isinstance(media_type, str) else ""
    return kind == "application/json" or kind.endswith("+json")
