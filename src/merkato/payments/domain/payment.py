"""A payment: a wish (`wanted`), what is due, and operations, from which sums and state follow.

attempt   intent → sent → succeeded (authorised) | failed (declined) | unknown | action_required
others    intent → sent → succeeded | failed | unknown          (capture, void, refund)
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

import msgspec
from msgspec.structs import replace

from merkato.contracts.event import Event
from merkato.contracts.problem import Problem

Kind = Literal["authorise", "capture", "void", "refund"]
Method = Literal["on_account", "card"]
OperationState = Literal[
    "intent", "sent", "unknown", "action_required", "succeeded", "failed", "mismatch"
]
OPEN = ("intent", "sent", "unknown", "action_required")
NewId: TypeAlias = Callable[[], UUID]


class InvalidSignature(Problem):
    """A webhook was not signed by the provider it claims to come from."""

    slug, status, title = "invalid-signature", 401, "Signature not valid"


class StaleSignature(Problem):
    """A webhook was signed too long ago, or in the future."""

    slug, status, title = "stale-signature", 400, "Signature out of time"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a provider under our own `key`, or decided by rule."""

    id: UUID
    kind: Kind
    key: str
    attempt: int
    method: Method
    amount_minor: int
    currency: str
    state: OperationState = "intent"
    reference: str | None = None  # the provider's name of it
    origin: str | None = None  # the provider's name of the attempt it acts on
    payment_token: str | None = None
    url: str | None = None
    reason: str | None = None
    credit_id: UUID | None = None
    tries: int = 0
    ask_in_s: int | None = None  # from now; None: the provider need not be asked

    @property
    def is_dispute(self) -> bool:
        """Tell whether it is a refund that the bank decides about, not we."""
        return self.kind == "refund" and ":dispute:" in self.key


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """So much less an order costs, as orders told."""

    id: UUID
    amount_minor: int


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of the money of one order, in minor units of `currency`."""

    id: UUID
    order_id: UUID
    customer_id: UUID | None
    wanted: Literal["pay", "nothing"]
    method: Method
    amount_minor: int
    currency: str
    pay_until: datetime | None
    operations: tuple[Operation, ...] = ()
    credits: tuple[Credit, ...] = ()

    def total(self, kind: Kind, *states: OperationState) -> int:
        """Sum the operations of a kind in these states."""
        found = (o for o in self.operations if o.kind == kind and o.state in states)
        return sum(o.amount_minor for o in found)

    @property
    def authorised_minor(self) -> int:
        """Money promised so far."""
        return self.total("authorise", "succeeded")

    @property
    def captured_minor(self) -> int:
        """Money taken so far, by the provider's own word."""
        return self.total("capture", "succeeded")

    @property
    def voided_minor(self) -> int:
        """Promises given back."""
        return self.total("void", "succeeded")

    @property
    def refunded_minor(self) -> int:
        """Money given back."""
        return self.total("refund", "succeeded")

    @property
    def refunding_minor(self) -> int:
        """Money that may be on its way back; a mismatch stays here until a person looked."""
        return self.total("refund", "intent", "sent", "unknown", "mismatch")

    @property
    def promised_minor(self) -> int:
        """Promises neither taken nor given back."""
        return self.authorised_minor - self.captured_minor - self.voided_minor

    @property
    def refundable_minor(self) -> int:
        """What may still be given back."""
        return self.captured_minor - self.refunded_minor - self.refunding_minor

    @property
    def owed_minor(self) -> int:
        """What the order costs by now."""
        return self.amount_minor - sum(credit.amount_minor for credit in self.credits)

    def paying(self, credit_id: UUID | None) -> tuple[Operation, ...]:
        """Give the operations by which a credit is, was or failed to be given."""
        if credit_id is None:
            return ()
        return tuple(o for o in self.operations if credit_id in (o.credit_id, o.id))

    @property
    def attempt(self) -> Operation | None:
        """Give the newest attempt."""
        attempts = [o for o in self.operations if o.kind == "authorise"]
        return max(attempts, key=lambda o: o.attempt) if attempts else None

    @property
    def state(self) -> str:
        """Say where the payment stands, as `contracts.payments.PaymentState` has it."""
        last = self.attempt
        if last is None:
            return "due" if self.wanted == "pay" else "voided"
        if last.state == "mismatch" or (self.wanted == "pay" and self._differs(last)):
            return "mismatch"
        if self.captured_minor:
            return "captured"
        if last.state == "succeeded":
            given_back = self.promised_minor == 0 and (last.amount_minor or self.wanted != "pay")
            return "voided" if given_back else "authorised"
        if last.state == "failed":
            return "declined" if self.wanted == "pay" else "voided"
        return "due" if last.state == "intent" else last.state

    def _differs(self, last: Operation) -> bool:
        """Tell whether the provider took another amount than was due, not yet put right."""
        if last.state != "succeeded" or last.amount_minor == self.amount_minor:
            return False
        kept = self.captured_minor - self.refunded_minor
        return kept != self.owed_minor and (kept or self.promised_minor) != 0

    def under_way(self, *kinds: Kind) -> bool:
        """Tell whether an operation of these kinds is not decided yet."""
        return any(o.kind in kinds and o.state in OPEN for o in self.operations)


Outcome = Literal[
    "authorised", "captured", "declined", "action_required", "voided", "refunded", "pending",
    "failed", "unknown",
]  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of an operation. Amount and currency are its own word, not ours."""

    outcome: Outcome
    amount_minor: int = 0
    currency: str | None = None
    key: str | None = None  # of ours, as the provider gives it back
    reference: str | None = None
    reason: str | None = None
    url: str | None = None
    retry_after_s: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider told us unasked: an event, and what it is about by its name and by ours."""

    event_id: str
    type: str
    reference: str | None = None
    key: str | None = None
    disputed: str | None = None  # the attempt that a dispute is about, by its name
    amount_minor: int = 0  # of that dispute


@runtime_checkable
class Reader(Protocol):
    """Reads what a provider sends us."""

    def read(self, body: bytes, signature: str | None) -> Notice:
        """Check who signed it, and read it. Raises InvalidSignature, StaleSignature, Malformed."""


class Change(msgspec.Struct, frozen=True):
    """A payment after a rule was applied, and what is to be said of it."""

    payment: Payment
    events: tuple[Event, ...] = ()

    def then(self, rule: Callable[[Payment], "Change"]) -> "Change":
        """Apply another rule to the outcome."""
        after = rule(self.payment)
        return Change(after.payment, (*self.events, *after.events))


def entries(operation: Operation) -> tuple[tuple[str, int], ...]:
    """Give the ledger's posting for an operation that succeeded: accounts and signed amounts.

    `receivable` is what customers still owe, `customer` the other side of all we asked of them.
    """
    cash = "bank" if operation.method == "on_account" else "processor"
    debit, credit = {
        "authorise": ("receivable", "customer"),
        "capture": (cash, "receivable"),
        "void": ("customer", "receivable"),
        "refund": ("customer", cash),
    }[operation.kind]
    amount = operation.amount_minor
    return ((debit, amount), (credit, -amount)) if amount else ()


def put(payment: Payment, operation: Operation) -> Payment:
    """Give the payment with an operation added or exchanged."""
    others = tuple(o for o in payment.operations if o.key != operation.key)
    return replace(payment, operations=(*others, operation))


def ended(operation: Operation, state: OperationState, **changes: Any) -> Operation:
    """End an operation; the card's name and the customer's link are forgotten with that."""
    return replace(operation, state=state, ask_in_s=None, payment_token=None, url=None, **changes)


def about(payment: Payment, amount: int) -> dict[str, Any]:
    """Give the fields that every event about a payment has."""
    return {
        "order_id": payment.order_id,
        "payment_id": payment.id,
        "amount_minor": amount,
        "currency": payment.currency,
    }
