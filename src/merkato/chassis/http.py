"""HTTP as every service speaks it: who is calling, strict bodies, problem answers, the app."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from inspect import signature
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.types import ControllerRouterHandler
from msgspec.structs import astuple

from merkato.chassis.allowance import STREAM, pattern_of
from merkato.chassis.db import house_is_down
from merkato.chassis.idempotency import Answer
from merkato.chassis.keys import ApiKeys, shown_key
from merkato.chassis.strict import StrictRequest, check_media_type, check_query, shown_name
from merkato.chassis.tokens import Caller, Tokens
from merkato.contracts.problem import (
    DependencyUnavailable,
    Forbidden,
    Malformed,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    Unauthenticated,
    Validation,
)

log = structlog.get_logger()

T = TypeVar("T")
Routes = Sequence[ControllerRouterHandler]

# What a route declares beside its path and its types, as keywords of its decorator:
#   policy=    who may call it; a route without one fails the build (`app` raises)
#   answers=   the type of its JSON where it returns bytes; several: by media type
#   also=      statuses of success beside status_code
#   problems=  what it answers beside those that its code names, such as a library's
#   example=   a body for the documents, where one made from the type would not do
#   media_type="any", reads=, produces=   what else than JSON it reads and writes
# Policies:
ANYONE = "anyone"  # whoever; the handler looks whose things are asked for
USER = "user"  # a person who has logged in
SERVICE = "service"  # another service; for everybody else the route does not exist
SIGNED = "signed"  # somebody outside who signs the body; the handler checks it


def staff(permission: str) -> str:
    """Make the policy that asks for a permission of contracts.permissions."""
    return f"staff:{permission}"


def user_or(permission: str) -> str:
    """Make the policy that asks for a person, who sees what is theirs, or a key's permission."""
    return f"{USER}:{permission}"


IdempotencyKey = Annotated[str | None, Parameter(header="Idempotency-Key")]
IfMatch = Annotated[str | None, Parameter(header="If-Match")]
Limit = Annotated[int, Parameter(ge=1, le=100)]
Cursor = Annotated[str | None, Parameter(max_length=500)]
BIGINT_MAX = 2**63 - 1
PHRASES = {one.value: one.phrase for one in HTTPStatus}


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; `next_cursor` leads to the next one."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(*position: Any) -> str:
    """Make an opaque cursor of a place in a stable order."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str | None, form: type[T], name: str = "cursor") -> T | None:
    """Read a cursor made by encode_cursor. Raises Validation, about `name`, for anything else."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position: Any = msgspec.json.decode(urlsafe_b64decode(padded), type=form)
        for part in position if isinstance(position, tuple) else astuple(position):
            if isinstance(part, datetime):
                part.astimezone(UTC)
            elif isinstance(part, int) and abs(part) > BIGINT_MAX:
                raise ValueError("a number beyond the database's")
        return cast("T", position)
    except (ValueError, OverflowError, msgspec.DecodeError) as error:
        raise Validation.at(f"/{name}", "Not a cursor of this list.") from error


def moment(name: str, time: datetime | None) -> datetime | None:
    """Read a time in a query as UTC. Raises Validation without an offset or beyond year 1..9999."""
    try:
        if time is not None and time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC) if time else None
    except (ValueError, OverflowError) as error:
        detail = "A time of the years 1 to 9999, with its offset from UTC."
        raise Validation.at(f"/{name}", detail) from error


def etag(version: int) -> str:
    """Make the ETag of a version."""
    return f'"v{version}"'


def expected_version(if_match: str | None) -> int:
    """Read If-Match as the version the caller has seen.

    Raises PreconditionRequired without one and PreconditionFailed for what was never ours.
    """
    if if_match is None:
        raise PreconditionRequired("Send If-Match with the ETag of what you have seen.")
    match = re.fullmatch(r'"v(\d{1,18})"', if_match.strip())
    if match is None:
        raise PreconditionFailed("If-Match is not an ETag of this resource.")
    return int(match[1])


def respond(answer: Answer) -> Response[bytes]:
    """Turn a stored or fresh answer into a response."""
    headers = dict(answer.headers)
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(
        answer.body, status_code=answer.status, headers=headers, media_type="application/json"
    )


def policies(routes: Routes) -> dict[tuple[str, str], str]:
    """Map (method, path) to the policy each route declares. Raises ValueError for one without."""
    found = {}
    for route in routes:
        assert isinstance(route, BaseRouteHandler)
        policy = route.opt.get("policy")
        for path in route.paths:
            for method in getattr(route, "http_methods", ()):
                if not isinstance(policy, str):
                    raise ValueError(f"{method} {path} declares no policy")
                found[(str(method), path)] = policy
    return found


class Standing:
    """A caller's right to what was asked for, which an answer that lasts asks about again."""

    def __init__(self, judged: Callable[[], Awaitable[Caller]]) -> None:
        self._judged = judged

    async def check(self) -> None:
        """Judge token or key and right as at the beginning. Raises the problem they now have."""
        await self._judged()


class Methods:
    """Which methods each path has for those who ask; what is for services only is not told."""

    def __init__(self, routes: Routes) -> None:
        found: dict[str, set[str]] = {}
        for (method, path), policy in policies(routes).items():
            found.setdefault(pattern_of(path), set()).update(() if policy == SERVICE else (method,))
        # fewest parameters first: the framework, too, prefers a segment as it is written
        ordered = sorted(found, key=lambda pattern: (pattern.count("[^/]+"), pattern))
        self._found = [(re.compile(pattern + r"/?\Z"), found[pattern]) for pattern in ordered]

    def allow(self, path: str) -> str:
        """Give the Allow of a path that is there. Raises NotFound where nothing is for others."""
        methods = next((known for one, known in self._found if one.match(path)), None)
        if not methods:
            raise NotFound("There is nothing here.")
        read = "GET" in methods and not path.endswith(STREAM)
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if read else set())))


def app(routes: Routes, tokens: Tokens, keys: ApiKeys, provides: Mapping[str, object]) -> Litestar:
    """Build a service's application; `provides` are arguments that its routes may name."""
    methods = Methods(routes)

    async def judged(request: Request[Any, Any, Any]) -> Caller:
        shown = request.headers.get("authorization")
        key = shown_key(shown)
        caller = await keys.caller(key) if key else tokens.caller(shown)
        permit(caller, request.route_handler.opt["policy"])
        return caller

    async def check(request: Request[Any, Any, Any]) -> Response[None] | None:
        if request.method == "OPTIONS":
            allow = {"Allow": methods.allow(request.scope["path"])}
            return Response(None, status_code=204, headers=allow)
        request.scope["caller"] = await judged(request)  # type: ignore[typeddict-unknown-key]
        check_media_type(request)
        if request.scope["query_string"]:
            check_query(request)
        return None

    def who(request: Request[Any, Any, Any]) -> Caller:
        caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
        return caller

    def standing(request: Request[Any, Any, Any]) -> Standing:
        return Standing(lambda: judged(request))

    def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
        return _answer_framework(request, error, methods)

    return Litestar(
        route_handlers=[bound(route, provides) for route in routes],
        dependencies={
            "caller": Provide(who, sync_to_thread=False),
            "standing": Provide(standing, sync_to_thread=False),
        },
        before_request=check,
        request_class=StrictRequest,
        request_max_body_size=None,  # the edge of the service has counted
        exception_handlers={
            Problem: lambda _, problem: problem_response(problem),
            HTTPException: framework,
            Exception: _answer_error,
        },
        openapi_config=None,
        logging_config=None,
    )


def bound(route: ControllerRouterHandler, provides: Mapping[str, object]) -> BaseRouteHandler:
    """Give a route the constants it names, once: asking the framework's injection costs 60 µs."""
    assert isinstance(route, BaseRouteHandler)
    work = route.fn
    form = signature(work)
    constants = {name: provides[name] for name in form.parameters if name in provides}

    @wraps(work)
    async def bound(**given: Any) -> Any:
        return await work(**given, **constants)

    left = [parameter for name, parameter in form.parameters.items() if name not in constants]
    annotations = {n: a for n, a in work.__annotations__.items() if n not in constants}
    bound.__dict__.update(__signature__=form.replace(parameters=left), __annotations__=annotations)
    del bound.__dict__["__wrapped__"]
    again: BaseRouteHandler = copy(route)(bound)
    return again


def permit(caller: Caller, policy: str) -> None:
    """Let a caller through or raise Unauthenticated, Forbidden or NotFound."""
    if policy in (ANYONE, SIGNED):
        return
    if policy == SERVICE:
        if caller.kind != "service":
            raise NotFound("There is nothing here.")
        return
    if caller.kind == "anonymous":
        raise Unauthenticated("Log in first.")
    kind, _, permission = policy.partition(":")
    if kind == USER and caller.kind == "user":
        return
    if permission and caller.may(permission):
        return
    raise Forbidden(f"Your {'key' if caller.kind == 'key' else 'account'} may not do this.")


class MethodNotAllowed(Problem):
    """The path exists, this method does not."""

    slug, status, title = "method-not-allowed", 405, "Method not allowed"


class InternalError(Problem):
    """A bug of ours."""

    slug, status, title = "internal-error", 500, "Something broke on our side"


def problem_body(problem: Problem) -> dict[str, Any]:
    """Make the members of a problem document (RFC 9457)."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:request:{request_id}",
        "request_id": request_id,
        **problem.members,
    }


def problem_response(problem: Problem) -> Response[bytes]:
    """Answer with a problem document."""
    return Response(
        msgspec.json.encode(problem_body(problem)),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


def _answer_framework(
    request: Request[Any, Any, Any], error: HTTPException, methods: Methods
) -> Response[bytes]:
    match error:
        case ValidationException():
            extra = [entry for entry in error.extra or [] if isinstance(entry, dict)]
            errors = [
                {
                    "pointer": f"/{shown_name(request, str(entry.get('key', '')))}",
                    "detail": str(entry.get("message", "")),
                }
                for entry in extra
            ]
            problem: Problem = Validation("The request has mistakes.", errors=errors)
        case MethodNotAllowedException():
            problem = _not_allowed(methods, request.scope["path"])
        case NotFoundException():
            problem = NotFound("There is nothing here.")
        case ClientException():
            problem = Malformed("The request cannot be read.")
        case _:
            return _answer_error(request, error)
    return problem_response(problem)


def _not_allowed(methods: Methods, path: str) -> Problem:
    try:
        allow = methods.allow(path)
    except NotFound as nothing:
        return nothing
    return MethodNotAllowed("This path has other methods.", headers={"Allow": allow})


def _answer_error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if house_is_down(error):
        log.warning("house is down", error=repr(error))
        return problem_response(DependencyUnavailable("Something we need does not answer."))
    log.error("bug", exc_info=error)
    return problem_response(InternalError("It was written down; quote the request_id."))
