"""A running shop, spoken to over HTTP under an API key; busy and silent moments are waited out."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

DEADLINE_S = 30.0  # longest wait for one answer
PATIENCE_S = 120.0  # how long one request is tried again while the shop is busy or not there
PAUSE_MAX_S = 5.0  # longest pause between two tries
AGAIN = {429, 502, 503, 504}
SCOPES = (
    "catalog:write", "inventory:read", "inventory:write", "orders:agree-prices", "orders:credit",
    "orders:place-for", "orders:read", "orders:ship", "orders:write", "reports:read",
)  # fmt: skip


class Refused(Exception):
    """The shop said no; the message says to what, and why."""

    def __init__(self, request: str, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.slug = status, str(problem.get("type", "")).rpartition("/")[2]
        mistakes = [f"{each['pointer']} {each['detail']}" for each in problem.get("errors", [])]
        why = "; ".join([str(problem.get("detail") or problem.get("title")), *mistakes])
        super().__init__(f"{request}: {status} {why}")


class Silent(Exception):
    """The shop does not answer, or is too busy for too long."""


class Shop:
    """The API of a shop at `url`; `key` is an API key with SCOPES, or an access token."""

    def __init__(self, url: str, key: str, *, at_once: int) -> None:
        self._session = aiohttp.ClientSession(
            url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=DEADLINE_S),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._places = asyncio.Semaphore(at_once)  # waiting for one is not waiting for an answer

    async def __aenter__(self) -> "Shop":
        """Give itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def get(self, path: str, **query: str | int | list[str]) -> dict[str, Any]:
        """Read something. Raises Refused, Silent."""
        return await self._call("GET", path, None, {}, query)

    async def pages(self, path: str, **query: str | int) -> AsyncIterator[dict[str, Any]]:
        """Go through the items of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, **{"limit": 100, **query, **cursor})
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    async def send(self, method: str, path: str, body: object, key: str) -> dict[str, Any]:
        """Change something, once per key however often it is tried. Raises Refused, Silent."""
        content = msgspec.json.encode(body)
        return await self._call(method, path, content, {"Idempotency-Key": key}, {})

    async def _call(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str],
        query: Mapping[str, str | int | list[str]],
    ) -> dict[str, Any]:  # fmt: skip
        request, until, pause = f"{method} /api/v1{path}", time.monotonic() + PATIENCE_S, 0.2
        while True:
            why, asked_s = "", 0.0
            try:
                async with (
                    self._places,
                    self._session.request(
                        method, f"api/v1{path}", data=content, headers=headers, params=query
                    ) as response,
                ):
                    text = await response.read()
                if response.status < 300:
                    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}
                problem = _problem(text)
                busy = str(problem.get("type", "")).endswith("/request-in-progress")
                if response.status not in AGAIN and not busy:
                    raise Refused(request, response.status, problem)
                why = f"{response.status} {problem.get('detail')}"
                asked_s = float(response.headers.get("Retry-After", "0"))
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            pause = min(max(2 * pause, asked_s), PAUSE_MAX_S)
            if time.monotonic() + pause > until:
                raise Silent(f"{request}: {why}")
            await asyncio.sleep(pause)


def _problem(text: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"detail": text[:200].decode(errors="replace")}
