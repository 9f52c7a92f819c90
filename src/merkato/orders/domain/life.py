"""An order's life. Pure: no I/O, no clock; whatever a rule needs is an argument.

placed     --authorised, captured-->                 confirmed
placed     --declined for good, over time, stock lost, cancelled-->  cancelled
confirmed  --cancelled while nothing is shipped, stock lost-->       cancelled
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec.structs import replace

from merkato.contracts.inventory import ReservationLost
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
    RefundFailed,
)
from merkato.contracts.problem import StateConflict


class Status(StrEnum):
    """Where an order is."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


Verdict = (
    PaymentAuthorised
    | PaymentCaptured
    | PaymentDeclined
    | PaymentActionRequired
    | PaymentVoided
    | PaymentRefunded
    | RefundFailed
    | PaymentDisputed
    | ReservationLost
)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What of an order can change."""

    order_id: UUID
    status: Status
    payment_status: str
    payment_method: str  # as wished, then as it was promised
    reason: str | None
    steps: int
    grand_minor: int
    credited_minor: int
    captured_minor: int = 0  # as payments told last
    refunded_minor: int = 0  # as payments told last
    shipped: bool = False  # something was handed to the carrier


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: a line of the timeline, and where the order stands after it."""

    after: State
    what: str
    moved: bool  # the status changed: exactly one event is said
    was_confirmed: bool = False
    credit_minor: int = 0  # given back, when a confirmed order ends
    detail: str | None = None


def advance(state: State, verdict: Verdict) -> Step | None:
    """Take the step a verdict calls for; None for one that is late or repeated."""
    match state.status, verdict:
        case Status.PLACED, PaymentAuthorised():
            promised = replace(state, payment_method=verdict.method)
            return _move(promised, Status.CONFIRMED, payment_status="authorised")
        case Status.PLACED, PaymentCaptured():
            paid = replace(state, captured_minor=_captured(verdict))
            return _move(paid, Status.CONFIRMED, payment_status="paid")
        case Status.CONFIRMED, PaymentCaptured() if state.captured_minor < _captured(verdict):
            paid = replace(state, captured_minor=_captured(verdict))
            return _news(paid, "payment_captured", detail=f"{verdict.amount_minor} minor")
        case Status.PLACED, PaymentDeclined(final=True, reason=why):
            return cancel(state, "payment-refused", detail=why)
        case Status.PLACED, PaymentDeclined(reason=why):
            return _news(state, "payment_declined", payment_status="declined", detail=why)
        case Status.PLACED, PaymentActionRequired():
            return _news(state, "payment_action_required", payment_status="action_required")
        case ((Status.PLACED | Status.CONFIRMED), ReservationLost()):
            return cancel(state, "stock-lost")
        case _, PaymentVoided() | PaymentRefunded() | RefundFailed() | PaymentDisputed():
            return _given_back(state, verdict)
        case _:
            return None


def _given_back(
    state: State, verdict: PaymentVoided | PaymentRefunded | RefundFailed | PaymentDisputed
) -> Step:
    match verdict:
        case PaymentVoided():
            paid = None if state.captured_minor else "voided"
            return _news(state, "payment_voided", payment_status=paid)
        case PaymentRefunded(amount_minor=amount, refunded_total_minor=total):
            back = _gone(state, total)
            return _news(back, "payment_refunded", detail=f"{amount} minor")
        case RefundFailed(reason=why, refunded_total_minor=total):
            back = replace(state, refunded_minor=state.refunded_minor if total is None else total)
            return _news(back, "refund_failed", payment_status="refund_failed", detail=why)
        case PaymentDisputed(state=how, refunded_total_minor=total):
            back = _gone(state, total)
            return _news(back, f"dispute_{how}", detail=f"{verdict.amount_minor} minor")


def _gone(state: State, total: int) -> State:
    """Note what has gone back by now; once that moves, a refund that failed is history."""
    over = state.payment_status == "refund_failed" and total != state.refunded_minor
    status = "paid" if over else state.payment_status
    return replace(state, refunded_minor=total, payment_status=status)


def payment_status(
    status: str, *, owed_minor: int, captured_minor: int, refunded_minor: int
) -> str:
    """Say where the money of an order stands; `status` is what it was.

    That stays while nothing was taken, and while a refund that failed waits for a person.
    """
    if status == "refund_failed":
        return status
    if refunded_minor:
        return "refunded" if refunded_minor >= captured_minor else "partly_refunded"
    if captured_minor:
        return "paid" if captured_minor >= owed_minor else "partly_paid"
    return status


def cancel(state: State, reason: str, *, detail: str | None = None) -> Step | None:
    """End an order; None when it has ended. Raises StateConflict when something was shipped."""
    if state.status is Status.CANCELLED:
        return None
    if state.shipped:
        raise StateConflict("Something was shipped; ask for a return.")
    was_confirmed = state.status is Status.CONFIRMED
    owed = state.grand_minor - state.credited_minor if was_confirmed else 0
    ended = replace(state, credited_minor=state.credited_minor + owed)
    step = _move(ended, Status.CANCELLED, reason=reason)
    return replace(step, was_confirmed=was_confirmed, credit_minor=owed, detail=detail or reason)


def overdue(state: State, pay_until: datetime, now: datetime) -> bool:
    """Tell whether the customer's time to pay is over."""
    return state.status is Status.PLACED and now >= pay_until


def _move(
    state: State, to: Status, *, payment_status: str | None = None, reason: str | None = None
) -> Step:
    after = replace(
        state,
        status=to,
        payment_status=payment_status or state.payment_status,
        reason=reason,
        steps=state.steps + 1,
    )
    return Step(after=after, what=to.value, moved=True)


def _news(
    state: State, what: str, *, payment_status: str | None = None, detail: str | None = None
) -> Step:
    paid = payment_status or _paid(state)
    after = replace(state, payment_status=paid, steps=state.steps + 1)
    return Step(after=after, what=what, moved=False, detail=detail)


def _paid(state: State) -> str:
    return payment_status(
        state.payment_status,
        owed_minor=state.grand_minor - state.credited_minor,
        captured_minor=state.captured_minor,
        refunded_minor=state.refunded_minor,
    )


def _captured(verdict: PaymentCaptured) -> int:
    total = verdict.captured_total_minor
    return verdict.amount_minor if total is None else total
