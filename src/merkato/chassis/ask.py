"""Ask another service, wherever it runs: a typed question to its ASGI app."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote

import msgspec
from structlog.contextvars import get_contextvars

from merkato.chassis.tokens import Tokens
from merkato.contracts.problem import DependencyUnavailable, UpstreamTimeout

T = TypeVar("T")
DEADLINE_S = 10.0  # longest wait for an answer
INSIDE = "merkato.inside"  # in the scope of a request that no client can have sent
App: TypeAlias = Callable[[Any, Any, Any], Any]  # ASGI 3


class Refusal(Exception):
    """The other service said no: `status`, the problem's `slug`, and the problem itself."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('detail', '')}")
        self.status = status
        self.slug = str(problem.get("type", "")).rsplit("/", 1)[-1]
        self.problem = problem


class Asks:
    """The services that one service may ask, by name."""

    def __init__(self, apps: Mapping[str, App], tokens: Tokens) -> None:
        self._apps = apps
        self._tokens = tokens

    async def ask(
        self, service: str, method: str, path: str, answer_type: type[T], body: object = None
    ) -> T:
        """Send a question with our own token and decode the answer.

        Raises Refusal for 4xx, DependencyUnavailable and UpstreamTimeout when there is none: what
        was asked may have happened then.
        """
        status, answer = await self.send(service, method, path, body)
        if status >= 400:
            raise Refusal(status, msgspec.json.decode(answer, type=dict[str, Any]))
        return msgspec.json.decode(answer or b"null", type=answer_type)

    async def send(
        self, service: str, method: str, path: str, body: object = None
    ) -> tuple[int, bytes]:
        """Send a question; give status and raw answer of anything below 500."""
        content = b"" if body is None else msgspec.json.encode(body)
        headers = [
            (b"authorization", b"Bearer " + self._tokens.for_service(service).encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        if request_id := get_contextvars().get("request_id"):
            headers.append((b"x-request-id", str(request_id).encode()))
        app = self._apps[service]
        try:
            async with asyncio.timeout(DEADLINE_S):
                status, answer = await call(app, method, path, headers, content, inside=True)
        except TimeoutError as late:
            raise UpstreamTimeout(f"{service} did not answer in time.") from late
        if status == UpstreamTimeout.status:
            raise UpstreamTimeout(f"{service} did not answer in time.")
        if status >= 500:
            raise DependencyUnavailable(f"{service} does not answer.")
        return status, answer


async def call(
    app: App,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    content: bytes = b"",
    *,
    inside: bool = False,
) -> tuple[int, bytes]:
    """Send one request through an ASGI app and wait for its whole answer.

    `inside`: it comes from a request that has passed an edge; a service here needs no second one.
    """
    route, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(route),
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
        "state": {},
        **({INSIDE: True} if inside else {}),
    }
    asked, answered = False, asyncio.Event()
    status = 500
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:  # we stay until the answer is whole: a streamed one ends where its reader leaves
            await answered.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                answered.set()

    await app(scope, receive, send)
    return status, b"".join(parts)
