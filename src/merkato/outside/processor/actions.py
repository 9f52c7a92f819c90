"""What can be changed at the processor. Nothing here waits: each action is one transaction."""

import secrets
import time
from typing import Literal

import msgspec

from merkato.outside.database import Database
from merkato.outside.processor import domain, store
from merkato.outside.processor.cards import Card, card
from merkato.outside.processor.domain import Dispute, Intent, Refund, Refused, invalid
from merkato.outside.processor.store import Movement
from merkato.outside.processor.webhooks import Webhooks

SETTLE_S = 2.0  # after which a refund that is not final changes by itself


class Desk(msgspec.Struct):
    """Where actions are done: the file, the queue of webhooks, our own address for challenges."""

    db: Database
    webhooks: Webhooks
    url: str


def find(desk: Desk, id: str) -> Intent:
    """Give an intent. Raises Refused (404)."""
    intent = store.intent(desk.db, id)
    if intent is None:
        raise missing("payment_intent", id)
    return intent


def missing(what: str, id: str) -> Refused:
    """Give the error for an id that is not known."""
    message = f"No such {what}: '{id}'"
    return invalid(message, status=404, code="resource_missing", param="intent")


def known_card(token: str) -> Card:
    """Give the card of that name. Raises Refused (400)."""
    found = card(token)
    if found is None:
        raise invalid(
            f"No such PaymentMethod: '{token}'", code="resource_missing", param="payment_method"
        )
    return found


def first_use(desk: Desk, intent: Intent) -> bool:
    """Note that a card was used; True the first time for an order, which metadata names."""
    order = intent.metadata.get("order_id") or intent.metadata.get("order") or ""
    return store.use_card(desk.db, f"{intent.payment_method} {order}")


def create(desk: Desk, intent: Intent, confirm: bool, return_url: str | None, key: str) -> Intent:
    """Keep a new intent; pay it at once if `confirm`. Raises Refused (402) when declined."""
    store.insert_intent(desk.db, intent)
    store.insert_labels(desk.db, intent)
    if intent.payment_method and known_card(intent.payment_method).webhooks == "reordered":
        _say(desk, intent, "payment_intent.created", key)
    return pay(desk, intent, return_url, key) if confirm else intent


def pay(desk: Desk, intent: Intent, return_url: str | None, key: str) -> Intent:
    """Charge the intent's card. Raises Refused (400 or 402)."""
    domain.require(intent, "confirm", ("requires_confirmation", "requires_payment_method"))
    how = known_card(intent.payment_method or "")
    charge = f"ch_{secrets.token_hex(12)}"
    if how.decline and (not how.once or first_use(desk, intent)):
        type = domain.decline(intent, how.decline, charge)
    elif how.challenge:
        url = f"{desk.url}/challenge/{intent.id}/{intent.client_secret}"
        type = domain.challenge(intent, url, return_url)
    else:
        type = domain.approve(intent, how, charge)
    _keep(desk, intent, type, key)
    if (error := intent.last_payment_error) is not None:
        raise Refused(
            402,
            "card_error",
            error.message,
            code=error.code,
            decline_code=error.decline_code,
            charge=error.charge,
            payment_intent=intent,
        )
    return intent


def answer_challenge(desk: Desk, intent: Intent, accepted: bool) -> Intent:
    """Let a payment go on after its challenge, or fail. Raises Refused if none is open."""
    domain.require(intent, "authenticate", ("requires_action",))
    if accepted:
        how = known_card(intent.payment_method or "")
        type = domain.approve(intent, how, f"ch_{secrets.token_hex(12)}")
    else:
        type = domain.fail_challenge(intent)
    _keep(desk, intent, type, "")
    return intent


def capture(desk: Desk, id: str, amount: int | None, key: str) -> Intent:
    """Take authorised money. Raises Refused (400, 404)."""
    intent = find(desk, id)
    _keep(desk, intent, domain.capture(intent, amount), key)
    return intent


def cancel(desk: Desk, id: str, reason: str | None, key: str) -> Intent:
    """Let an authorisation go. Raises Refused (400, 404)."""
    intent = find(desk, id)
    _keep(desk, intent, domain.cancel(intent, reason, int(time.time())), key)
    return intent


def refund(
    desk: Desk, id: str, amount: int | None, reason: str | None, metadata: dict[str, str], key: str
) -> Refund:
    """Give money back. Raises Refused (400, 404)."""
    intent = find(desk, id)
    denied = any(dispute.status != "won" for dispute in store.disputes(desk.db, id))
    wanted = domain.refundable(intent, store.refunded(desk.db, id), amount, disputed=denied)
    how = known_card(intent.payment_method or "")
    status, become = domain.refund_status(how.refunds)
    now = time.time()
    made = Refund(
        id=f"re_{secrets.token_hex(12)}",
        amount=wanted,
        charge=intent.latest_charge or "",
        created=int(now),
        currency=intent.currency,
        metadata=metadata,
        payment_intent=intent.id,
        reason=reason,
        status=status,
    )
    store.insert_refund(desk.db, made, now + SETTLE_S if become else None, become)
    if status == "succeeded":
        _enter_refund(desk, made)
    charge = domain.charge_of(intent, store.refunded(desk.db, id))
    desk.webhooks.say("charge.refunded", charge, key, how.webhooks)
    desk.webhooks.say("refund.updated", made, key, how.webhooks)
    return made


def settle(desk: Desk, refund: Refund, become: str) -> None:
    """Let a refund become what it was to become by itself."""
    if become == "succeeded":
        refund.status = "succeeded"
        _enter_refund(desk, refund)
    else:
        refund.status = "failed"
        refund.failure_reason = "expired_or_canceled_card"
        store.delete_movement(desk.db, refund.id)
    store.settle_refund(desk.db, refund)
    desk.webhooks.say("refund.updated", refund, "")
    if refund.status == "failed":
        desk.webhooks.say("refund.failed", refund, "")


def _keep(desk: Desk, intent: Intent, type: str, key: str) -> None:
    """Keep a changed intent, enter its money, say the event."""
    store.update_intent(desk.db, intent)
    if intent.status == "succeeded":
        store.insert_movement(
            desk.db,
            Movement(
                kind="capture",
                reference=intent.id,
                payment_intent=intent.id,
                charge=intent.latest_charge or "",
                amount=intent.amount_received,
                currency=intent.currency,
                metadata=intent.metadata,
                created=int(time.time()),
            ),
        )
    _say(desk, intent, type, key)
    if intent.status == "succeeded" and known_card(intent.payment_method or "").disputed:
        dispute(desk, intent)


def dispute(desk: Desk, intent: Intent) -> None:
    """Let the card's holder deny a charge."""
    now = int(time.time())
    made = Dispute(
        id=f"dp_{secrets.token_hex(12)}",
        amount=intent.amount_received,
        charge=intent.latest_charge or "",
        created=now,
        currency=intent.currency,
        payment_intent=intent.id,
    )
    store.put_dispute(desk.db, made)
    desk.webhooks.say("charge.dispute.created", made, "")


def close_dispute(desk: Desk, id: str, status: Literal["won", "lost"]) -> Dispute:
    """Decide a dispute: won by the shop, or lost with its money. Raises Refused (404)."""
    known = [one for one in store.disputes(desk.db, id) if one.status == "needs_response"]
    if not known:
        raise missing("dispute", id)
    found = known[0]
    found.status = status
    store.put_dispute(desk.db, found)
    if status == "lost":
        store.insert_movement(
            desk.db,
            Movement(
                kind="dispute",
                reference=found.id,
                payment_intent=found.payment_intent,
                charge=found.charge,
                amount=found.amount,
                currency=found.currency,
                metadata={},
                created=int(time.time()),
            ),
        )
    desk.webhooks.say("charge.dispute.closed", found, "")
    return found


def _say(desk: Desk, intent: Intent, type: str, key: str) -> None:
    how = known_card(intent.payment_method) if intent.payment_method else Card()
    desk.webhooks.say(type, intent, key, how.webhooks)


def _enter_refund(desk: Desk, refund: Refund) -> None:
    store.insert_movement(
        desk.db,
        Movement(
            kind="refund",
            reference=refund.id,
            payment_intent=refund.payment_intent,
            charge=refund.charge,
            amount=refund.amount,
            currency=refund.currency,
            metadata=refund.metadata,
            created=refund.created,
        ),
    )
