"""A gateway to telephones: any program that takes our signed messages and sends them on.

It is handed ``{"type": "notification.sms", "timestamp": …, "data": {…}}`` by POST. 2xx: taken. 408,
425, 429 and 5xx, or no answer: not now. Any other answer: never. It must take a `webhook-id` once.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import msgspec

from merkato.chassis.signatures import SECRET_CHARS_MIN, sign

ANSWER_S = 10.0  # longest wait for an answer
PAUSE_MAX_S = 30.0  # longest pause before a gateway that is away is tried again
RETRY_AFTER_MAX_S = 3_600
ANSWER_MAX_BYTES = 1_024  # read of an answer; it is not shown to anybody
AGAIN = {408, 425, 429}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is to send: to a telephone number, or to the devices of a user."""

    id: str
    channel: str  # sms | push
    to: str
    title: str
    text: str
    locale: str
    kind: str
    url: str | None = None  # where to read more


class Outcome(Enum):
    """What the gateway made of a message."""

    TAKEN = "taken"
    REFUSED = "refused"  # for good
    UNSURE = "unsure"  # not now, or nobody knows: hand it over again, under the same id


class Answer(msgspec.Struct, frozen=True):
    """The gateway's word."""

    outcome: Outcome
    why: str = ""
    wait_s: int | None = None
    away: bool = False  # it cannot be reached: no message is to blame


HandOver = Callable[[Text], Awaitable[Answer]]  # the message's id is the same at every try


class Gateway:
    """One gateway and whether it is worth trying."""

    def __init__(self, channel: str, url: str, secret: str) -> None:
        """Open nothing yet. Raises ValueError for what is no URL, or a short secret."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"notifications.gateways.{channel}: url: https://host/path")
        if len(secret) < SECRET_CHARS_MIN:
            raise ValueError(f"notifications.gateways.{channel}: a secret of 24 characters or more")
        self.channel, self._url, self._secret = channel, url, secret
        self._pause_s = self._closed_until = 0.0

    def open(self) -> bool:
        """Tell whether it is time to try."""
        return asyncio.get_running_loop().time() >= self._closed_until

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[HandOver]:
        """Keep connections for a while, and give what hands a message over."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            yield partial(self._hand_over, session)

    async def _hand_over(self, session: aiohttp.ClientSession, text: Text) -> Answer:
        body = msgspec.json.encode(
            {
                "type": f"notification.{text.channel}",
                "timestamp": datetime.now(UTC),
                "data": text,
            }
        )
        headers = sign([self._secret], text.id, int(time.time()), body)
        try:
            async with session.post(
                self._url,
                data=body,
                headers={**headers, "content-type": "application/json"},
                allow_redirects=False,
            ) as answer:
                await answer.content.read(ANSWER_MAX_BYTES)
                return self._judge(answer.status, answer.headers.get("retry-after"))
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as error:
            self._away()
            return Answer(Outcome.UNSURE, type(error).__name__, away=True)

    def _judge(self, status: int, retry_after: str | None) -> Answer:
        self._pause_s = self._closed_until = 0.0
        if 200 <= status < 300:
            return Answer(Outcome.TAKEN)
        if status in AGAIN or status >= 500:
            wait = int(retry_after) if retry_after and retry_after.isdecimal() else None
            wait_s = min(wait, RETRY_AFTER_MAX_S) if wait is not None else None
            return Answer(Outcome.UNSURE, str(status), wait_s)
        return Answer(Outcome.REFUSED, str(status))

    def _away(self) -> None:
        self._pause_s = min(max(1.0, 2 * self._pause_s), PAUSE_MAX_S)
        self._closed_until = asyncio.get_running_loop().time() + self._pause_s
