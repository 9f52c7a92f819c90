"""Whatever payments and inventory say, in whatever order: an order ends in one way."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from merkato.contracts.inventory import ReservationLost
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from merkato.orders.domain import life
from merkato.orders.domain.life import State, Status

ABOUT = {"order_id": UUID(int=1), "payment_id": UUID(int=2), "amount_minor": 5, "currency": "EUR"}
VERDICTS = [
    PaymentAuthorised(**ABOUT, method="card"),
    PaymentCaptured(**ABOUT),
    PaymentDeclined(**ABOUT, attempt=1, reason="no"),
    PaymentDeclined(**ABOUT, attempt=1, reason="no", final=True),
    PaymentActionRequired(**ABOUT, attempt=1, url="https://bank.example"),
    PaymentVoided(**ABOUT),
    PaymentRefunded(**ABOUT, refund_id=UUID(int=3), refunded_total_minor=5),
    ReservationLost(order_id=UUID(int=1), lines=()),
    "cancel",
]
NEW = State(
    order_id=UUID(int=1), status=Status.PLACED, payment_status="due", payment_method="card",
    reason=None, steps=1, grand_minor=5, credited_minor=0,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(VERDICTS), max_size=25))
def test_an_order_has_one_first_verdict_and_ends_once(verdicts):
    state, moves, given_back = NEW, [], 0
    for n, verdict in enumerate(verdicts):
        before = state
        step = (
            life.cancel(state, "customer") if verdict == "cancel" else life.advance(state, verdict)
        )
        if step is None:
            continue
        state = step.after
        assert state.steps == before.steps + 1
        assert step.moved == (state.status is not before.status)
        assert 0 <= state.credited_minor <= state.grand_minor
        given_back += step.credit_minor
        if step.moved:
            moves.append(state.status)
        assert state.order_id == before.order_id, n
    assert moves in (
        [], [Status.CONFIRMED], [Status.CANCELLED], [Status.CONFIRMED, Status.CANCELLED]
    )  # fmt: skip
    assert given_back == state.credited_minor
    assert (given_back == 5) == (moves == [Status.CONFIRMED, Status.CANCELLED])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(VERDICTS), max_size=12))
def test_hearing_everything_twice_moves_nothing_more(verdicts):
    def told(sequence):
        state, moves = NEW, 0
        for verdict in sequence:
            step = life.cancel(state, "x") if verdict == "cancel" else life.advance(state, verdict)
            if step is not None:
                state, moves = step.after, moves + step.moved
        return state.status, moves

    once = told(verdicts)
    twice = told([verdict for verdict in verdicts for _ in range(2)])
    assert once == twice
