"""Plain HTTP for the stand-ins: a call, an answer, a table of routes. It is the hot path."""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_MAX_BYTES = 1_048_576
STYLE = Path(__file__).parent / "static" / "standin.css"
# Forms may lead anywhere (a challenge leads back to the shop), so form-action is left open.
PAGE_POLICY = b"default-src 'none'; style-src 'self'; frame-src 'self'; frame-ancestors 'none'"


class Gone(Exception):
    """The client went away before it was answered."""


class TooLarge(ValueError):
    """The body is over BODY_MAX_BYTES."""


class Call(msgspec.Struct):
    """One request. `path` holds the values of the route's placeholders."""

    method: str
    url: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    receive: Receive
    path: dict[str, str] = {}

    def form(self) -> dict[str, str]:
        """Give the fields of a form; the last of several equal names wins. Raises ValueError."""
        return _fields(self.body.decode())

    async def gone(self) -> None:
        """Wait until the client goes away. Raises Gone, always."""
        while (await self.receive())["type"] != "http.disconnect":
            continue
        raise Gone


class Answer(msgspec.Struct):
    """What a call is answered with."""

    status: int = 200
    body: bytes = b""
    type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Call], Awaitable[Answer]]
Route = tuple[str, str, Handler]


def json(content: object, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status, msgspec.json.encode(content))


def page(html: str, status: int = 200, policy: bytes = PAGE_POLICY) -> Answer:
    """Answer with a page that runs nothing and loads nothing but our style."""
    headers = ((b"content-security-policy", policy), (b"x-content-type-options", b"nosniff"))
    return Answer(status, html.encode(), b"text/html; charset=utf-8", headers)


def redirect(url: str) -> Answer:
    """Lead the browser to `url` by GET."""
    return Answer(303, headers=((b"location", url.encode("ascii", "ignore")),))


class App:
    """An ASGI application over a table of routes.

    `before` may answer instead of the route (authentication, a mode of the stand-in). `settled` is
    awaited before every answer, so that nothing is said that is not yet in the file. `refuse` turns
    an exception into an answer, or None if it knows none.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        settled: Callable[[], Awaitable[None]],
        before: Callable[[Call], Awaitable[Answer | None]] | None = None,
        refuse: Callable[[Exception], Answer | None] | None = None,
    ) -> None:
        self._fixed: dict[tuple[str, str], Handler] = {}
        self._open: list[tuple[str, re.Pattern[str], Handler]] = []
        for method, path, handler in (*routes, ("GET", "/livez", _alive), ("GET", _CSS, _style)):
            if "{" in path:
                pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
                self._open.append((method, pattern, handler))
            else:
                self._fixed[method, path] = handler
        self._settled = settled
        self._before = before
        self._refuse = refuse

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            return
        headers = [(b"content-type", answer.type), (b"content-length", b"%d" % len(answer.body))]
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [*headers, *answer.headers],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        try:
            call = Call(
                method=scope["method"],
                url=scope["path"],
                query=_fields(scope["query_string"].decode()),
                headers={k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
                body=await _body(receive),
                receive=receive,
            )
            answer = await self._before(call) if self._before else None
            if answer is None:
                answer = await self._route(call)
        except TooLarge:
            answer = json({"error": {"message": "The body is too large."}}, 413)
        except Gone:
            raise
        except Exception as error:
            refused = self._refuse(error) if self._refuse else None
            if refused is None and not isinstance(error, ValueError):
                raise
            answer = refused or json({"error": {"message": str(error)}}, 400)
        await self._settled()
        return answer

    async def _route(self, call: Call) -> Answer:
        handler = self._fixed.get((call.method, call.url))
        if handler is not None:
            return await handler(call)
        for method, pattern, candidate in self._open:
            if method == call.method and (match := pattern.fullmatch(call.url)):
                call.path = match.groupdict()
                return await candidate(call)
        return json({"error": {"message": f"Nothing at {call.method} {call.url}."}}, 404)


_CSS = "/standin.css"


async def _alive(_call: Call) -> Answer:
    return json({"status": "ok"})


async def _style(_call: Call) -> Answer:
    return Answer(200, STYLE.read_bytes(), b"text/css; charset=utf-8")


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += bytes(message.get("body", b""))
        if len(body) > BODY_MAX_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            return body


def _fields(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=500))
