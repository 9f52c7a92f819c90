"""The gateway over HTTP: what it is handed, and pages and JSON of what it took.

The signature is that of https://www.standardwebhooks.com, version 1; a `webhook-id` counts once.
"""

import base64
import hashlib
import hmac
import time
from collections import deque
from datetime import UTC, datetime
from html import escape
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from merkato.outside.asgi import Answer, Call, Route, json, page
from merkato.outside.page import page as frame
from merkato.outside.page import table

BANNER = "Stand-in gateway: no message reaches a telephone"
KEPT_MAX = 2_000  # messages
TOLERANCE_S = 300


class Data(msgspec.Struct, kw_only=True):
    """What is to be sent."""

    id: str
    channel: str
    to: str
    title: str
    text: str
    locale: str
    kind: str
    url: str | None = None


class Handed(msgspec.Struct, kw_only=True):
    """What it is handed in."""

    type: str
    timestamp: datetime
    data: Data


class Taken(msgspec.Struct, kw_only=True):
    """A message as it was taken; `times`: so often it was handed over."""

    webhook_id: str
    taken_at: datetime
    data: Data
    times: int = 1


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A fault for the next `times` messages, to one number or user if `to` is given.

    `refuse` answers `code`, with Retry-After if given. `forget` takes the message and answers 500,
    as if it had not: the shop cannot tell.
    """

    fault: Literal["refuse", "forget"]
    code: Annotated[int, Meta(ge=300, le=599)] = 503
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    to: str | None = None
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Gateway:
    """The gateway's routes, and what it took."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._taken: dict[str, Taken] = {}
        self._order: deque[str] = deque()
        self._faults: list[Fault] = []

    def routes(self) -> list[Route]:
        """Give the table of routes."""
        return [
            ("POST", "/messages", self.take),
            ("GET", "/", self.newest),
            ("GET", "/api/messages", self.list),
            ("DELETE", "/api/messages", self.forget),
            ("GET", "/api/faults", self.faults),
            ("POST", "/api/faults", self.plan),
            ("DELETE", "/api/faults", self.repair),
        ]

    async def settled(self) -> None:
        """Nothing has to reach a disk."""

    async def take(self, call: Call) -> Answer:
        """POST /messages: take a message, once; 401 unless it is signed."""
        webhook_id = call.headers.get("webhook-id", "")
        if not self._is_signed(call):
            return _error("The signature is not right.", 401)
        try:
            handed = msgspec.json.decode(call.body, type=Handed)
        except msgspec.DecodeError as error:
            return _error(str(error), 400)
        fault = self._fault(handed.data.to)
        if fault is not None and fault.fault == "refuse":
            after = fault.retry_after_s
            headers = ((b"retry-after", str(after).encode()),) if after is not None else ()
            return Answer(fault.code, b"refused, as it was told to be", b"text/plain", headers)
        self._keep(webhook_id, handed.data)
        return json({"taken": True}, 202) if fault is None else _error("Forgotten.", 500)

    async def list(self, call: Call) -> Answer:
        """GET /api/messages?to=&channel=: newest first."""
        to, channel = call.query.get("to"), call.query.get("channel")
        found = [
            one
            for one in reversed(self._taken.values())
            if to in (None, one.data.to) and channel in (None, one.data.channel)
        ]
        return json({"items": found})

    async def forget(self, _call: Call) -> Answer:
        """DELETE /api/messages: forget all."""
        self._taken.clear()
        self._order.clear()
        return Answer(204)

    async def faults(self, _call: Call) -> Answer:
        """GET /api/faults: what is planned to go wrong."""
        return json({"items": self._faults})

    async def plan(self, call: Call) -> Answer:
        """POST /api/faults: plan a Fault."""
        if not call.headers.get("content-type", "").startswith("application/json"):
            return _error("Send application/json.", 415)
        try:
            fault = msgspec.json.decode(call.body, type=Fault)
        except msgspec.DecodeError as error:
            return _error(str(error), 400)
        self._faults.append(fault)
        return json(fault, 201)

    async def repair(self, _call: Call) -> Answer:
        """DELETE /api/faults: be well again."""
        self._faults.clear()
        return Answer(204)

    async def newest(self, _call: Call) -> Answer:
        """The page of messages."""
        rows = [_row(one) for one in reversed(self._taken.values())]
        head = ("When", "Channel", "To", "What", "Handed over")
        return page(frame("Messages", BANNER, table(head, rows) if rows else "<p>None yet.</p>"))

    def _is_signed(self, call: Call) -> bool:
        id, at = call.headers.get("webhook-id", ""), call.headers.get("webhook-timestamp", "")
        if not id or not at.isdecimal() or abs(time.time() - int(at)) > TOLERANCE_S:
            return False
        content = f"{id}.{at}.".encode() + call.body
        key = base64.b64decode(self._secret.removeprefix("whsec_"))
        wanted = b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256))
        shown = call.headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(wanted, one.encode()) for one in shown)

    def _keep(self, webhook_id: str, data: Data) -> None:
        if (known := self._taken.get(webhook_id)) is not None:
            known.times += 1
            return
        self._taken[webhook_id] = Taken(
            webhook_id=webhook_id, taken_at=datetime.now(UTC), data=data
        )
        self._order.append(webhook_id)
        if len(self._order) > KEPT_MAX:
            del self._taken[self._order.popleft()]

    def _fault(self, to: str) -> Fault | None:
        for fault in self._faults:
            if fault.to in (None, to):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None


def _row(one: Taken) -> tuple[str, ...]:
    data = one.data
    what = f"<strong>{escape(data.title)}</strong> {escape(data.text)}"
    if data.url:
        what += f' <a href="{escape(data.url)}" rel="noreferrer">more</a>'
    at = f"{one.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    return at, escape(data.channel), escape(data.to), what, str(one.times)


def _error(message: str, status: int) -> Answer:
    body: dict[str, Any] = {"error": {"message": message}}
    return json(body, status)
