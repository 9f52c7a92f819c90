"""What each test card does. Names are Stripe's own where it has one; `pm_standin_…` are ours.

See https://docs.stripe.com/testing for the former.
"""

import re
from typing import Literal

import msgspec

Webhooks = Literal["once", "twice", "reordered"]
Refunds = Literal["at_once", "pending", "fails"]


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong around a request, whatever its outcome."""

    wait_ms: int = 0  # before the work
    before: Literal["", "hang", "500"] = ""  # instead of the work
    after: Literal["", "hang", "500"] = ""  # instead of the answer, the work being done


class Decline(msgspec.Struct, frozen=True):
    """Why a card is declined: `code`, `decline_code` and `message` as Stripe gives them."""

    code: str
    decline_code: str
    message: str = "Your card was declined."


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """How a card behaves. The default is approved at once."""

    decline: Decline | None = None
    challenge: bool = False
    fault: Fault = Fault()
    once: bool = False  # `decline` or `fault` only the first time
    extra_minor: int = 0  # charged beside what was asked for
    webhooks: Webhooks = "once"
    refunds: Refunds = "at_once"
    disputed: bool = False  # by its holder, as soon as it was charged


SLOW_MS = 6_000
SLOW_MAX_MS = 600_000

_DECLINED = Decline("card_declined", "generic_decline")
_DECLINES = {
    "chargeDeclined": _DECLINED,
    "chargeDeclinedInsufficientFunds": Decline(
        "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "chargeDeclinedLostCard": Decline("card_declined", "lost_card"),
    "chargeDeclinedStolenCard": Decline("card_declined", "stolen_card"),
    "chargeDeclinedFraudulent": Decline("card_declined", "fraudulent"),
    "chargeDeclinedExpiredCard": Decline("expired_card", "expired_card", "Your card has expired."),
    "chargeDeclinedIncorrectCvc": Decline(
        "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "chargeDeclinedProcessingError": Decline(
        "processing_error", "processing_error", "An error occurred while processing your card."
    ),
}
_APPROVED = ("visa", "visa_debit", "mastercard", "amex", "discover", "diners", "jcb", "unionpay")
_CHALLENGED = ("threeDSecure2Required", "threeDSecureRequired", "authenticationRequired")

CARDS: dict[str, Card] = {
    **{f"pm_card_{name}": Card() for name in _APPROVED},
    **{f"pm_card_{name}": Card(decline=why) for name, why in _DECLINES.items()},
    **{f"pm_card_visa_{name}": Card(decline=why) for name, why in _DECLINES.items()},
    **{f"pm_card_{name}": Card(challenge=True) for name in _CHALLENGED},
    "pm_card_createDispute": Card(disputed=True),
    "pm_card_pendingRefund": Card(refunds="pending"),
    "pm_card_refundFail": Card(refunds="fails"),
    "pm_standin_slow": Card(fault=Fault(wait_ms=SLOW_MS)),
    "pm_standin_charge_then_hang": Card(fault=Fault(after="hang")),
    "pm_standin_charge_then_500": Card(fault=Fault(after="500")),
    "pm_standin_wrong_amount": Card(extra_minor=1),
    "pm_standin_webhooks_twice": Card(webhooks="twice"),
    "pm_standin_webhooks_reordered": Card(webhooks="reordered"),
    "pm_standin_forgets": Card(fault=Fault(before="hang")),
    "pm_standin_forgets_once": Card(fault=Fault(before="hang"), once=True),
    "pm_standin_decline_once": Card(decline=_DECLINED, once=True),
}
_SLOW = re.compile(r"pm_standin_slow_(\d{1,6})")
# decline_once and forgets_once take a suffix of the test's choice, so that tests do not meet.
_NAMED = re.compile(r"(pm_standin_(?:decline|forgets)_once)_[A-Za-z0-9_-]{1,64}")


def card(token: str) -> Card | None:
    """Give the card of that name; None when there is none."""
    if slow := _SLOW.fullmatch(token):
        return Card(fault=Fault(wait_ms=min(int(slow[1]), SLOW_MAX_MS)))
    if named := _NAMED.fullmatch(token):
        return CARDS[named[1]]
    return CARDS.get(token)
