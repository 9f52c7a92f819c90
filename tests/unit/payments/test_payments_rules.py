"""The rules of a payment, one by one."""

from uuid import uuid4

import pytest
from msgspec.structs import replace

from merkato.contracts.problem import StateConflict
from merkato.payments.domain import wishes
from merkato.payments.domain.payment import Payment, Verdict, entries, put
from merkato.payments.domain.verdicts import decide, pause_s


def payment(wanted="pay", amount=1000):
    return Payment(
        id=uuid4(), order_id=uuid4(), customer_id=None, wanted=wanted, method="card",
        amount_minor=amount, currency="EUR", pay_until=None,
    )  # fmt: skip


def started(method="card", **changed):
    """A payment whose first attempt was sent, as it is read when an answer comes."""
    begun = wishes.start(payment(**changed), method, "pm_card_visa", uuid4).payment
    [attempt] = begun.operations
    return put(begun, replace(attempt, state="sent", tries=1, ask_in_s=None))


def word(outcome, amount=1000, **changed):
    said = {"amount_minor": amount, "currency": "EUR", "reference": "pi_1"}
    return Verdict(outcome=outcome, **said | changed)


def told(before, outcome, amount=1000, kind="authorise", **changed):
    key = [o.key for o in before.operations if o.kind == kind][-1]
    return decide(before, key, word(outcome, amount, **changed), uuid4)


def names(change):
    return [type(event).__name__ for event in change.events]


def test_an_attempt_has_a_key_of_the_order_and_its_number():
    before = started()
    assert [o.key for o in before.operations] == [f"{before.order_id}:1"]
    declined = told(before, "declined", reason="lost_card").payment
    again = wishes.start(declined, "card", "pm_card_visa", uuid4).payment
    assert [o.key for o in again.operations] == [f"{before.order_id}:1", f"{before.order_id}:2"]


@pytest.mark.parametrize("outcome", ["unknown", "action_required", "authorised", "captured", None])
def test_no_new_attempt_before_a_definite_decline(outcome):
    before = started()
    if outcome:
        before = told(before, outcome).payment
    with pytest.raises(StateConflict):
        wishes.start(before, "card", "pm_card_visa", uuid4)


@pytest.mark.parametrize(
    ("outcome", "state", "said"),
    [
        ("captured", "captured", ["PaymentCaptured"]),
        ("authorised", "authorised", ["PaymentAuthorised"]),
        ("declined", "declined", ["PaymentDeclined"]),
        ("failed", "declined", ["PaymentDeclined"]),
        ("voided", "declined", ["PaymentDeclined"]),
        ("unknown", "unknown", []),
        ("refunded", "unknown", []),
        ("pending", "unknown", []),
    ],
)
def test_what_a_first_word_makes_of_an_attempt(outcome, state, said):
    done = told(started(), outcome)
    assert (done.payment.state, names(done)) == (state, said)


@pytest.mark.parametrize("outcome", ["captured", "authorised"])
@pytest.mark.parametrize("amount", [999, 1001])
def test_another_amount_waits_for_a_person(outcome, amount):
    done = told(started(), outcome, amount)
    assert (done.payment.state, names(done)) == ("mismatch", [])
    with pytest.raises(StateConflict):
        wishes.capture(done.payment, None, uuid4)
    back = wishes.cancel(done.payment, uuid4).payment.operations[-1]
    assert (back.kind, back.amount_minor) == ("refund" if outcome == "captured" else "void", amount)


@pytest.mark.parametrize("changed", [{"currency": "USD"}, {"key": "another:1"}])
def test_another_payment_waits_for_a_person(changed):
    done = told(started(), "captured", **changed)
    assert (done.payment.state, names(done)) == ("mismatch", [])
    assert done.payment.captured_minor == 0


def test_a_late_decline_takes_nothing_back():
    paid = told(started(), "captured").payment
    assert told(paid, "declined") == told(paid, "captured") == told(paid, "unknown")
    assert told(paid, "declined").payment == paid


def test_money_after_a_decline_waits_for_a_person():
    declined = told(started(), "declined").payment
    done = told(declined, "captured")
    assert (done.payment.state, names(done)) == ("mismatch", [])


def test_a_void_that_comes_too_late_becomes_a_refund():
    cancelled = wishes.cancel(told(started(), "authorised").payment, uuid4).payment
    done = told(cancelled, "captured", kind="void")
    assert [(o.kind, o.state) for o in done.payment.operations] == [
        ("authorise", "succeeded"),
        ("void", "failed"),
        ("capture", "succeeded"),
        ("refund", "intent"),
    ]


def test_a_refused_refund_can_be_asked_again_and_is_said():
    paid = told(started(), "captured").payment
    asked = wishes.refund(paid, 1000, None, uuid4).payment
    done = told(asked, "failed", kind="refund", reason="expired_card")
    assert (names(done), done.payment.refundable_minor) == (["RefundFailed"], 1000)


def test_a_wrong_amount_put_right_says_what_was_taken_in_all():
    taken = told(started(), "captured", 1050).payment
    back = wishes.refund_by_hand(taken, 50, None, outside=False, new_id=uuid4).payment
    paid = told(back, "refunded", 50, kind="refund").events[-1]
    assert (paid.amount_minor, paid.captured_total_minor) == (1000, 1050)


def test_a_dispute_over_what_went_back_already_is_noted_over_nothing():
    paid = told(started(), "captured").payment
    back = told(wishes.refund(paid, 1000, None, uuid4).payment, "refunded", kind="refund").payment
    done = wishes.dispute(back, 1000, "dp_1", uuid4)
    [event] = done.events
    assert (event.state, event.amount_minor, event.refunded_total_minor) == ("opened", 0, 1000)
    assert wishes.dispute(done.payment, 1000, "dp_1", uuid4).events == ()
    won = told(done.payment, "failed", kind="refund")
    assert [event.state for event in won.events] == ["won"]
    lost = told(done.payment, "refunded", kind="refund").payment
    assert (lost.operations[-1].state, lost.refundable_minor) == ("mismatch", 0)


def test_a_refused_capture_is_said_and_can_be_asked_again():
    shipped = wishes.collect(told(started(), "authorised").payment, uuid4).payment
    done = told(shipped, "declined", kind="capture", reason="insufficient_funds")
    [event] = done.events
    assert (type(event).__name__, event.amount_minor) == ("CaptureFailed", 1000)
    assert event.reason == "insufficient_funds"
    again = wishes.capture(done.payment, None, uuid4).payment
    assert len({o.key for o in again.operations if o.kind == "capture"}) == 2


def test_a_refused_capture_of_an_order_that_ended_is_not_said():
    taking = wishes.collect(told(started(), "authorised").payment, uuid4).payment
    cancelled = wishes.cancel(taking, uuid4).payment
    done = told(cancelled, "declined", kind="capture", reason="insufficient_funds")
    assert (names(done), done.payment.under_way("void")) == ([], True)


@pytest.mark.parametrize("outside", [False, True])
def test_a_refused_refund_of_an_order_never_confirmed_is_given_again_without_a_credit(outside):
    cancelled = wishes.cancel(started(), uuid4).payment
    late = told(cancelled, "captured").payment
    failed = told(late, "failed", kind="refund", reason="expired_card").payment
    again = wishes.refund_by_hand(failed, 1000, None, outside=outside, new_id=uuid4)
    assert (again.payment.refunded_minor, again.payment.refunding_minor) == (
        (1000, 0) if outside else (0, 1000)
    )
    assert again.payment.refundable_minor == 0
    with pytest.raises(StateConflict):
        wishes.refund_by_hand(again.payment, 1, None, outside=outside, new_id=uuid4)


@pytest.mark.parametrize("outcome", ["unknown", "pending", None])
def test_money_that_may_be_on_its_way_back_is_not_refunded_again(outcome):
    paid = told(started(), "captured").payment
    asked = wishes.refund(paid, 600, None, uuid4).payment
    if outcome:
        asked = told(asked, outcome, 600, kind="refund").payment
    with pytest.raises(StateConflict):
        wishes.refund(asked, 600, None, uuid4)


@pytest.mark.parametrize(("outcome", "asked_in_s"), [("pending", 3_600), ("unknown", None)])
def test_only_what_the_provider_is_at_is_asked_about_after_days(outcome, asked_in_s):
    paid = told(started(), "captured").payment
    asked = wishes.refund(paid, 600, None, uuid4).payment
    [refund] = [o for o in asked.operations if o.kind == "refund"]
    done = decide(asked, refund.key, word(outcome, 600), uuid4, give_up=True)
    [refund] = [o for o in done.payment.operations if o.kind == "refund"]
    assert refund.ask_in_s == asked_in_s


def test_what_was_never_sent_ends_with_the_order():
    begun = wishes.start(payment(), "card", "pm_card_visa", uuid4).payment
    done = wishes.cancel(begun, uuid4)
    assert [o.state for o in done.payment.operations] == ["failed"]
    assert (done.payment.state, done.events) == ("voided", ())


def test_every_posting_sums_to_zero():
    for kind in ("authorise", "capture", "void", "refund"):
        for method in ("card", "on_account"):
            done = wishes.start(payment(), method, None, uuid4).payment.operations[0]
            amounts = [amount for _, amount in entries(replace(done, kind=kind))]
            assert (len(amounts), sum(amounts)) == (2, 0)


def test_pauses_grow_to_a_minute():
    assert [pause_s(n) for n in (0, 1, 2, 3, 6, 7, 8, 1000)] == [1, 1, 2, 4, 32, 60, 60, 60]


def test_what_is_heard_again_of_an_attempt_that_failed_ends_no_later_one():
    first = told(started(), "voided").payment
    second = wishes.start(first, "card", "pm_card_visa", uuid4).payment
    promised = told(second, "authorised").payment
    [failed, _] = promised.operations[:2]
    again = decide(promised, failed.key, word("voided"), uuid4)
    assert (again.payment.state, again.payment.promised_minor) == ("authorised", 1000)
    assert names(again) == []
