"""What may be wanted of a payment: an attempt, a capture, money back, or nothing any more.

A new attempt follows a definite decline alone. Money taken while nothing is wanted goes back, in
the change that made it so.
"""

from uuid import UUID

from msgspec.structs import replace

from merkato.contracts.event import Event
from merkato.contracts.payments import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from merkato.contracts.problem import StateConflict
from merkato.payments.domain.payment import (
    Change,
    Kind,
    Method,
    NewId,
    Operation,
    Payment,
    about,
    ended,
    put,
)

FINAL_REASONS = ("fraudulent",)  # declines after which the order cannot be paid any more


def start(payment: Payment, method: Method, token: str | None, new_id: NewId) -> Change:
    """Begin an attempt: on account it is decided by rule at once, a card is asked for.

    Raises StateConflict unless this is the first attempt or the last one was declined.
    """
    last = payment.attempt
    if payment.wanted != "pay" or (
        last is not None and (last.state != "failed" or last.reason in FINAL_REASONS)
    ):
        raise StateConflict("This order cannot be paid now.", state=payment.state)
    number = 1 if last is None else last.attempt + 1
    by_rule = method == "on_account" or payment.amount_minor == 0
    operation = Operation(
        id=new_id(),
        kind="authorise",
        key=f"{payment.order_id}:{number}",
        attempt=number,
        method="on_account" if by_rule else method,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_token=None if by_rule else token,
        ask_in_s=None if by_rule else 0,
    )
    payment = put(replace(payment, method=method), operation)
    return succeed(payment, operation) if by_rule else Change(payment)


def cancel(payment: Payment, new_id: NewId) -> Change:
    """Want nothing any more: what was never sent is not, what was promised or taken goes back."""
    return compensate(replace(payment, wanted="nothing"), new_id)


def compensate(payment: Payment, new_id: NewId) -> Change:
    """Give back what is held though nothing is wanted; else change nothing.

    The only cause of a full refund: money captured and nothing wanted, whichever came second.
    """
    if payment.wanted == "pay":
        return Change(payment)
    last = payment.attempt
    if last is not None and last.state == "intent":
        return Change(put(payment, ended(last, "failed", reason="order-cancelled")))
    done = Change(payment)
    if payment.refundable_minor > 0:
        amount = payment.refundable_minor
        done = done.then(lambda p: refund(p, amount, None, new_id, late=True))
    if _has_promise(payment) and not payment.under_way("capture", "void"):
        done = done.then(lambda p: void(p, new_id))
    return done


def capture(payment: Payment, amount: int | None, new_id: NewId) -> Change:
    """Take promised money, all of it by default. What a card's capture leaves is let go.

    On account this notes money that has arrived, in parts if need be. Raises StateConflict.
    """
    if payment.wanted != "pay" or payment.state not in ("authorised", "captured"):
        raise StateConflict("There is no promise to capture.", state=payment.state)
    _refuse_beside_another(payment)
    wanted = payment.promised_minor if amount is None else amount
    if not 0 < wanted <= payment.promised_minor:
        left = payment.promised_minor
        raise StateConflict("There is not as much to capture.", capturable_minor=left)
    return _begin(payment, "capture", wanted, new_id)


def void(payment: Payment, new_id: NewId) -> Change:
    """Give back what is promised and not taken. Raises StateConflict when there is nothing."""
    if not _has_promise(payment):
        raise StateConflict("There is no promise to give back.", state=payment.state)
    _refuse_beside_another(payment)
    return _begin(payment, "void", payment.promised_minor, new_id)


def refund(
    payment: Payment, amount: int, credit_id: UUID | None, new_id: NewId, *, late: bool = False
) -> Change:
    """Give taken money back; `late`: because nothing is wanted any more, under a key of its own.

    Raises StateConflict beyond what was captured and not refunded, and for a credit paid before.
    """
    if not 0 < amount <= payment.refundable_minor:
        left = payment.refundable_minor
        raise StateConflict("That is more than can be refunded.", refundable_minor=left)
    paid = {o.credit_id for o in payment.operations if o.state != "failed"} - {None}
    if credit_id in paid:
        raise StateConflict("This credit has its refund.")
    name = "late" if late else None
    return _begin(payment, "refund", amount, new_id, name=name, credit_id=credit_id)


def succeed(payment: Payment, operation: Operation) -> Change:
    """Note that an operation came about, and say so as far as anybody still waits for it."""
    operation = ended(operation, "succeeded", reason=None)
    payment = put(payment, operation)
    return Change(payment, _said(payment, operation))


def follow(
    payment: Payment, kind: Kind, amount: int, reference: str | None, new_id: NewId
) -> Change:
    """Note something the provider did along with an attempt: took its money, or let it go."""
    operation = _operation(payment, kind, amount, new_id)
    return succeed(payment, replace(operation, reference=reference))


def _said(payment: Payment, operation: Operation) -> tuple[Event, ...]:
    amount = operation.amount_minor
    as_due = payment.wanted == "pay" and payment.state != "mismatch"
    match operation.kind:
        case "authorise" if as_due:
            method = operation.method
            return (PaymentAuthorised(**about(payment, amount), method=method),)
        case "capture" if as_due:
            return (PaymentCaptured(**about(payment, amount)),)
        case "void" if amount:
            return (PaymentVoided(**about(payment, amount)),)
        case "refund":
            total = payment.refunded_minor
            fields = about(payment, amount)
            return (PaymentRefunded(**fields, refund_id=operation.id, refunded_total_minor=total),)
    return ()


def _has_promise(payment: Payment) -> bool:
    last = payment.attempt
    return payment.promised_minor > 0 or (last is not None and last.state == "action_required")


def _refuse_beside_another(payment: Payment) -> None:
    if payment.under_way("capture", "void"):
        raise StateConflict("A capture or void of this payment is under way.", state=payment.state)


def _begin(
    payment: Payment,
    kind: Kind,
    amount: int,
    new_id: NewId,
    *,
    name: str | None = None,
    credit_id: UUID | None = None,
) -> Change:
    """Put down an operation on the newest attempt; on account it is done at once."""
    operation = replace(_operation(payment, kind, amount, new_id, name), credit_id=credit_id)
    payment = put(payment, operation)
    return succeed(payment, operation) if operation.method == "on_account" else Change(payment)


def _operation(
    payment: Payment, kind: Kind, amount: int, new_id: NewId, name: str | None = None
) -> Operation:
    last = payment.attempt
    assert last is not None  # nothing is captured, voided or refunded without one
    id = new_id()
    key = f"{payment.order_id}:{kind}:{name or id}"
    if any(o.key == key for o in payment.operations):
        key = f"{payment.order_id}:{kind}:{id}"
    return Operation(
        id=id,
        kind=kind,
        key=key,
        attempt=last.attempt,
        method=last.method,
        amount_minor=amount,
        currency=payment.currency,
        origin=last.reference,
        ask_in_s=0,
    )
