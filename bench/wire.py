"""A cheap HTTP/1.1 client: one request at a time on a connection that stays open.

It shares two cores with what it measures, so it does no more than it must: it writes bytes that
were made ready, and of an answer it reads the status, the length and, when asked for, the body.
"""

import asyncio
from typing import NamedTuple, cast
from urllib.parse import urlsplit

DEADLINE_S = 30.0  # the longest wait for an answer; the shop itself gives up after 10 s


class Answer(NamedTuple):
    """Status 0 stands for no answer: a lost connection, or none within DEADLINE_S."""

    status: int
    body: bytes


NONE = Answer(0, b"")


class Connection(asyncio.Protocol):
    """One connection. Connects again by itself after it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._buffer = bytearray()
        self._end = 0  # where the answer ends in the buffer; 0 while its length is unknown

    async def open(self) -> None:
        """Connect, unless connected."""
        if self._transport is None:
            await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def send(self, request: bytes) -> Answer:
        """Send a request and wait for the answer."""
        loop = asyncio.get_running_loop()
        try:
            await self.open()
        except OSError:
            await asyncio.sleep(0.05)  # refused: do not spin
            return NONE
        assert self._transport is not None
        self._waiting = loop.create_future()
        self._buffer.clear()
        self._end = 0
        late = loop.call_later(DEADLINE_S, self.close)
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            late.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that there is no answer."""
        self._transport = None
        self._tell(NONE)

    def data_received(self, data: bytes) -> None:
        """Gather an answer; all of ours say how long they are."""
        self._buffer += data
        if not self._end:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            self._end = head + 4 + _length(bytes(self._buffer[:head]).lower())
        if len(self._buffer) >= self._end:
            whole = bytes(self._buffer[: self._end])
            self._tell(Answer(int(whole[9:12]), whole[whole.find(b"\r\n\r\n") + 4 :]))

    def _tell(self, answer: Answer) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


def _length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        if head[9:12] in (b"204", b"304"):
            return 0
        raise ValueError(f"an answer of unknown length: {head.decode('latin-1')}")
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end > 0 else None])


def place(url: str) -> tuple[str, int]:
    """Split an address into host and port."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def request(
    method: str, path: str, *, token: str = "", body: bytes = b"", headers: str = ""
) -> bytes:
    """Make the bytes of a request; `headers` are further lines, each ended by CRLF."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    kind = "Content-Type: application/json\r\n" if body else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: shop\r\n{bearer}{kind}{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
