"""What may be wanted of a payment: an attempt, a capture, money back, or nothing any more.

A new attempt follows a definite decline alone. Money taken while nothing is wanted goes back, in
the change that made it so.
"""

from functools import partial
from uuid import UUID

from msgspec.structs import replace

from merkato.contracts.event import Event
from merkato.contracts.payments import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
)
from merkato.contracts.problem import StateConflict
from merkato.payments.domain.payment import (
    Change,
    Credit,
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


def cancel(payment: Payment, new_id: NewId, credit_id: UUID | None = None) -> Change:
    """Want nothing any more: what was never sent is not, what was promised or taken goes back.

    `credit_id`: of what a confirmed order had still cost.
    """
    credits = payment.credits
    if credit_id is not None:
        credits = (*credits, Credit(id=credit_id, amount_minor=payment.owed_minor))
    return compensate(replace(payment, wanted="nothing", credits=credits), new_id)


def compensate(payment: Payment, new_id: NewId) -> Change:
    """Give back what is not owed: all when nothing is wanted, else what credits are for.

    The only cause of a full refund: money captured and nothing wanted, whichever came second.
    """
    if payment.wanted == "pay":
        return honour(payment, new_id)
    last = payment.attempt
    if last is not None and last.state == "intent":
        return Change(put(payment, ended(last, "failed", reason="order-cancelled")))
    done = Change(payment)
    if payment.refundable_minor > 0:
        amount, credit_id = payment.refundable_minor, _credit_to_name(payment)
        done = done.then(lambda p: refund(p, amount, credit_id, new_id, late=True))
    if _has_promise(payment) and not payment.under_way("capture", "void"):
        done = done.then(lambda p: void(p, new_id))
    return done


def _credit_to_name(payment: Payment) -> UUID | None:
    """Choose the newest credit that has no refund, if there is one."""
    free = [c.id for c in payment.credits if all(o.kind != "refund" for o in payment.paying(c.id))]
    return free[-1] if free else None


def credited(payment: Payment, credit: Credit, new_id: NewId) -> Change:
    """Note that the order costs less. What was paid of it goes back; told again, nothing does."""
    if credit.amount_minor == 0 or any(known.id == credit.id for known in payment.credits):
        return Change(payment)
    return compensate(replace(payment, credits=(*payment.credits, credit)), new_id)


def honour(payment: Payment, new_id: NewId) -> Change:
    """Give what credits are for: less is promised, and what was taken goes back.

    Waits while a capture or void is under way. A refund that failed is not tried again by itself.
    """
    done = Change(payment)
    for credit in payment.credits:
        done = done.then(partial(_honour, credit=credit, new_id=new_id))
    return done


def _honour(payment: Payment, credit: Credit, new_id: NewId) -> Change:
    tried = payment.paying(credit.id)
    given = sum(o.amount_minor for o in tried if o.kind == "refund" or o.state != "failed")
    left = credit.amount_minor - given
    last = payment.attempt
    if left <= 0 or last is None or last.state != "succeeded" or payment.state == "mismatch":
        return Change(payment)
    if payment.under_way("capture", "void"):
        return Change(payment)
    done = Change(payment)
    let_go = min(left, payment.promised_minor)
    if let_go and not any(o.kind == "void" for o in tried):
        done = done.then(lambda p: _promise_less(p, let_go, credit.id, new_id))
    if (amount := min(left - let_go, payment.refundable_minor)) > 0:
        done = done.then(lambda p: refund(p, amount, credit.id, new_id))
    return done


def _promise_less(payment: Payment, amount: int, credit_id: UUID, new_id: NewId) -> Change:
    """Let go of a part of a promise by rule; of a card's whole promise by asking its processor.

    A processor takes back a promise whole, or what a capture leaves of it.
    """
    if amount == payment.promised_minor:
        return _begin(payment, "void", amount, new_id, credit_id=credit_id)
    part = _operation(payment, "void", amount, new_id)
    part = replace(part, method="on_account", credit_id=credit_id)
    return succeed(put(payment, part), part)


def collect(payment: Payment, new_id: NewId) -> Change:
    """Take what a card still promises: nothing is left to ship. Else, and repeated: no change."""
    last = payment.attempt
    takes = last is not None and last.method == "card" and last.state == "succeeded"
    if payment.wanted != "pay" or not takes or not payment.promised_minor:
        return Change(payment)
    if payment.state != "authorised" or payment.under_way("capture", "void"):
        return Change(payment)
    return capture(payment, None, new_id)


def capture(payment: Payment, amount: int | None, new_id: NewId) -> Change:
    """Take promised money, all of it by default; of a card nothing else.

    On account this notes money that has arrived, in parts if need be. Raises StateConflict.
    """
    if payment.wanted != "pay" or payment.state not in ("authorised", "captured"):
        raise StateConflict("There is no promise to capture.", state=payment.state)
    _refuse_beside_another(payment)
    wanted = payment.promised_minor if amount is None else amount
    if not 0 < wanted <= payment.promised_minor:
        left = payment.promised_minor
        raise StateConflict("There is not as much to capture.", capturable_minor=left)
    last = payment.attempt
    if last is not None and last.method == "card" and wanted < payment.promised_minor:
        raise StateConflict("A card is charged what the order costs; credit the order before.")
    return _begin(payment, "capture", wanted, new_id)


def void(payment: Payment, new_id: NewId) -> Change:
    """Give back what is promised and not taken. Raises StateConflict when there is nothing."""
    if not _has_promise(payment):
        raise StateConflict("There is no promise to give back.", state=payment.state)
    _refuse_beside_another(payment)
    return _begin(payment, "void", payment.promised_minor, new_id)


def refund(
    payment: Payment,
    amount: int,
    credit_id: UUID | None,
    new_id: NewId,
    *,
    late: bool = False,
    outside: bool = False,
) -> Change:
    """Give taken money back; `late`: because nothing is wanted any more, under a key of its own.

    `outside`: no provider is asked.

    Raises StateConflict beyond what was captured and not refunded, and for a credit whose refund
    is done or under way.
    """
    if not 0 < amount <= payment.refundable_minor:
        left = payment.refundable_minor
        raise StateConflict("That is more than can be refunded.", refundable_minor=left)
    if any(o.kind == "refund" and o.state != "failed" for o in payment.paying(credit_id)):
        raise StateConflict("This credit has its refund.")
    name = "late" if late else None
    method: Method | None = "on_account" if outside else None
    return _begin(payment, "refund", amount, new_id, name=name, credit_id=credit_id, method=method)


def void_by_hand(payment: Payment, new_id: NewId) -> Change:
    """Give up an attempt that waits for its customer. Raises StateConflict for anything else.

    What an order was confirmed on is not given back while the order wants it.
    """
    last = payment.attempt
    if last is None or last.state != "action_required":
        raise StateConflict("Cancel or credit the order: its promise goes back by itself.")
    return void(payment, new_id)


def dispute(payment: Payment, amount: int, reference: str, new_id: NewId) -> Change:
    """Note that the card's holder denies the charge: what is disputed is not given back as well.

    Its id is that of the credit which the order gets if it is lost. Told again, nothing changes.
    What has gone back already is noted as a dispute over nothing. Raises StateConflict before
    anything was captured.
    """
    if any(o.reference == reference for o in payment.operations):
        return Change(payment)
    if not payment.captured_minor:
        raise StateConflict("Nothing was captured that could be disputed.", state=payment.state)
    part = min(amount, payment.refundable_minor)
    denied = replace(
        _operation(payment, "refund", part, new_id),
        key=f"{payment.order_id}:dispute:{reference}",
        reference=reference,
        state="sent",
    )
    after = put(payment, denied)
    return Change(after, (told(after, denied, "opened"),))


def told(payment: Payment, operation: Operation, state: str) -> PaymentDisputed:
    """Say how a dispute stands."""
    return PaymentDisputed(
        **about(payment, operation.amount_minor),
        dispute_id=operation.id,
        state=state,
        refunded_total_minor=payment.refunded_minor,
    )


def refund_by_hand(
    payment: Payment, amount: int, credit_id: UUID | None, *, outside: bool, new_id: NewId
) -> Change:
    """Give back what a credit is for, once its own refund failed; or what nothing is wanted for.

    That is what was taken too much, or of an order that ended.

    `outside`: it was given in another way, such as by bank. Raises StateConflict for anything else,
    because then the order would owe what nobody will pay.
    """
    if credit_id is None:
        if payment.state != "mismatch" and payment.wanted == "pay":
            raise StateConflict("Credit the order: its refund follows by itself, and names it.")
        return refund(payment, amount, None, new_id, outside=outside)
    credit = next((one for one in payment.credits if one.id == credit_id), None)
    if credit is None:
        raise StateConflict("This payment knows of no such credit.")
    given = sum(o.amount_minor for o in payment.paying(credit_id) if o.state != "failed")
    if amount > credit.amount_minor - given:
        left = credit.amount_minor - given
        raise StateConflict("That is more than is left of the credit.", credit_left_minor=left)
    return refund(payment, amount, credit_id, new_id, outside=outside)


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
            total = payment.captured_minor
            return (PaymentCaptured(**about(payment, amount), captured_total_minor=total),)
        case "void" if amount and not _part_of_credit(payment, operation):
            return (PaymentVoided(**about(payment, amount)),)
        case "refund" if operation.is_dispute:
            return (told(payment, operation, "lost"),)
        case "refund":
            total = payment.refunded_minor
            fields = about(payment, amount)
            return (
                PaymentRefunded(
                    **fields,
                    refund_id=operation.id,
                    refunded_total_minor=total,
                    credit_id=operation.credit_id,
                ),
            )
    return ()


def _part_of_credit(payment: Payment, operation: Operation) -> bool:
    """Tell whether a void lessened what is owed, and left something owed or taken."""
    rest = payment.promised_minor or payment.captured_minor
    return operation.credit_id is not None and rest > 0


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
    method: Method | None = None,
) -> Change:
    """Put down an operation on the newest attempt; on account it is done at once."""
    operation = replace(_operation(payment, kind, amount, new_id, name), credit_id=credit_id)
    operation = replace(operation, method=method or operation.method)
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
