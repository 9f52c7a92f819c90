"""What tests ask of the stand-in itself, under /standin: its ledger, its modes, its webhooks."""

import re
import time
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from merkato.outside.asgi import Answer, Call, Route, json
from merkato.outside.processor import actions, store
from merkato.outside.processor.actions import Desk
from merkato.outside.processor.cards import Fault
from merkato.outside.processor.domain import Refused, invalid
from merkato.outside.processor.switch import Mode, Operation, Switch

Wanted = TypeVar("Wanted")
Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class ModeWanted(msgspec.Struct, forbid_unknown_fields=True):
    """A mode for so many seconds; `webhooks_off` only holds deliveries back."""

    mode: Mode | None = None
    seconds: Seconds = 3_600
    webhooks_off: bool = False


class FaultWanted(msgspec.Struct, forbid_unknown_fields=True):
    """What is to go wrong with the next `times` operations of that kind."""

    operation: Operation
    fault: Fault
    times: Annotated[int, Meta(ge=1, le=1_000)] = 1


class DisputeWanted(msgspec.Struct, forbid_unknown_fields=True):
    """How a dispute ends, for the shop."""

    status: Literal["won", "lost"]


class Control:
    """The routes under /standin. Changes are JSON, so that no foreign web page can post them."""

    def __init__(self, desk: Desk, switch: Switch) -> None:
        self._desk = desk
        self._switch = switch

    def routes(self) -> list[Route]:
        """Give the table of routes."""
        return [
            ("GET", "/standin/ledger", self.ledger),
            ("GET", "/standin/webhooks", self.webhooks),
            ("POST", "/standin/webhooks/{seq}/resend", self.resend),
            ("POST", "/standin/disputes/{id}", self.close_dispute),
            ("GET", "/standin/mode", self.mode),
            ("POST", "/standin/mode", self.set_mode),
            ("POST", "/standin/faults", self.plan),
            ("POST", "/standin/reset", self.reset),
        ]

    async def ledger(self, call: Call) -> Answer:
        """All money that moved: `?after=<seq>&limit=1..10000`; `next_after` is null at the end."""
        after, limit = _number(call, "after", 0), _number(call, "limit", 1_000)
        limit = max(1, min(limit, 10_000))
        rows = store.movements(self._desk.db, after, limit)
        return json({"items": rows, "next_after": rows[-1].seq if len(rows) == limit else None})

    async def webhooks(self, call: Call) -> Answer:
        """Deliveries and their fate, newest first: `?state=owed|delivered|given_up&limit=`."""
        limit = max(1, min(_number(call, "limit", 100), 10_000))
        return json({"items": store.webhooks(self._desk.db, call.query.get("state"), limit)})

    async def resend(self, call: Call) -> Answer:
        """Deliver an event once more."""
        _wanted(call, dict)
        if not self._desk.webhooks.resend(_whole(call.path["seq"], "seq")):
            raise invalid("No such webhook.", status=404)
        return json({"resent": True}, 202)

    async def close_dispute(self, call: Call) -> Answer:
        """Decide a dispute: `won` by the shop or `lost`."""
        wanted = _wanted(call, DisputeWanted)
        return json(actions.close_dispute(self._desk, call.path["id"], wanted.status))

    async def mode(self, _call: Call) -> Answer:
        """The mode, and for how many seconds more."""
        left = max(0.0, self._switch.until - time.time())
        return json({"mode": self._switch.mode if left else "up", "seconds": left})

    async def set_mode(self, call: Call) -> Answer:
        """Be down, limited, hanging, garbled or closed for a while; or hold webhooks back."""
        wanted = _wanted(call, ModeWanted)
        if wanted.mode is not None:
            self._switch.set(wanted.mode, wanted.seconds)
        held = time.time() + wanted.seconds if wanted.webhooks_off else 0.0
        self._desk.webhooks.paused_until = held
        return json(wanted)

    async def plan(self, call: Call) -> Answer:
        """Plan a fault for the next operations of a kind."""
        wanted = _wanted(call, FaultWanted)
        self._switch.plan(wanted.operation, wanted.fault, wanted.times)
        return json(wanted)

    async def reset(self, call: Call) -> Answer:
        """Forget everything, and be well again."""
        _wanted(call, dict)
        store.forget(self._desk.db)
        self._desk.webhooks.forget()
        self._desk.webhooks.paused_until = 0.0
        self._switch.reset()
        return json({"reset": True})


def _wanted(call: Call, type: type[Wanted]) -> Wanted:
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "invalid_request_error", "Send application/json.")
    try:
        return msgspec.json.decode(call.body or b"{}", type=type)
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from error


def _number(call: Call, name: str, default: int) -> int:
    return _whole(call.query.get(name, str(default)), name)


def _whole(text: str, name: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise invalid(f"Invalid integer: {text}", param=name)
    return int(text)
