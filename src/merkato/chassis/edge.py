"""The edge of a service: request ids, limits on what comes in, a deadline, measurements."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from merkato.chassis.allowance import STREAM, USUAL, Allowance, Allowances
from merkato.chassis.ask import INSIDE, App
from merkato.chassis.http import MethodNotAllowed, problem_body
from merkato.chassis.ids import new_id
from merkato.chassis.load import Load
from merkato.chassis.telemetry import REQUESTS, metrics
from merkato.contracts.problem import Malformed, Problem, UpstreamTimeout, Validation

log = structlog.get_logger()

URI_MAX_BYTES = 8_192
RECEIVE_S = 10.0  # a body must have arrived by then; of a streamed one, each part
DEADLINE_S = 10.0  # every request ends within this, but streams
SLOW_S = 20.0  # how long a stream waits for a reader that takes nothing
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,80}\Z")
ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class PayloadTooLarge(Problem):
    """The body is larger than this route takes."""

    slug, status, title = "payload-too-large", 413, "Body too large"


class UriTooLong(Problem):
    """The address is too long."""

    slug, status, title = "uri-too-long", 414, "Address too long"


class HeadersTooLarge(Problem):
    """There are too many header fields, or they are too long."""

    slug, status, title = "headers-too-large", 431, "Header fields too large"


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    slug, status, title = "request-timeout", 408, "Body arrived too slowly"


Ready = Callable[[], Awaitable[dict[str, str]]]


def edge(
    service: str,
    app: App,
    ready: Ready,
    allowances: Allowances = Allowances(),  # noqa: B008
) -> App:
    """Wrap a service's application; `ready` names what does not work, empty when all does."""
    measures: dict[tuple[str, str, str, int], Any] = {}

    async def outermost(scope: Any, receive: Any, send: Any) -> None:
        if INSIDE in scope:  # another service of this process asks: the outer edge did all this
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await measured(scope, receive, send)

    async def measured(scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        request_id = id_of(scope)
        header = (b"x-request-id", request_id.encode())
        status = 500

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), header]
            await send(message)

        bind_contextvars(request_id=request_id)  # each request has a context of its own
        if scope["path"] in ("/livez", "/readyz", "/metrics"):
            await _tell(scope, ready, sending)
            return
        scope = _as_get(scope)
        if scope["path"].endswith(STREAM):  # lasts as long as its reader: no part of the load
            await _guarded(app, scope, receive, sending)
            return
        Load.in_flight += 1
        try:
            allowance = allowances.of(scope["method"], scope["path"])
            await _guarded(app, scope, receive, sending, allowance)
        finally:
            took = time.perf_counter() - began
            Load.in_flight -= 1
            Load.waited_s += took
        labels = (service, scope["method"], scope.get("path_template") or "unknown", status)
        if labels not in measures:
            measures[labels] = REQUESTS.labels(*labels)
        measures[labels].observe(took)

    return outermost


async def _guarded(
    app: App, scope: Any, receive: Any, send: Any, allowance: Allowance = USUAL
) -> None:
    """Hand a request over, within its limits."""
    try:
        _check_address(scope)
        check_length(scope, allowance.body_max_bytes)
        if allowance.streamed:
            await app(scope, metered(receive, allowance.body_max_bytes), send)
            return
        body = b""
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await _read(receive, allowance.body_max_bytes)
        if scope["path"].endswith(STREAM):
            await _stream(app, scope, _replay(body, receive), send)
            return
        async with asyncio.timeout(DEADLINE_S):
            await app(scope, _replay(body, receive), send)
    except Problem as problem:
        await answer_problem(problem, send)
    except TimeoutError:
        log.warning("deadline passed", path=scope["path"])
        await answer_problem(UpstreamTimeout("This took too long."), send)


async def _stream(app: App, scope: Any, receive: Any, send: Any) -> None:
    """Let an answer last, and cut off a reader that takes nothing for SLOW_S."""
    over = asyncio.Event()

    async def sending(message: Any) -> None:
        if over.is_set():
            return
        try:
            async with asyncio.timeout(SLOW_S):
                await send(message)
        except TimeoutError:
            log.info("a slow reader was cut off", path=scope["path"])
            over.set()
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            over.set()

    async def receiving() -> Any:
        leaving = asyncio.ensure_future(receive())
        ending = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait((leaving, ending), return_when=asyncio.FIRST_COMPLETED)
            return leaving.result() if leaving.done() else {"type": "http.disconnect"}
        finally:
            leaving.cancel()
            ending.cancel()

    await app(scope, receiving, sending)


def id_of(scope: Any) -> str:
    """Give the id that a request brings, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if REQUEST_ID.match(given) else str(new_id())
    return str(new_id())


def _check_address(scope: Any) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URI_MAX_BYTES:
        raise UriTooLong(f"An address has at most {URI_MAX_BYTES} bytes.")
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise Malformed("An address has no NUL characters.")


def check_length(scope: Any, most: int) -> None:
    """Refuse a body that says of itself that it is too large, before it is sent."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > most:
            raise PayloadTooLarge(f"A body has at most {most} bytes here.")


def metered(receive: Any, most: int) -> Any:
    """Hand parts of a body on as they come, each in time and not too many in all."""
    size, ended = 0, False

    async def receiving() -> Any:
        nonlocal size, ended
        if ended:  # what comes now is the caller's leaving, while the answer is under way
            return await receive()
        try:
            async with asyncio.timeout(RECEIVE_S):
                message = await receive()
        except TimeoutError as late:
            raise RequestTimeout(f"A body must arrive within {RECEIVE_S:.0f} s.") from late
        if message["type"] == "http.disconnect":
            raise Malformed("The caller left before the body was here.")
        size += len(message.get("body", b""))
        if size > most:
            raise PayloadTooLarge(f"A body has at most {most} bytes here.")
        ended = not message.get("more_body", False)
        return message

    return receiving


async def _read(receive: Any, most: int) -> bytes:
    parts: list[bytes] = []
    receiving = metered(receive, most)
    try:
        async with asyncio.timeout(RECEIVE_S):
            while True:
                message = await receiving()
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    except TimeoutError as late:
        raise RequestTimeout(f"A body must arrive within {RECEIVE_S:.0f} s.") from late
    body = b"".join(parts)
    if b"\\u0000" in body and ESCAPED_NUL.search(body):
        raise Validation("Texts have no NUL characters.")
    return body


def _replay(body: bytes, receive: Any) -> Any:
    given = False

    async def replaying() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


def _as_get(scope: Any) -> Any:
    """Read a HEAD as the GET whose body the server leaves out (RFC 9110, 9.3.2)."""
    is_head = scope["method"] == "HEAD" and not scope["path"].endswith(STREAM)
    return {**scope, "method": "GET"} if is_head else scope


async def _tell(scope: Any, ready: Ready, send: Any) -> None:
    """Answer the questions of those who watch over us.

    Without its broker a service still accepts what it is asked (the outbox keeps what it says), so
    it is degraded, but ready.
    """
    path = scope["path"]
    if await refused_to_write(scope, send):
        return
    if path == "/metrics":
        await answer_bytes(200, metrics(), b"text/plain; version=0.0.4", send)
        return
    wrong = await ready() if path == "/readyz" else {}
    fatal = [what for what in wrong if not what.endswith("broker")]
    status = "not ready" if fatal else "degraded" if wrong else "ok"
    body = msgspec.json.encode({"status": status, "reasons": wrong})
    await answer_bytes(503 if fatal else 200, body, b"application/json", send)


async def refused_to_write(scope: Any, send: Any) -> bool:
    """Answer a request for what can only be read, if it wants anything else."""
    if scope["method"] in ("GET", "HEAD"):
        return False
    allow = "GET, HEAD, OPTIONS"
    if scope["method"] == "OPTIONS":
        await answer_bytes(204, b"", b"text/plain", send, [(b"allow", allow.encode())])
    else:
        refusal = MethodNotAllowed("This can only be read.", headers={"Allow": allow})
        await answer_problem(refusal, send)
    return True


async def answer_problem(problem: Problem, send: Any) -> None:
    """Answer with a problem document from outside any framework."""
    body = msgspec.json.encode(problem_body(problem))
    headers = [(n.lower().encode(), v.encode()) for n, v in problem.headers.items()]
    await answer_bytes(problem.status, body, b"application/problem+json", send, headers)


async def answer_bytes(
    status: int,
    body: bytes,
    media_type: bytes,
    send: Any,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Send one whole answer."""
    named = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body, "more_body": False})
