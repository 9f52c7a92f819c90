"""How a client sends one request: with its token, a key for repeats, and patience."""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import msgspec

Json = dict[str, Any]
Query = Mapping[str, str | list[str]]
PATIENCE_S = 5.0  # how long a request that may be repeated is sent again
PAUSE_S = 0.2  # before the second try, doubled each time, with jitter
PAUSE_MAX_S = 5.0
AGAIN = frozenset({429, 502, 503, 504})
SOON = "/problems/request-in-progress"  # the same request is being answered at this moment
READS = frozenset({"GET", "HEAD"})


class Refused(Exception):
    """The shop said no: `status`, the problem's `slug`, and the whole `problem`."""

    def __init__(self, request: str, status: int, problem: Json) -> None:
        mistakes = [f"{one['pointer']} {one['detail']}" for one in problem.get("errors", ())]
        why = "; ".join([str(problem.get("detail") or problem.get("title", "")), *mistakes])
        super().__init__(f"{request}: {status} {why}")
        self.status = status
        self.slug = str(problem.get("type", "")).rsplit("/", 1)[-1]
        self.problem = problem


class NoAnswer(Exception):
    """Nobody answered, or the shop was too busy, however often we asked.

    Under its key the request may be sent again.
    """


class Wire:
    """A connection pool to one shop, on behalf of one caller."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        key: str = "",
        timeout_s: float = 15.0,
        patience_s: float = PATIENCE_S,
        at_once: int | None = None,
    ) -> None:
        """Speak to the shop at `url`; `token` of a person, or `key` of a program (`mk_…`).

        `timeout_s` for one answer, `patience_s` from a request's first failure on. At most
        `at_once` are under way; waiting for a place is not waiting for an answer.
        """
        self._url, self._patience_s = url.rstrip("/"), patience_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._places = asyncio.Semaphore(at_once) if at_once else nullcontext()
        self.token = token or key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
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
        request, until = f"{method} {path}", 0.0
        may_repeat = method in READS or key is not None
        pause_s = PAUSE_S
        while True:
            answer = await self._try(method, path, content, _plain(query), sent)
            if isinstance(answer, _Answer) and not (may_repeat and answer.is_busy):
                return _read(request, answer)
            until = until or time.monotonic() + self._patience_s  # begins with the first failure
            asked_s = answer.retry_after_s if isinstance(answer, _Answer) else 0.0
            wait_s = min(PAUSE_MAX_S, max(asked_s, pause_s * random.uniform(0.5, 1.5)))
            if not may_repeat or time.monotonic() + wait_s > until:
                why = answer.body[:200].decode() if isinstance(answer, _Answer) else answer
                raise NoAnswer(f"{request}: {why}")
            await asyncio.sleep(wait_s)
            pause_s *= 2

    async def _try(
        self, method: str, path: str, content: bytes | None, query: Query, sent: Json
    ) -> "_Answer | str":
        """Send a request once; give its answer, or why there was none."""
        if self._session is None:
            raise RuntimeError("Use the client as: async with Client(…) as shop")
        try:
            async with (
                self._places,
                self._session.request(
                    method, self._url + path, data=content, params=query, headers=sent,
                    allow_redirects=method in READS,
                ) as answer,
            ):  # fmt: skip
                said = answer.headers.get("retry-after", "")
                asked_s = float(said) if said.isdecimal() else 0.0
                return _Answer(answer.status, await answer.read(), asked_s)
        except (aiohttp.ClientError, TimeoutError) as error:
            return str(error) or type(error).__name__


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    retry_after_s: float

    @property
    def is_busy(self) -> bool:
        """Tell whether the same request may be answered otherwise in a moment."""
        return self.status in AGAIN or (self.status == 409 and SOON.encode() in self.body)


def _plain(query: Mapping[str, object] | None) -> Query:
    """Write a query; of a list, one parameter for each."""
    found: dict[str, str | list[str]] = {}
    for name, value in (query or {}).items():
        if isinstance(value, list | tuple):
            found[name] = [str(one) for one in value]
        elif value is not None:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _read(request: str, answer: _Answer) -> Any:
    if answer.status < 400:
        return msgspec.json.decode(answer.body) if answer.body else None
    try:
        problem = msgspec.json.decode(answer.body, type=Json)
    except msgspec.DecodeError:
        problem = {"detail": answer.body[:200].decode(errors="replace")}
    raise Refused(request, answer.status, problem)
