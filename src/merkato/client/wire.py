"""How a client sends one request: with its token, a key for repeats, and patience."""

import asyncio
import random
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import msgspec

Json = dict[str, Any]
TRIES = 4  # of a request that may be repeated
PAUSE_S = 0.2  # before the second try, doubled each time, with jitter
PAUSE_MAX_S = 10.0
AGAIN = frozenset({429, 502, 503, 504})
READS = frozenset({"GET", "HEAD"})


class Refused(Exception):
    """The shop said no: `status`, the problem's `slug`, and the whole `problem`."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.slug = str(problem.get("type", "")).rsplit("/", 1)[-1]
        self.problem = problem


class NoAnswer(Exception):
    """Nobody answered, however often we asked. Under a key the request may be sent again."""


class Wire:
    """A connection pool to one shop, on behalf of one caller."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        key: str = "",
        timeout_s: float = 15.0,
        tries: int = TRIES,
    ) -> None:
        """Speak to the shop at `url`; `token` of a person, or `key` of a program (`mk_…`)."""
        self._url, self._tries = url.rstrip("/"), tries
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.token = token or key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=256)
        jar = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, cookie_jar=jar, trust_env=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and give its answer decoded, None for an empty one.

        `key`: an Idempotency-Key, "" for a new one; a write without one is sent once. Raises
        Refused and NoAnswer.
        """
        sent = dict(headers or {})
        if self.token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if key is not None:
            sent["idempotency-key"] = key or uuid4().hex
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["content-type"] = "application/json"
        tries = self._tries if method in READS or key is not None else 1
        for number in range(1, tries + 1):
            answer = await self._try(method, path, content, _plain(query), sent)
            if answer is not None and (answer[0] not in AGAIN or number == tries):
                return _read(*answer[:2])
            if number < tries:
                await asyncio.sleep(_pause(number, answer[2] if answer else None))
        raise NoAnswer(f"{method} {path}: no answer after {tries} tries")

    async def _try(
        self, method: str, path: str, content: bytes | None, query: Mapping[str, str], sent: Json
    ) -> tuple[int, bytes, str | None] | None:
        if self._session is None:
            raise RuntimeError("Use the client as: async with Client(…) as shop")
        try:
            async with self._session.request(
                method, self._url + path, data=content, params=query, headers=sent,
                allow_redirects=method in READS,
            ) as answer:  # fmt: skip
                return answer.status, await answer.read(), answer.headers.get("retry-after")
        except (aiohttp.ClientError, TimeoutError):
            return None


def _plain(query: Mapping[str, object] | None) -> dict[str, str]:
    named = {name: value for name, value in (query or {}).items() if value is not None}
    return {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in named.items()}


def _read(status: int, body: bytes) -> Any:
    if status < 400:
        return msgspec.json.decode(body) if body else None
    try:
        problem = msgspec.json.decode(body, type=Json)
    except msgspec.DecodeError:
        problem = {}
    raise Refused(status, problem)


def _pause(number: int, retry_after: str | None) -> float:
    asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
    grown: float = PAUSE_S * 2 ** (number - 1) * random.uniform(0.5, 1.5)
    return min(PAUSE_MAX_S, max(asked, grown))
