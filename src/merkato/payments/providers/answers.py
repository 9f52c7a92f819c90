"""What Stripe answers, read as verdicts. What makes no sense raises."""

from collections.abc import Mapping
from typing import Any

import msgspec
import stripe

from merkato.payments.domain.payment import (
    Operation,
    Outcome,
    Verdict,
)
from merkato.payments.providers.units import from_stripe


class _Problem(msgspec.Struct):
    code: str | None = None
    decline_code: str | None = None


class _Redirect(msgspec.Struct):
    url: str | None = None


class _NextAction(msgspec.Struct):
    redirect_to_url: _Redirect | None = None


class _Intent(msgspec.Struct, kw_only=True):
    id: str
    status: str
    currency: str
    metadata: dict[str, str] = {}
    amount_capturable: int = 0
    amount_received: int = 0
    last_payment_error: _Problem | None = None
    next_action: _NextAction | None = None


class _Refund(msgspec.Struct, kw_only=True):
    id: str
    status: str
    currency: str
    amount: int
    metadata: dict[str, str] = {}
    failure_reason: str | None = None


class _Dispute(msgspec.Struct, kw_only=True):
    id: str
    status: str
    currency: str
    amount: int


class _Object(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    metadata: dict[str, str] = {}
    payment_intent: str | None = None
    amount: int = 0
    currency: str = ""


class _Data(msgspec.Struct):
    object: _Object


class Event(msgspec.Struct):
    """What a webhook brings, as far as we read it."""

    id: str
    type: str
    data: _Data


def of_intent(answer: Any, operation: Operation) -> Verdict:
    """Read a payment intent. Raises ValueError."""
    intent = msgspec.convert(answer, _Intent)
    outcome, amount = _INTENT_OUTCOMES.get(intent.status, "unknown"), 0
    reason, url = None, None
    match intent.status:
        case "succeeded":
            amount = intent.amount_received
        case "requires_capture":
            amount = intent.amount_capturable
        case "requires_payment_method":
            why = intent.last_payment_error or _Problem()
            reason = why.decline_code or why.code
            outcome = "declined" if reason else "unknown"
        case "requires_action" if intent.next_action and intent.next_action.redirect_to_url:
            url = intent.next_action.redirect_to_url.url
    if outcome == "unknown":
        reason = intent.status
    of_attempt = operation.kind == "authorise"
    if not of_attempt and intent.id != operation.origin:
        return Verdict(outcome="unknown", reason="another-intent")
    currency = intent.currency.upper()
    return Verdict(
        outcome=outcome,
        amount_minor=from_stripe(amount, currency),
        currency=currency,
        key=intent.metadata.get("key", "none") if of_attempt else None,
        reference=intent.id,
        reason=reason,
        url=url,
    )


_INTENT_OUTCOMES: Mapping[str, Outcome] = {
    "succeeded": "captured",
    "requires_capture": "authorised",
    "requires_action": "action_required",
    "canceled": "voided",
}
_REFUND_OUTCOMES: Mapping[str, Outcome] = {
    "succeeded": "refunded",
    "pending": "pending",
    "requires_action": "pending",
    "failed": "failed",
    "canceled": "failed",
}


def of_refund(answer: Any, operation: Operation) -> Verdict:
    """Read a refund. Raises ValueError."""
    refund = msgspec.convert(answer, _Refund)
    outcome = _REFUND_OUTCOMES.get(refund.status, "unknown")
    currency = refund.currency.upper()
    return Verdict(
        outcome=outcome,
        amount_minor=from_stripe(refund.amount, currency),
        currency=currency,
        key=refund.metadata.get("key", "none"),
        reference=refund.id,
        reason=refund.failure_reason or (refund.status if outcome == "unknown" else None),
    )


_DISPUTE_OUTCOMES: Mapping[str, Outcome] = {
    "lost": "refunded",
    "won": "failed",
    "warning_closed": "failed",
    "prevented": "failed",
}


def of_dispute(answer: Any) -> Verdict:
    """Read a dispute; while the bank has not decided it is pending. Raises ValueError."""
    dispute = msgspec.convert(answer, _Dispute)
    currency = dispute.currency.upper()
    return Verdict(
        outcome=_DISPUTE_OUTCOMES.get(dispute.status, "pending"),
        amount_minor=from_stripe(dispute.amount, currency),
        currency=currency,
        reference=dispute.id,
        reason=f"dispute-{dispute.status}",
    )


def refused(verdict: Verdict) -> bool:
    """Tell whether the processor said no."""
    return verdict.outcome in ("failed", "declined")


def why(error: stripe.CardError) -> str:
    """Give the bank's reason, or the processor's."""
    told = error.error
    return (told.decline_code if told else None) or error.code or "declined"


def intent_id(error: stripe.CardError) -> str | None:
    """Give the name of the intent that an error is about."""
    intent = error.error.payment_intent if error.error else None
    return intent.id if intent else None
