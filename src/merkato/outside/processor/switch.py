"""What tests may break on purpose: whole modes for a while, and faults planned for an operation."""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from merkato.outside.asgi import Answer, Call, json
from merkato.outside.processor.cards import Fault

Mode = Literal["up", "down", "limited", "hang", "garbage", "refuse"]
Operation = Literal["create", "confirm", "capture", "cancel", "refund"]

_GARBAGE = b"<html><body>502 Bad Gateway"


class Switch:
    """The processor's mode and the faults to come. In memory: a restart repairs everything."""

    def __init__(self) -> None:
        self.mode: Mode = "up"
        self.until = 0.0  # Unix seconds
        self.refuse: Callable[[float], None] | None = None  # closes the listener for so many s
        self._planned: dict[str, list[Fault]] = {}

    def set(self, mode: Mode, seconds: float) -> None:
        """Change the mode for so many seconds. `refuse` takes effect within a tenth of a second."""
        self.mode, self.until = mode, time.time() + seconds
        if mode == "refuse" and self.refuse:
            self.refuse(seconds)

    def plan(self, operation: Operation, fault: Fault, times: int) -> None:
        """Let the next so many operations of that kind go wrong."""
        self._planned.setdefault(operation, []).extend([fault] * times)

    def take(self, operation: Operation) -> Fault | None:
        """Give the fault planned for this operation, and strike it off."""
        planned = self._planned.get(operation)
        return planned.pop(0) if planned else None

    def reset(self) -> None:
        """Be well again."""
        self.mode, self.until = "up", 0.0
        self._planned.clear()

    async def answer(self, call: Call) -> Answer | None:
        """Answer as the mode demands; None when all is well."""
        left = self.until - time.time()
        if self.mode == "up" or left <= 0:
            return None
        match self.mode:
            case "limited":
                answer = json(
                    _error("Too many requests hit the API too quickly.", "rate_limit"), 429
                )
                answer.headers = ((b"retry-after", b"%d" % max(1, round(left))),)
                return answer
            case "hang":
                await call.gone()
            case "garbage":
                return Answer(200, _GARBAGE, b"text/html")
        return json(_error("The stand-in is down, as it was told to be.", None), 503)


def _error(message: str, code: str | None) -> dict[str, object]:
    kind = "invalid_request_error" if code else "api_error"
    return {"error": {"type": kind, "code": code, "message": message}}


async def misfortune(fault: Fault, call: Call) -> Answer | None:
    """Let happen what a fault lets happen before the work; None when the work is to be done."""
    if fault.before == "hang":
        await call.gone()
    if fault.wait_ms:
        await asyncio.sleep(fault.wait_ms / 1_000)
    return lost() if fault.before == "500" else None


def lost() -> Answer:
    """Give a 500 that says nothing of what became of the work, and asks for no repeat."""
    answer = json({"error": {"type": "api_error", "message": "An unknown error occurred."}}, 500)
    answer.headers = ((b"stripe-should-retry", b"false"),)
    return answer
