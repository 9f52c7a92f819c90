"""Payment intents, refunds and the rules of their lives, after Stripe's documentation.

Field names and values are the API's own: a struct's JSON is what the API answers.
"""

from typing import Literal

import msgspec

from merkato.outside.processor.cards import Card, Decline, Refunds

AMOUNT_MAX = 99_999_999  # minor units; the API's own limit of eight digits
# What amounts of a currency are multiples of, in its unit at the API.
STEPS = {**dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10), "isk": 100, "ugx": 100}
Status = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
    "succeeded",
    "canceled",
]
Capture = Literal["automatic", "manual"]
CANCELLABLE = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
)


class Refused(Exception):
    """An error as the API answers it: HTTP status, type, code, message and what else it carries."""

    def __init__(self, status: int, kind: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.content = {"error": {"type": kind, "message": message, **more}}


def invalid(message: str, *, status: int = 400, **more: object) -> Refused:
    """Give the error for a request that can never succeed as it is."""
    return Refused(status, "invalid_request_error", message, **more)


class CardError(msgspec.Struct, kw_only=True):
    """Why the last try of an intent failed."""

    code: str
    decline_code: str | None = None
    message: str
    type: str = "card_error"
    charge: str | None = None


class Redirect(msgspec.Struct):
    """Where the customer has to go, and where they come back to."""

    url: str
    return_url: str | None = None


class NextAction(msgspec.Struct):
    """What the customer has to do before the payment goes on."""

    redirect_to_url: Redirect
    type: str = "redirect_to_url"


class Intent(msgspec.Struct, kw_only=True, tag_field="object", tag="payment_intent"):
    """A payment, from the wish to the money. Amounts in minor units, times in Unix seconds."""

    id: str
    amount: int
    amount_capturable: int = 0
    amount_received: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    capture_method: Capture
    client_secret: str
    confirmation_method: str = "automatic"
    created: int
    currency: str
    customer: str | None = None
    description: str | None = None
    last_payment_error: CardError | None = None
    latest_charge: str | None = None
    livemode: bool = False
    metadata: dict[str, str]
    next_action: NextAction | None = None
    payment_method: str | None = None
    payment_method_types: tuple[str, ...] = ("card",)
    receipt_email: str | None = None
    status: Status


class Refund(msgspec.Struct, kw_only=True, tag_field="object", tag="refund"):
    """Money on its way back. Amounts in minor units, times in Unix seconds."""

    id: str
    amount: int
    charge: str
    created: int
    currency: str
    failure_reason: str | None = None
    metadata: dict[str, str]
    payment_intent: str
    reason: str | None = None
    status: Literal["pending", "succeeded", "failed"]


class Dispute(msgspec.Struct, kw_only=True, tag_field="object", tag="dispute"):
    """A charge that its card's holder denies. Amounts in minor units, times in Unix seconds."""

    id: str
    amount: int
    charge: str
    created: int
    currency: str
    livemode: bool = False
    metadata: dict[str, str] = {}
    payment_intent: str
    reason: str = "fraudulent"
    status: Literal["needs_response", "won", "lost"] = "needs_response"


class Charge(msgspec.Struct, kw_only=True, tag_field="object", tag="charge"):
    """A charge as its webhooks show it. Amounts in minor units, times in Unix seconds."""

    id: str
    amount: int
    amount_captured: int
    amount_refunded: int
    captured: bool
    created: int
    currency: str
    livemode: bool = False
    metadata: dict[str, str]
    paid: bool = True
    payment_intent: str
    refunded: bool
    status: str = "succeeded"


def require(intent: Intent, verb: str, statuses: tuple[str, ...]) -> None:
    """Raise Refused unless the intent's status is one of `statuses`."""
    if intent.status not in statuses:
        raise invalid(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )


def require_step(amount: int, currency: str, param: str) -> None:
    """Raise Refused for an amount with a last digit that its currency may not use."""
    step = STEPS.get(currency, 1)
    if amount % step:
        message = f"Invalid amount: {currency.upper()} must be evenly divisible by {step}."
        raise invalid(message, code="parameter_invalid_integer", param=param)


def decline(intent: Intent, why: Decline, charge: str) -> str:
    """Note that the card was declined; the intent waits for another. Gives the event's type."""
    intent.status = "requires_payment_method"
    intent.latest_charge = charge
    intent.next_action = None
    intent.last_payment_error = CardError(
        code=why.code, decline_code=why.decline_code, message=why.message, charge=charge
    )
    return "payment_intent.payment_failed"


def challenge(intent: Intent, url: str, return_url: str | None) -> str:
    """Send the customer to `url` first. Gives the event's type."""
    intent.status = "requires_action"
    intent.last_payment_error = None
    intent.next_action = NextAction(Redirect(url, return_url))
    return "payment_intent.requires_action"


def fail_challenge(intent: Intent) -> str:
    """Note that the customer could not show who they are. Gives the event's type."""
    require(intent, "authenticate", ("requires_action",))
    intent.status = "requires_payment_method"
    intent.next_action = None
    intent.last_payment_error = CardError(
        code="payment_intent_authentication_failure",
        message="We are unable to authenticate your payment method.",
        type="invalid_request_error",
    )
    return "payment_intent.payment_failed"


def approve(intent: Intent, card: Card, charge: str) -> str:
    """Authorise, and capture at once if that was asked for. Gives the event's type."""
    intent.amount += card.extra_minor
    intent.latest_charge = charge
    intent.last_payment_error = None
    intent.next_action = None
    if intent.capture_method == "manual":
        intent.status = "requires_capture"
        intent.amount_capturable = intent.amount
        return "payment_intent.amount_capturable_updated"
    intent.status = "succeeded"
    intent.amount_received = intent.amount
    return "payment_intent.succeeded"


def capture(intent: Intent, amount: int | None) -> str:
    """Take the authorised money, or a part of it; the rest is let go. Gives the event's type."""
    require(intent, "capture", ("requires_capture",))
    wanted = intent.amount_capturable if amount is None else amount
    require_step(wanted, intent.currency, "amount_to_capture")
    if wanted > intent.amount_capturable:
        raise invalid(
            f"The amount to capture ({wanted}) is more than can be captured "
            f"({intent.amount_capturable}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    intent.status = "succeeded"
    intent.amount_received = wanted
    intent.amount_capturable = 0
    return "payment_intent.succeeded"


def cancel(intent: Intent, reason: str | None, now: int) -> str:
    """Let an authorisation go, or give a payment up. Gives the event's type."""
    require(intent, "cancel", CANCELLABLE)
    intent.status = "canceled"
    intent.canceled_at = now
    intent.cancellation_reason = reason
    intent.amount_capturable = 0
    intent.next_action = None
    return "payment_intent.canceled"


def refundable(intent: Intent, refunded: int, amount: int | None, *, disputed: bool) -> int:
    """Give what a new refund is over, in minor units. Raises Refused when there is not as much."""
    if disputed:
        raise invalid(
            f"Charge {intent.latest_charge} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    left = intent.amount_received - refunded
    if intent.status != "succeeded" or not intent.latest_charge:
        raise invalid(
            f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    if left == 0:
        raise invalid(
            f"Charge {intent.latest_charge} has already been refunded.",
            code="charge_already_refunded",
        )
    wanted = left if amount is None else amount
    require_step(wanted, intent.currency, "amount")
    if wanted > left:
        raise invalid(
            f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left}).",
            param="amount",
        )
    return wanted


def refund_status(how: Refunds) -> tuple[Literal["pending", "succeeded"], str | None]:
    """Give a new refund's status, and what it becomes by itself later."""
    match how:
        case "at_once":
            return "succeeded", None
        case "pending":
            return "pending", "succeeded"
        case "fails":
            return "succeeded", "failed"


def charge_of(intent: Intent, refunded: int) -> Charge:
    """Give the charge behind a paid intent, of which `refunded` minor units went back."""
    return Charge(
        id=intent.latest_charge or "",
        amount=intent.amount,
        amount_captured=intent.amount_received,
        amount_refunded=refunded,
        captured=intent.amount_received > 0,
        created=intent.created,
        currency=intent.currency,
        metadata=intent.metadata,
        payment_intent=intent.id,
        refunded=refunded >= intent.amount_received,
    )
