"""Any order of events, answers and wishes: a payment keeps its laws.

The processor here is a model that acts once per key, loses answers, declines and is slow; the
customer, staff and the order's end come in between as they like.
"""

import contextlib
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from merkato.contracts.payments import PaymentAuthorised, PaymentCaptured
from merkato.contracts.problem import StateConflict
from merkato.payments.domain import wishes
from merkato.payments.domain.payment import OPEN, Credit, Payment, Verdict, entries, put
from merkato.payments.domain.verdicts import decide

DUE = 1000


class Bank:
    """Acts once per key, as the real one; `done` is its own truth."""

    def __init__(self):
        self.attempts = {}  # key -> [outcome, authorised, captured, refunded]
        self.done = {}  # key -> verdict, of other operations

    def ask(self, operation, outcome, amount):
        if operation.kind == "authorise":
            held = self.attempts.setdefault(operation.key, [outcome, amount, 0, 0])
            if held[0] == "action_required" and outcome in ("captured", "declined", "voided"):
                held[0] = outcome  # the customer answered, or it expired
            if held[0] == "captured" and not held[2]:
                held[2] = held[1]
            return self.word(operation, held[0], held[2] or held[1])
        if operation.key not in self.done:
            self.done[operation.key] = self.act(operation, outcome)
        return self.done[operation.key]

    def act(self, operation, outcome):
        held = self.attempts[operation.origin]
        if operation.kind == "capture" and held[0] == "authorised" and outcome != "declined":
            held[0], held[2] = "captured", operation.amount_minor
            return self.word(operation, "captured", operation.amount_minor)
        if operation.kind == "void" and held[0] in ("authorised", "action_required"):
            held[0] = "voided"
        if operation.kind == "refund":
            if outcome == "declined" or held[3] + operation.amount_minor > held[2]:
                return self.word(operation, "failed", 0)
            held[3] += operation.amount_minor
            return self.word(operation, "refunded", operation.amount_minor)
        return self.word(operation, "failed" if held[0] == "authorised" else held[0], held[2])

    def word(self, operation, outcome, amount):
        reference = operation.key if operation.kind == "authorise" else operation.origin
        return Verdict(
            outcome=outcome, amount_minor=amount, currency="EUR", key=None, reference=reference
        )


class Life(RuleBasedStateMachine):
    """One payment."""

    def __init__(self):
        super().__init__()
        self.bank = Bank()
        self.said = []
        self.heard = []  # answers that may come (again) later
        self.ledger = {}
        self.payment = Payment(
            id=uuid4(), order_id=uuid4(), customer_id=None, wanted="pay", method="card",
            amount_minor=DUE, currency="EUR", pay_until=None,
        )  # fmt: skip

    def take(self, change):
        before = {o.key: o.state for o in self.payment.operations}
        for o in change.payment.operations:
            was, now = before.get(o.key) == "succeeded", o.state == "succeeded"
            if was != now:
                for account, amount in entries(o):
                    sign = 1 if now else -1
                    self.ledger[account] = self.ledger.get(account, 0) + sign * amount
        self.payment = change.payment
        self.said += change.events

    def attempt(self, wish):
        with contextlib.suppress(StateConflict):  # refused: nothing changes
            self.take(wish())

    @rule(method=st.sampled_from(["card", "card", "on_account"]))
    def pay(self, method):
        self.attempt(lambda: wishes.start(self.payment, method, "pm", uuid4))

    @rule(named=st.booleans())
    def cancel(self, named):
        if self.payment.wanted == "pay":
            credit = uuid4() if named and self.payment.owed_minor else None
            self.take(wishes.cancel(self.payment, uuid4, credit))

    @rule(amount=st.one_of(st.none(), st.integers(1, DUE + 1)))
    def capture(self, amount):
        self.attempt(lambda: wishes.capture(self.payment, amount, uuid4))

    @rule()
    def void(self):
        self.attempt(lambda: wishes.void_by_hand(self.payment, uuid4))

    @rule(
        amount=st.integers(1, DUE + 1), n=st.one_of(st.none(), st.integers(0, 3)),
        outside=st.booleans(),
    )  # fmt: skip
    def refund(self, amount, n, outside):
        known = dict(enumerate(credit.id for credit in self.payment.credits))
        credit = None if n is None else known.get(n, uuid4())
        self.attempt(
            lambda: wishes.refund_by_hand(
                self.payment, amount, credit, outside=outside, new_id=uuid4
            )
        )

    @precondition(lambda self: self.confirmed() and self.payment.owed_minor)
    @rule(data=st.data(), again=st.booleans())
    def credit(self, data, again):
        amount = data.draw(st.integers(1, self.payment.owed_minor))
        credit = Credit(id=uuid4(), amount_minor=amount)
        for _ in range(1 + again):
            self.take(wishes.credited(self.payment, credit, uuid4))

    @precondition(lambda self: self.confirmed())
    @rule()
    def ship(self):
        self.take(wishes.collect(self.payment, uuid4))

    def confirmed(self):
        said = any(isinstance(e, PaymentAuthorised | PaymentCaptured) for e in self.said)
        return said and self.payment.wanted == "pay"

    @precondition(lambda self: self.confirmed())
    @rule()
    def settle(self):
        """All questions are answered: what is kept and promised is what is owed."""
        self.answer_all("captured")
        p = self.payment
        lost = [o for o in p.operations if o.kind == "void" and o.credit_id is None]
        failed = [o for o in p.operations if o.kind != "authorise" and o.state == "failed"]
        if not lost and not failed and p.state != "mismatch":
            assert p.captured_minor - p.refunded_minor + p.promised_minor == p.owed_minor

    def answer_all(self, outcome):
        for _ in range(20):
            for operation in map(self.sent, self.open()):
                answer = self.bank.ask(operation, outcome, DUE)
                self.take(decide(self.payment, operation.key, answer, uuid4))
        assert self.open() == []

    @invariant()
    def no_credit_is_given_twice(self):
        p = self.payment
        for credit in p.credits:
            given = sum(o.amount_minor for o in p.paying(credit.id) if o.state != "failed")
            assert given <= credit.amount_minor or p.wanted == "nothing"
        assert p.owed_minor >= 0

    @precondition(lambda self: self.open())
    @rule(
        data=st.data(),
        outcome=st.sampled_from(
            ["captured", "authorised", "declined", "action_required", "voided"]
        ),
        amount=st.sampled_from([DUE, DUE, DUE, DUE + 1]),
        lost=st.booleans(),
        late=st.booleans(),
    )
    def ask(self, data, outcome, amount, lost, late):
        operation = self.sent(data.draw(st.sampled_from(self.open())))
        answer = self.bank.ask(operation, outcome, amount)
        self.heard.append((operation.key, answer))
        if late:
            return
        unknown = Verdict(outcome="unknown", reference=None)
        self.take(decide(self.payment, operation.key, unknown if lost else answer, uuid4))

    def sent(self, operation):
        """Claim it, as the job does before it asks."""
        state = "sent" if operation.state == "intent" else operation.state
        tries = operation.tries + 1
        operation = replace(operation, state=state, tries=tries, ask_in_s=None)
        self.payment = put(self.payment, operation)
        return operation

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hear_again(self, data):
        key, answer = data.draw(st.sampled_from(self.heard))
        self.take(decide(self.payment, key, answer, uuid4))

    def open(self):
        return [o for o in self.payment.operations if o.state in OPEN and o.method == "card"]

    @invariant()
    def sums_hold(self):
        p = self.payment
        assert p.refunded_minor >= 0
        assert p.refunded_minor + p.refunding_minor <= p.captured_minor
        assert p.captured_minor + p.voided_minor <= p.authorised_minor

    @invariant()
    def one_attempt_takes_money(self):
        taken = {
            o.attempt
            for o in self.payment.operations
            if o.kind == "capture" and o.state == "succeeded"
        }
        assert len(taken) <= 1
        assert sum(1 for held in self.bank.attempts.values() if held[2]) <= 1

    @invariant()
    def open_attempts_are_one(self):
        kept = [
            o
            for o in self.payment.operations
            if o.kind == "authorise" and o.state not in ("failed", "mismatch")
        ]
        assert len(kept) <= 1

    @invariant()
    def said_once_and_only_the_due_amount(self):
        for kind in (PaymentAuthorised, PaymentCaptured):
            amounts = [e.amount_minor for e in self.said if isinstance(e, kind)]
            assert sum(amounts) <= DUE

    @invariant()
    def the_ledger_balances(self):
        assert sum(self.ledger.values()) == 0
        p = self.payment
        assert self.ledger.get("receivable", 0) == p.promised_minor
        assert (
            -self.ledger.get("customer", 0)
            == p.promised_minor + p.captured_minor - p.refunded_minor
        )

    @invariant()
    def cards_are_forgotten(self):
        for o in self.payment.operations:
            assert o.state in OPEN or (o.payment_token is None and o.url is None)

    def teardown(self):
        """The order ends and every question is answered: nothing is kept."""
        self.take(wishes.cancel(self.payment, uuid4))
        self.answer_all("voided")
        failed = {o.kind for o in self.payment.operations if o.state == "failed"}
        if not failed & {"void", "refund"}:
            p = self.payment
            assert p.captured_minor == p.refunded_minor
            assert p.promised_minor == 0
            for key, held in self.bank.attempts.items():
                assert held[2] == held[3] + self.given_outside(key)
                assert held[0] != "authorised"

    def given_outside(self, key):
        """Tell how much of what an attempt took was given back without the bank's knowledge."""
        given = [o for o in self.payment.operations if o.kind == "refund" and o.origin == key]
        return sum(
            o.amount_minor for o in given if o.method == "on_account" and o.state == "succeeded"
        )


Life.TestCase.settings = settings(max_examples=400, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
