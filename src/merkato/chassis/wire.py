"""HTTP/1.1 as the server takes it off the wire: what could be read in two ways is refused.

The parser (llhttp) is strict by itself. Added here: sizes of addresses and header fields before
they are complete, one Host, one framing (RFC 9112, 6.1), no other form of target than a path, and
a deadline for the head of a request.
"""

import asyncio
import re
from typing import Any

import httptools
import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from merkato.chassis.edge import HeadersTooLarge, RequestTimeout, UriTooLong
from merkato.chassis.http import problem_body
from merkato.chassis.ids import new_id
from merkato.contracts.problem import Malformed, Problem

FIELDS_MAX = 100
HEAD_MAX_BYTES = 65_536  # of all header fields and the address together
TARGET_MAX_BYTES = 16_384  # longer ones are not read to their end
HEAD_S = 10.0  # the head of a request must have arrived by then
SWEEP_S = 1.0
HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\Z")
LENGTH = re.compile(rb"\d{1,15}\Z")


class ExpectationFailed(Problem):
    """Only `Expect: 100-continue` is understood."""

    slug, status, title = "expectation-failed", 417, "Expectation not met"


class Wire(HttpToolsProtocol):
    """One connection. A refused request ends it: nobody knows where the next one would begin."""

    _refusal: Problem | None = None
    _began: float | None = None  # when the head that is now arriving began
    _size = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._began = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Read on; a head that does not end is refused at HEAD_MAX_BYTES."""
        super().data_received(data)
        if self._began is not None:
            self._size += len(data)
            if self._size > 2 * HEAD_MAX_BYTES:  # it may begin in the middle of `data`
                self.refuse(HeadersTooLarge("The header fields are too large."))

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._began, self._size = self.loop.time(), 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self.url += url
        if len(self.url) > TARGET_MAX_BYTES:
            self._refuse_later(UriTooLong("The address is too long."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        self._size += len(name) + len(value)
        super().on_header(name, value)
        if self._size > HEAD_MAX_BYTES or len(self.headers) > FIELDS_MAX:
            detail = f"At most {FIELDS_MAX} header fields and {HEAD_MAX_BYTES} bytes of them."
            self._refuse_later(HeadersTooLarge(detail))

    def on_headers_complete(self) -> None:
        """Hand the request over, unless its head can be read in two ways."""
        self._began, self._size = None, 0
        wrong = _ambiguity(self.url, self.headers, self.parser.get_http_version())
        if wrong is not None:
            self._refuse_later(wrong)
        super().on_headers_complete()

    def _refuse_later(self, problem: Problem) -> None:
        """Leave the parser, which ends in send_400_response."""
        self._refusal = problem
        raise httptools.HttpParserError(problem.slug)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or we, could not accept."""
        self.refuse(self._refusal or Malformed("This is not HTTP as we read it."))

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer is on its way, and close the connection."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # half of its body will never come
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        request_id = str(new_id())
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            body = msgspec.json.encode(problem_body(problem))
        head = (
            f"content-type: application/problem+json\r\nx-request-id: {request_id}\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[problem.status] + head.encode() + body)
        self.transport.close()

    def check_deadline(self, now: float) -> None:
        """Refuse a head that has been arriving for too long."""
        if self._began is not None and now - self._began > HEAD_S:
            self._began = None
            if self._size == 0:  # nobody has asked for anything
                self.transport.close()
                return
            self.refuse(RequestTimeout(f"A request's head must arrive within {HEAD_S:.0f} s."))


def _ambiguity(target: bytes, headers: list[tuple[bytes, bytes]], version: str) -> Problem | None:
    """Say why a head could mean different things to different readers."""
    if version not in ("1.0", "1.1") or not target.startswith(b"/"):
        return Malformed("Ask for a path, over HTTP 1.1.")
    hosts, lengths, encodings = [], [], []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            encodings.append(value.lower())
        elif name == b"expect" and value.lower() != b"100-continue":
            return ExpectationFailed("Only 100-continue can be expected.")
    if len(hosts) > 1 or (version == "1.1" and not hosts) or not all(map(_is_host, hosts)):
        return Malformed("Send one Host.")
    if len(lengths) > 1 or not all(map(LENGTH.match, lengths)):
        return Malformed("Send one Content-Length, in digits.")
    if encodings and (lengths or encodings != [b"chunked"] or version == "1.0"):
        return Malformed("Send a Content-Length, or Transfer-Encoding: chunked.")
    return None


def _is_host(value: bytes) -> bool:
    match = HOST.match(value)
    return match is not None and int(match[1] or 0) <= 65_535


async def watch(connections: set[Any]) -> None:
    """Look for ever after the heads that arrive too slowly."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        for one in list(connections):
            if isinstance(one, Wire):
                one.check_deadline(loop.time())
