"""A service in another process, seen as an ASGI app: whoever calls it cannot tell."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import structlog
from yarl import URL

from merkato.chassis.allowance import BODY_MAX_BYTES
from merkato.chassis.ask import App
from merkato.contracts.problem import Malformed, Problem

log = structlog.get_logger()

HOP_BY_HOP = {
    b"connection", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
}  # fmt: skip
DEADLINE_S = 10.0
TRIES = 3  # of a read; a write is sent once
PAUSE_S = 0.1  # before a read is tried again, growing
FAILURES_MAX = 10  # in a row, then nobody asks for a while
OPEN_S = 2.0  # how long nobody asks


class Breaker:
    """Stops asking a service that does not answer, for a moment."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until = 0.0

    def lets_through(self) -> bool:
        """Tell whether to try."""
        return time.monotonic() >= self._closed_until

    def record(self, *, answered: bool) -> None:
        """Learn from a try."""
        self._failures = 0 if answered else self._failures + 1
        if self._failures >= FAILURES_MAX:
            self._closed_until = time.monotonic() + OPEN_S


@asynccontextmanager
async def remote(url: str) -> AsyncIterator[App]:
    """Give an ASGI app that forwards each request to `url`.

    503 when nobody answers there, 504 when the answer is late. Answers are streamed. Raises the
    Problem of a body that breaks off before anything is answered.
    """
    breaker = Breaker()
    timeout = aiohttp.ClientTimeout(total=None, connect=2.0, sock_read=DEADLINE_S)
    connector = aiohttp.TCPConnector(limit=256, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        url, connector=connector, timeout=timeout, auto_decompress=False, trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:  # fmt: skip

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await _forward(session, breaker, scope, receive, send)

        yield app


async def _forward(
    session: aiohttp.ClientSession, breaker: Breaker, scope: Any, receive: Any, send: Any
) -> None:
    refused: list[Problem] = []  # what is wrong with the body: no failure of the service
    body = await _read(receive, refused)
    tries = TRIES if scope["method"] in ("GET", "HEAD") else 1
    started = False

    async def send_noting(message: Any) -> None:
        nonlocal started
        started = True
        await send(message)

    for attempt in range(1, tries + 1):
        if not breaker.lets_through():
            break
        try:
            await _send_once(session, scope, body, send_noting)
            breaker.record(answered=True)
            return None
        except TimeoutError:
            breaker.record(answered=False)
            if started:
                raise
            return await _fail(send, 504, "upstream-timeout", "No answer in time")
        except aiohttp.ClientError as error:
            if refused:
                raise (error if started else refused[0]) from None
            breaker.record(answered=False)
            if started:
                raise
            log.warning("service does not answer", path=scope["path"], error=repr(error))
            if attempt < tries:
                await asyncio.sleep(PAUSE_S * attempt)
    return await _fail(send, 503, "dependency-unavailable", "Temporarily unavailable")


async def _read(receive: Any, refused: list[Problem]) -> bytes | AsyncIterator[bytes]:
    """Read a body whole, or, of a long one, its beginning: the rest is passed on as it comes."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
        if sum(map(len, parts)) > BODY_MAX_BYTES:
            return _passed_on(b"".join(parts), receive, refused)
    return b"".join(parts)


async def _passed_on(begun: bytes, receive: Any, refused: list[Problem]) -> AsyncIterator[bytes]:
    """Give a body as it comes. A Problem is noted too: aiohttp, which reads, would hide it."""
    yield begun
    more = True
    while more:
        try:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Malformed("The caller left before the body was here.")
        except Problem as problem:
            refused.append(problem)
            raise
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _send_once(
    session: aiohttp.ClientSession, scope: Any, body: bytes | AsyncIterator[bytes], send: Any
) -> None:
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name.lower() not in HOP_BY_HOP
    ]
    query = scope["query_string"].decode("latin-1")
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    target = path + (f"?{query}" if query else "")
    async with session.request(
        scope["method"], URL(target, encoded=True), headers=headers, data=body,
        allow_redirects=False,
    ) as answer:  # fmt: skip
        out = [(n, v) for n, v in answer.raw_headers if n.lower() not in HOP_BY_HOP]
        if (length := answer.headers.get("content-length")) is not None:
            out.append((b"content-length", length.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": out})
        async for part in answer.content.iter_any():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _fail(send: Any, status: int, slug: str, title: str) -> None:
    body = f'{{"type":"/problems/{slug}","title":"{title}","status":{status}}}'.encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"2"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
