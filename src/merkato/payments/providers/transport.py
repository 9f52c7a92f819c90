"""The way out of Stripe's library: one pool, no redirects, no proxies, bounded answers."""

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import stripe

ANSWER_MAX_BYTES = 1_048_576


class Http(stripe.HTTPClient):
    """The library's way out: one pool, no redirects, no proxies, bounded answers."""

    name = "merkato"

    def __init__(self, deadline_s: float) -> None:
        super().__init__()
        self._deadline = aiohttp.ClientTimeout(total=deadline_s)
        self._session: aiohttp.ClientSession | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """See stripe.HTTPClient. Raises ClientError and TimeoutError."""
        if self._session is None or self._session.closed:
            trust = ssl.create_default_context(cafile=stripe.ca_bundle_path)
            connector = aiohttp.TCPConnector(ssl=trust)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._deadline, cookie_jar=aiohttp.DummyCookieJar()
            )
        async with self._session.request(
            method, url, headers=headers, data=post_data, allow_redirects=False
        ) as answer:
            body = bytearray()
            async for part in answer.content.iter_chunked(65_536):
                body += part
                if len(body) > ANSWER_MAX_BYTES:
                    raise aiohttp.ClientPayloadError("The answer has no end.")
            return bytes(body), answer.status, answer.headers

    async def close_async(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
