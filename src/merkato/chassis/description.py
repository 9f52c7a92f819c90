"""What a service's routes take and answer, read from their code: for documents and clients."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import CodeType, FunctionType, ModuleType
from typing import Annotated, Any, get_args, get_origin

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import DependencyKwarg, KwargDefinition, ParameterKwarg

from merkato.chassis import edge, http, strict, wire
from merkato.chassis.allowance import USUAL
from merkato.contracts import problem as problems

PATH_PARAMETER = re.compile(r"\{([a-z_]+)(?::[a-z]+)?\}")
TOKEN_HEADERS = {"x-cart-token": "X-Cart-Token", "x-order-token": "X-Order-Token"}
NEEDS_KEY = re.compile(r"parse_key\([^)]*required=True")
LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
EVERYWHERE = (
    problems.Malformed, problems.Unauthenticated, edge.UriTooLong, problems.RateLimited,
    wire.ExpectationFailed, edge.HeadersTooLarge, http.InternalError, problems.Overloaded,
    problems.DependencyUnavailable, problems.UpstreamTimeout,
)  # fmt: skip
WITH_BODY = (
    edge.RequestTimeout, edge.PayloadTooLarge, strict.UnsupportedMediaType, problems.Validation,
)  # fmt: skip


class Given(msgspec.Struct, frozen=True):
    """A parameter of a route: `place` is path, query or header; `form` its type with limits."""

    name: str
    place: str
    form: Any
    required: bool
    default: Any = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    service: str
    name: str  # of the function, unique in its service
    method: str
    path: str  # with parameters as {name}
    policy: str
    text: str  # the docstring
    given: Sequence[Given]
    reads: Mapping[str, Any]  # types of the body by media type, None for bytes; empty without one
    example: Any  # of a body; None: one is made from the type
    answers: Mapping[str, Any]  # types of JSON by media type; object where nobody said
    statuses: Sequence[int]  # of success, the usual one first
    produces: Sequence[str]  # media types of success, the usual one first
    problems: Sequence[type[problems.Problem]]  # by status and slug


def operations(service: str, routes: http.Routes) -> list[Operation]:
    """Describe every method of every path of a service."""
    return [
        _operation(service, route, str(method), path)
        for route in routes
        if isinstance(route, HTTPRouteHandler)
        for path in sorted(route.paths)
        for method in sorted(route.http_methods)
        if method != "OPTIONS"
    ]


def _operation(service: str, route: HTTPRouteHandler, method: str, path: str) -> Operation:
    work = inspect.unwrap(route.fn)
    form = inspect.signature(work)
    in_path = set(PATH_PARAMETER.findall(path))
    found, texts = _reached(work)
    given = [_given(parameter, in_path) for parameter in form.parameters.values()]
    known = {one.name for one in given if one is not None}
    given += [
        Given(name, "header", str, False)
        for text, name in TOKEN_HEADERS.items()
        if text in texts and name not in known
    ]
    needs_key = bool(NEEDS_KEY.search(inspect.getsource(work)))
    creates = 201 in route.opt.get("also", ())  # what is not there yet has no version
    taken = [_settle(one, needs_key, not creates) for one in given if one is not None]
    body = form.parameters["data"].annotation if "data" in form.parameters else None
    policy = str(route.opt.get("policy"))
    answer = route.opt.get("answers", _answer(form.return_annotation))
    produces = route.opt.get("produces", ("application/json",))
    if in_path:
        found.add(problems.NotFound)
    if not needs_key:
        found.discard(problems.KeyMissing)
    if any(one.place != "header" for one in taken):
        found.add(problems.Validation)
    found.update(EVERYWHERE, WITH_BODY if method in strict.HAS_BODY else ())
    if policy not in (http.ANYONE, http.SIGNED):
        found.add(problems.Forbidden)
    found.update(route.opt.get("problems", ()))
    return Operation(
        service=service,
        name=work.__name__,
        method=method,
        path=PATH_PARAMETER.sub(r"{\1}", path),
        policy=policy,
        text=inspect.getdoc(work) or "",
        given=taken,
        reads=_reads(route, method, body),
        example=route.opt.get("example"),
        answers=answer if isinstance(answer, Mapping) else _of_json(produces, answer),
        statuses=(route.status_code or HTTPStatus.OK, *route.opt.get("also", ())),
        produces=produces,
        problems=sorted(found, key=lambda kind: (kind.status, kind.slug)),
    )


def _answer(annotation: Any) -> Any:
    """Give the type of a JSON answer: what a route returns, or what is in its Response."""
    if get_origin(annotation) is Response:
        annotation = get_args(annotation)[0]
    if annotation in (None, type(None)):
        return None
    is_response = isinstance(annotation, type) and issubclass(annotation, Response)
    return object if is_response or annotation in (bytes, Any) else annotation


def _reads(route: HTTPRouteHandler, method: str, body: Any) -> Mapping[str, Any]:
    if body is not None:
        return {"application/json": body}
    allowed = route.opt.get("allowance", USUAL).media_types
    is_upload = method in strict.HAS_BODY and allowed != USUAL.media_types
    read: Mapping[str, Any] = route.opt.get("reads", dict.fromkeys(allowed) if is_upload else {})
    return read


def _of_json(produces: Sequence[str], answer: Any) -> dict[str, Any]:
    return {} if answer is None else {kind: answer for kind in produces if is_json(kind)}


def is_json(media_type: str) -> bool:
    """Tell whether a media type is JSON, under whatever name; lines of JSON are not."""
    return media_type == "application/json" or media_type.endswith("+json")


def _given(parameter: inspect.Parameter, in_path: set[str]) -> Given | None:
    """Read a parameter of the function; None for what the house provides."""
    name, hint = parameter.name, parameter.annotation
    kind, marks = (hint, ()) if get_origin(hint) is not Annotated else _peeled(hint)
    if name in ("data", "request", "caller", "socket") or any(
        isinstance(mark, DependencyKwarg) for mark in marks
    ):
        return None
    mark = next((one for one in marks if isinstance(one, ParameterKwarg)), None)
    has_default = parameter.default is not inspect.Parameter.empty
    default = parameter.default if has_default else None
    bare = _without_none(kind)
    form = Annotated[bare, _meta(mark)] if mark is not None and _limits(mark) else bare
    metas = tuple(one for one in marks if isinstance(one, msgspec.Meta))
    form = Annotated[(form, *metas)] if metas else form
    if name in in_path:
        return Given(name, "path", form, True)
    if mark is not None and mark.header:
        return Given(mark.header, "header", form, not has_default)
    if mark is None and not has_default:
        return None
    alias = (mark.query if mark else None) or name
    return Given(alias, "query", form, not has_default, default)


def _peeled(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    first, *marks = get_args(hint)
    return first, tuple(marks)


def _without_none(hint: Any) -> Any:
    left = [one for one in get_args(hint) if one is not type(None)]
    return left[0] if type(None) in get_args(hint) and len(left) == 1 else hint


def _limits(mark: KwargDefinition) -> dict[str, Any]:
    limits = {name: getattr(mark, name) for name in LIMITS if getattr(mark, name) is not None}
    if mark.max_items is not None:
        limits["max_length"] = mark.max_items
    return limits


def _meta(mark: KwargDefinition) -> msgspec.Meta:
    return msgspec.Meta(**_limits(mark))


def _settle(given: Given, needs_key: bool, needs_match: bool) -> Given:
    """Say what the code decides about headers by itself."""
    if given.name == "Idempotency-Key":
        form = Annotated[
            str, msgspec.Meta(pattern=r'^("[A-Za-z0-9_-]{16,100}"|[A-Za-z0-9_-]{16,100})$')
        ]
        return Given(given.name, "header", form, needs_key)
    if given.name == "If-Match":
        return Given(given.name, "header", str, needs_match)
    return given


def _reached(work: Any) -> tuple[set[type[problems.Problem]], set[str]]:
    """Follow a function through the house: problems it names on its way, and strings it uses.

    Names are looked up in modules, and in the classes that annotations mention. That finds more
    than can happen and, as nobody raises a Problem he does not name, nothing less.
    """
    search = _Search()
    search.visit(work)
    search.run()
    return search.problems, search.texts


class _Search:
    def __init__(self) -> None:
        self.problems: set[type[problems.Problem]] = set()
        self.texts: set[str] = set()
        self._functions: list[FunctionType] = []
        self._seen: set[Any] = set()
        self._classes: set[type] = set()
        self._names: set[str] = set()

    def run(self) -> None:
        """Look until nothing new is found."""
        size = -1
        while size != len(self._seen) + len(self._names):
            size = len(self._seen) + len(self._names)
            while self._functions:
                self._read(self._functions.pop())
            for one in list(self._classes):
                for name in self._names & vars(one).keys():
                    self.visit(inspect.unwrap(_plain(vars(one)[name])))

    def visit(self, thing: Any) -> None:
        """Take note of a function, a class, a type or a table of functions."""
        if get_origin(thing) is not None:
            for part in get_args(thing):
                self.visit(part)
            thing = get_origin(thing)
        if isinstance(thing, FunctionType) and _ours(thing) and thing not in self._seen:
            self._seen.add(thing)
            self._functions.append(thing)
        elif isinstance(thing, type) and _ours(thing):
            if issubclass(thing, problems.Problem):
                self.problems.update([thing] if "slug" in vars(thing) else [])
            elif thing not in self._classes:
                self._classes.add(thing)
                self._names |= {"__init__", "__call__", "__aenter__", "__post_init__"}
        elif isinstance(thing, Mapping):
            for one in thing.values():
                if isinstance(one, FunctionType):
                    self.visit(one)

    def _read(self, function: FunctionType) -> None:
        for hint in function.__annotations__.values():
            self.visit(hint)
        for code in _codes(function.__code__):
            self.texts |= {one for one in code.co_consts if isinstance(one, str)}
            self._names |= set(code.co_names)
            found = [function.__globals__.get(name) for name in code.co_names]
            for one in found:
                self.visit(one)
                if isinstance(one, ModuleType) and one.__name__.startswith("merkato."):
                    for name in set(code.co_names) & vars(one).keys():
                        self.visit(vars(one)[name])


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _plain(method: Any) -> Any:
    return getattr(method, "__func__", getattr(method, "fget", method))


def _ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("merkato.")
