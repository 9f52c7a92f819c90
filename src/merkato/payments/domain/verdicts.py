"""What a provider's word makes of a payment. Heard twice, or late, it changes nothing more.

`unknown` is left by the provider's own answer alone.
"""

from msgspec.structs import replace

from merkato.contracts.payments import (
    CaptureFailed,
    PaymentActionRequired,
    PaymentCaptured,
    PaymentDeclined,
    RefundFailed,
)
from merkato.payments.domain.payment import (
    OPEN,
    Change,
    NewId,
    Operation,
    Payment,
    Verdict,
    about,
    ended,
    put,
)
from merkato.payments.domain.wishes import FINAL_REASONS, compensate, follow, succeed, told

PAUSE_MAX_S = 60
PENDING_S = 3_600  # between questions about what a provider has been at for days
MONEY = ("authorised", "captured", "refunded", "pending")  # outcomes that name an amount


def pause_s(tries: int) -> int:
    """Give the seconds before a provider is asked again, growing."""
    return min(1 << min(max(tries - 1, 0), 6), PAUSE_MAX_S)


def decide(
    payment: Payment, key: str, verdict: Verdict, new_id: NewId, *, give_up: bool = False
) -> Change:
    """Take the provider's word on the operation of that key, which the payment must have.

    What is open still is asked about later, unless we `give_up`: then a person has to look. What
    the provider is at is no case for a person: it is asked about each hour.
    """
    done = _decide(payment, key, verdict, new_id)
    operation = _of_key(done.payment, key)
    if operation.state not in OPEN:
        return done
    if give_up:
        pause = PENDING_S if verdict.outcome == "pending" else None
        return Change(put(done.payment, replace(operation, ask_in_s=pause)), done.events)
    return _wait(payment, operation, verdict) if operation.ask_in_s is None else done


def _of_key(payment: Payment, key: str) -> Operation:
    [operation] = [o for o in payment.operations if o.key == key]
    return operation


def _decide(payment: Payment, key: str, verdict: Verdict, new_id: NewId) -> Change:
    operation = _of_key(payment, key)
    if verdict.outcome == "unknown":
        return _wait(payment, operation, verdict)
    if _speaks_of_another(operation, verdict):
        if operation.state not in OPEN:
            return Change(payment)
        why = "the provider speaks of another payment"
        return Change(put(payment, ended(operation, "mismatch", reason=why)))
    match operation.kind:
        case "authorise":
            return _attempt_decided(payment, operation, verdict, new_id)
        case "capture":
            return _capture_decided(payment, operation, verdict, new_id)
        case "void":
            return _void_decided(payment, operation, verdict, new_id)
        case "refund":
            done = _refund_decided(payment, operation, verdict)
            return done.then(lambda p: compensate(p, new_id)) if operation.is_dispute else done


def _wait(payment: Payment, operation: Operation, verdict: Verdict) -> Change:
    """Ask again later. A payment that waits for its customer goes on waiting."""
    if operation.state not in OPEN:
        return Change(payment)
    state = operation.state if operation.state == "action_required" else "unknown"
    later = replace(
        operation,
        state=state,
        reason=verdict.reason,
        reference=operation.reference or verdict.reference,
        ask_in_s=max(pause_s(operation.tries), verdict.retry_after_s),
    )
    return Change(put(payment, later))


def _speaks_of_another(operation: Operation, verdict: Verdict) -> bool:
    """Tell whether an answer is about other money than ours.

    The amount of an attempt is taken down as the provider says it, whatever we asked for.
    """
    if verdict.outcome not in MONEY:
        return False
    if verdict.currency != operation.currency or verdict.key not in (None, operation.key):
        return True
    done = {"capture": "captured", "refund": "refunded"}.get(operation.kind)
    return done == verdict.outcome and verdict.amount_minor != operation.amount_minor


def _attempt_decided(
    payment: Payment, operation: Operation, verdict: Verdict, new_id: NewId
) -> Change:
    match verdict.outcome:
        case "authorised" | "captured":
            return _promised(payment, operation, verdict, new_id)
        case "action_required" if operation.state in OPEN:
            return _challenged(payment, operation, verdict, new_id)
        case "declined" | "failed" | "voided" if operation.state in OPEN:
            return _declined(payment, operation, verdict)
        case "voided" if operation.state == "succeeded" and payment.promised_minor:
            if not payment.under_way("capture", "void"):
                promised = payment.promised_minor  # the provider let it go: it may expire
                return follow(payment, "void", promised, verdict.reference, new_id)
    return Change(payment)


def _promised(payment: Payment, operation: Operation, verdict: Verdict, new_id: NewId) -> Change:
    """Note the promise, and the money if it was taken along with it."""
    if operation.state in ("failed", "mismatch"):  # the provider takes back its word
        return Change(put(payment, ended(operation, "mismatch", reason="declined, then taken")))
    done = Change(payment)
    if operation.state in OPEN:
        amount, reference = verdict.amount_minor, verdict.reference
        taken = replace(operation, amount_minor=amount, reference=reference)
        done = done.then(lambda p: succeed(p, taken))
        if verdict.outcome == "captured":  # who hears that it was taken needs no promise
            done = Change(done.payment)
    taken_before = payment.captured_minor or payment.under_way("capture")
    if verdict.outcome == "captured" and not taken_before:
        done = done.then(lambda p: _taken(p, verdict, new_id))
    return done.then(lambda p: compensate(p, new_id))


def _taken(payment: Payment, verdict: Verdict, new_id: NewId) -> Change:
    """Note money taken outside of a capture of ours; what it leaves of the promise is let go."""
    amount = min(verdict.amount_minor, payment.promised_minor)
    done = follow(payment, "capture", amount, verdict.reference, new_id)
    return done.then(lambda p: _let_go(p, new_id))


def _let_go(payment: Payment, new_id: NewId) -> Change:
    """Note that the provider let go what a capture left; nobody waits to hear that."""
    if not payment.promised_minor:
        return Change(payment)
    return Change(follow(payment, "void", payment.promised_minor, None, new_id).payment)


def _challenged(payment: Payment, operation: Operation, verdict: Verdict, new_id: NewId) -> Change:
    waiting = replace(
        operation,
        state="action_required",
        reference=verdict.reference,
        url=verdict.url,
        ask_in_s=pause_s(operation.tries),
    )
    done = Change(put(payment, waiting))
    if operation.state != "action_required" and payment.wanted == "pay" and verdict.url:
        amount, number = payment.amount_minor, operation.attempt
        event = PaymentActionRequired(**about(payment, amount), attempt=number, url=verdict.url)
        done = Change(done.payment, (event,))
    return done.then(lambda p: compensate(p, new_id))


def _declined(payment: Payment, operation: Operation, verdict: Verdict) -> Change:
    reason = verdict.reason or verdict.outcome
    reference = verdict.reference or operation.reference
    after = put(payment, ended(operation, "failed", reason=reason, reference=reference))
    if payment.wanted != "pay":
        return Change(after)
    event = PaymentDeclined(
        **about(payment, payment.amount_minor),
        attempt=operation.attempt,
        reason=reason,
        final=reason in FINAL_REASONS,
    )
    return Change(after, (event,))


def _capture_decided(
    payment: Payment, operation: Operation, verdict: Verdict, new_id: NewId
) -> Change:
    if operation.state not in OPEN:
        return Change(payment)
    match verdict.outcome:
        case "captured":
            done = succeed(payment, replace(operation, reference=verdict.reference))
            done = done.then(lambda p: _let_go(p, new_id))
        case "declined" | "failed" | "voided":
            failed = ended(operation, "failed", reason=verdict.reason or verdict.outcome)
            done = Change(put(payment, failed))
            if verdict.outcome == "voided":
                promised = payment.promised_minor
                done = done.then(lambda p: follow(p, "void", promised, None, new_id))
            elif payment.wanted == "pay":  # else the promise goes back
                refused = about(payment, operation.amount_minor)
                event = CaptureFailed(**refused, reason=failed.reason or "")
                done = Change(done.payment, (event,))
        case _:
            return _wait(payment, operation, verdict)
    return done.then(lambda p: compensate(p, new_id))


def _void_decided(
    payment: Payment, operation: Operation, verdict: Verdict, new_id: NewId
) -> Change:
    last = payment.attempt
    if operation.state not in OPEN or last is None:
        return Change(payment)
    match verdict.outcome:
        case "voided":
            if last.state == "action_required":
                payment = put(payment, ended(last, "failed", reason="order-cancelled"))
            amount = payment.promised_minor
            return succeed(payment, replace(operation, amount_minor=amount))
        case "captured":  # too late: the money was taken meanwhile
            payment = put(payment, ended(operation, "failed", reason="captured"))
            return _promised(payment, last, verdict, new_id)
        case "declined" | "failed":
            why = verdict.reason or verdict.outcome
            return Change(put(payment, ended(operation, "failed", reason=why)))
    return _wait(payment, operation, verdict)


def _refund_decided(payment: Payment, operation: Operation, verdict: Verdict) -> Change:
    match verdict.outcome:
        case "refunded" if operation.state in OPEN:
            done = succeed(payment, replace(operation, reference=verdict.reference))
            if payment.state == "mismatch" and done.payment.state == "captured":
                fields, total = about(payment, payment.amount_minor), payment.captured_minor
                paid = PaymentCaptured(**fields, captured_total_minor=total)  # put right
                done = Change(done.payment, (*done.events, paid))
            return done
        case "pending" if operation.state in OPEN:
            pause, reference = pause_s(operation.tries), verdict.reference
            later = replace(operation, state="sent", reference=reference, ask_in_s=pause)
            return Change(put(payment, later))
        case "declined" | "failed" if operation.state in (*OPEN, "succeeded"):
            reason = verdict.reason or verdict.outcome
            after = put(payment, ended(operation, "failed", reason=reason))
            if operation.is_dispute:
                return Change(after, (told(after, operation, "won"),))
            event = RefundFailed(
                **about(payment, operation.amount_minor),
                refund_id=operation.id,
                reason=reason,
                credit_id=operation.credit_id,
                refunded_total_minor=after.refunded_minor,
            )
            return Change(after, (event,))
    return Change(payment)
