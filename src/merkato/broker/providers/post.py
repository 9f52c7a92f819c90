"""Carries webhooks to endpoints: judged addresses only, no redirections, bounded in time and size.

An address is judged where it cannot change any more: in the resolver, whose answer is what is
connected to, and once more at the socket, just before it connects.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from merkato.broker.domain import webhooks
from merkato.broker.domain.addresses import Rules, forbidden, judge, read
from merkato.broker.domain.webhooks import Answer
from merkato.contracts.problem import Validation

DEADLINE_S = 20.0  # for a whole try, from the look-up of the name to the answer
BODY_S = 2.0  # how long an answer's body is read, only to use the connection again
BODY_MAX_BYTES = 65_536
LOOK_UPS = 32  # names looked up at once; one whose server does not answer keeps a thread for long
NOT_ALLOWED = "this address is not allowed"


class NotAllowed(OSError):
    """A connection would have led to a forbidden address."""


class Resolver(AbstractResolver):
    """Looks names up and gives judged addresses, or none at all when one is forbidden."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        # Of its own: a look-up cannot be cancelled, and the loop's threads are the whole process's.
        self._threads = ThreadPoolExecutor(LOOK_UPS, "names")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Ask the system for all addresses of a name, once for all who ask meanwhile."""
        asked = (host, port)
        if asked not in self._under_way:
            look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            answer = asyncio.get_running_loop().run_in_executor(self._threads, look_up)
            self._under_way[asked] = answer
            answer.add_done_callback(lambda _: self._under_way.pop(asked))
        found = await asyncio.shield(self._under_way[asked])
        return sorted({str(one[4][0]) for one in found})

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See AbstractResolver. Raises NotAllowed."""
        try:
            judged = judge(await self.addresses(host, port), self._rules.networks)
        except Validation as refused:
            raise NotAllowed(NOT_ALLOWED) from refused
        return [
            ResolveResult(
                hostname=host,
                host=str(one),
                port=port,
                family=socket.AF_INET if one.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in judged
        ]

    async def close(self) -> None:
        """See AbstractResolver."""


class Post:
    """The way to endpoints, by the rules of this installation."""

    def __init__(self, rules: Rules, *, concurrency: int, resolver: Resolver | None = None) -> None:
        self.rules = rules
        self._concurrency = concurrency
        self._resolver = resolver or Resolver(rules)
        self._session: aiohttp.ClientSession | None = None
        self._allowed = lru_cache(1_000)(self._read)  # the same few addresses over and over

    async def check(self, url: str) -> None:
        """Judge an address as at sending, names looked up. Raises Validation at ``/url``."""
        target = read(url, self.rules)
        if target.address is None:
            try:
                async with asyncio.timeout(5):
                    found = await self._resolver.addresses(target.host, target.port)
            except (OSError, TimeoutError, UnicodeError) as error:
                raise Validation.at("/url", "This name has no address.") from error
            judge(found, self.rules.networks)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the connections' pool for as long as webhooks are sent."""
        connector = aiohttp.TCPConnector(
            limit=self._concurrency,
            resolver=self._resolver,
            use_dns_cache=False,
            socket_factory=self._socket,
            keepalive_timeout=30,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=DEADLINE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            requote_redirect_url=False,
            headers={"User-Agent": "Merkato-Webhooks/1", "Accept-Encoding": "identity"},
        ) as self._session:
            yield

    def _socket(self, info: Any) -> socket.socket:
        """Make the socket for an address; the last gate before anything is sent."""
        family, kind, proto, _, address = info
        if forbidden(ipaddress.ip_address(address[0]), self.rules.networks):
            raise NotAllowed(NOT_ALLOWED)
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send once. Never raises for what the endpoint does; says it in the answer."""
        began = time.perf_counter()
        status, error, pause_s = None, None, None
        try:
            status, later = await self._exchange(self._allowed(url), headers, body)
            error = webhooks.error_of(status)
            pause_s = webhooks.retry_after(later, datetime.now(UTC)) if error else None
        except (Validation, NotAllowed):
            error = NOT_ALLOWED
        except TimeoutError:
            error = "no answer in time"
        except aiohttp.ClientConnectorCertificateError:
            error = "the certificate is not valid"
        except (aiohttp.ClientError, OSError, ValueError) as wrong:
            error = NOT_ALLOWED if isinstance(wrong.__cause__, NotAllowed) else "no valid answer"
        return Answer(
            status=status,
            error=error,
            retry_after_s=pause_s,
            duration_ms=int((time.perf_counter() - began) * 1000),
            at=datetime.now(UTC),
        )

    def _read(self, url: str) -> URL:
        read(url, self.rules)
        return URL(url, encoded=True)

    async def _exchange(
        self, url: URL, headers: dict[str, str], body: bytes
    ) -> tuple[int, str | None]:
        assert self._session is not None  # opened
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            try:
                async with asyncio.timeout(BODY_S):
                    read_bytes = 0
                    async for part in answer.content.iter_chunked(16_384):
                        read_bytes += len(part)
                        if read_bytes > BODY_MAX_BYTES:
                            answer.close()
                            break
            except (TimeoutError, aiohttp.ClientError):
                answer.close()  # its status is what counts
            return answer.status, answer.headers.get("Retry-After")
