"""What a request must be before a route sees it: strict JSON, known types, no value twice."""

import json
from typing import Any, get_args, get_origin

import msgspec
from litestar import Request

from merkato.chassis.allowance import USUAL
from merkato.contracts.problem import Malformed, Problem, Validation

HAS_BODY = {"POST", "PUT", "PATCH"}


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded once, strictly, as the type the route declares."""

    async def json(self) -> Any:
        """Decode the body. Raises Malformed, and Validation with a pointer."""
        decoder = _decoder(self.route_handler)
        body = await self.body()
        wrong: msgspec.ValidationError | None = None
        decoded = None
        try:
            try:
                decoded = decoder.decode(body)
            except msgspec.ValidationError as error:
                wrong = error
                msgspec.json.decode(body)  # what is no JSON at all is told as that
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON.") from error
        check_members(body)
        if wrong is not None:
            raise Validation.read(str(wrong)) from wrong
        return decoded


def check_members(body: bytes) -> None:
    """Raise Malformed for JSON with a member that is there twice, and for what is no JSON."""
    try:
        _PAIRS.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON.") from error


def _unlike(pairs: list[tuple[str, Any]]) -> None:
    """Refuse a member that is there twice: readers differ in which one counts (RFC 8259, 4)."""
    if len(dict(pairs)) < len(pairs):
        raise Malformed("A member is there twice.")


# 7 µs for an order; numbers are not looked at, of whatever length they are
_PAIRS = json.JSONDecoder(object_pairs_hook=_unlike, parse_int=len, parse_float=len)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(handler: Any) -> msgspec.json.Decoder[Any]:
    if handler not in _decoders:
        field = handler.parsed_fn_signature.parameters["data"]
        _decoders[handler] = msgspec.json.Decoder(field.annotation, strict=True)
    return _decoders[handler]


def check_media_type(request: Request[Any, Any, Any]) -> None:
    """Refuse a body of another type than its route reads. Raises UnsupportedMediaType."""
    if request.method not in HAS_BODY or request.route_handler.opt.get("media_type") == "any":
        return
    given = request.headers.get("content-type")
    if "transfer-encoding" not in request.headers and (
        request.headers.get("content-length", "0") == "0"  # nothing is sent, of whatever type
    ):
        return
    media_type, _, parameters = (given or "").partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    taken = request.route_handler.opt.get("allowance", USUAL).media_types
    if media_type.strip().lower() not in taken or charset not in ("", "utf-8"):
        raise UnsupportedMediaType(f"Send the body as {' or '.join(taken)} in UTF-8.")


def shown_name(request: Request[Any, Any, Any], name: str) -> str:
    """Give the name under which a caller knows a parameter of a route's function."""
    known = request.route_handler.parsed_fn_signature.parameters.get(name)
    mark = getattr(known, "kwarg_definition", None)
    return getattr(mark, "query", None) or getattr(mark, "header", None) or name


def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse a parameter that is there twice, and `null` where something else than text belongs.

    The framework would take the last one, and `null` for "not given". Raises Malformed, Validation.
    """
    handler = request.route_handler
    if handler not in _queries:
        _queries[handler] = {
            getattr(one.kwarg_definition, "query", None) or name: one.annotation
            for name, one in handler.parsed_fn_signature.parameters.items()
        }
    seen = set()
    for name, value in request.query_params.multi_items():
        form = _queries[handler].get(name)
        if form is None or list in (get_origin(one) for one in (form, *get_args(form))):
            continue
        if name in seen:
            raise Malformed(f"{name[:60]} is there twice; give it one value.")
        if value == "null" and str not in (form, *get_args(form)):
            raise Validation.at(f"/{name}", "Leave out what you do not ask for.")
        seen.add(name)


_queries: dict[Any, dict[str, Any]] = {}


class UnsupportedMediaType(Problem):
    """The body is not of a type this route reads."""

    slug, status, title = "unsupported-media-type", 415, "Unsupported media type"
