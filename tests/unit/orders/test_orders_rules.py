"""An order's life, its number and its id."""

import re
from uuid import UUID, uuid4

import msgspec
import pytest

from merkato.chassis.ids import derived_id
from merkato.contracts.inventory import ReservationLost
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from merkato.contracts.problem import StateConflict, Validation
from merkato.orders.domain import life
from merkato.orders.domain.life import State, Status
from merkato.orders.domain.placing import (
    ALPHABET,
    Goods,
    PlaceOrder,
    drawn,
    merged,
    number,
    order_digest,
    pieces,
)

ABOUT = {"order_id": uuid4(), "payment_id": uuid4(), "amount_minor": 1_000, "currency": "EUR"}
AUTHORISED = PaymentAuthorised(**ABOUT, method="card")
CAPTURED = PaymentCaptured(**ABOUT)
DECLINED = PaymentDeclined(**ABOUT, attempt=1, reason="no money")
FINAL = PaymentDeclined(**ABOUT, attempt=1, reason="fraud", final=True)
ACTION = PaymentActionRequired(**ABOUT, attempt=1, url="https://bank.example")
VOIDED = PaymentVoided(**ABOUT)
REFUNDED = PaymentRefunded(**ABOUT, refund_id=uuid4(), refunded_total_minor=1_000)
LOST = ReservationLost(order_id=ABOUT["order_id"], lines=())


def state(status=Status.PLACED, payment="due", **more):
    fields = {
        "order_id": ABOUT["order_id"], "status": status, "payment_status": payment,
        "payment_method": "card", "reason": None, "steps": 3, "grand_minor": 1_000,
        "credited_minor": 0, **more,
    }  # fmt: skip
    return State(**fields)


PARTLY_SETTLED = state(
    Status.CANCELLED, "refunded", captured_minor=500, refunded_minor=500, credited_minor=1_000
)


@pytest.mark.parametrize(
    ("before", "verdict", "status", "payment"),
    [
        (state(), AUTHORISED, "confirmed", "authorised"),
        (state(), CAPTURED, "confirmed", "paid"),
        (state(), FINAL, "cancelled", "due"),
        (state(), LOST, "cancelled", "due"),
        (state(), DECLINED, "placed", "declined"),
        (state(), ACTION, "placed", "action_required"),
        (state(payment="declined"), CAPTURED, "confirmed", "paid"),
        (state(Status.CONFIRMED, "authorised"), CAPTURED, "confirmed", "paid"),
        (state(Status.CONFIRMED, "paid"), LOST, "cancelled", "paid"),
        (state(Status.CANCELLED, "paid"), REFUNDED, "cancelled", "refunded"),
        (state(Status.CANCELLED, "authorised"), VOIDED, "cancelled", "voided"),
        (PARTLY_SETTLED, VOIDED, "cancelled", "refunded"),
    ],
)
def test_verdicts_move_an_order_on(before, verdict, status, payment):
    step = life.advance(before, verdict)
    assert (step.after.status, step.after.payment_status) == (status, payment)
    assert step.after.steps == before.steps + 1
    assert step.moved == (before.status != status)


@pytest.mark.parametrize("verdict", [AUTHORISED, CAPTURED, DECLINED, FINAL, ACTION, LOST])
def test_a_cancelled_order_stays_cancelled(verdict):
    step = life.advance(state(Status.CANCELLED), verdict)
    assert step is None or not step.moved


@pytest.mark.parametrize("verdict", [AUTHORISED, DECLINED, FINAL, ACTION])
def test_a_confirmed_order_is_not_undone_by_late_news(verdict):
    step = life.advance(state(Status.CONFIRMED, "paid"), verdict)
    assert step is None or not step.moved


def test_cancelling_a_confirmed_order_credits_what_was_not_credited():
    step = life.cancel(state(Status.CONFIRMED, "paid", credited_minor=300), "customer")
    assert step.was_confirmed
    assert step.credit_minor == 700
    assert step.after.credited_minor == 1_000
    placed = life.cancel(state(), "customer")
    assert (placed.was_confirmed, placed.credit_minor) == (False, 0)
    assert life.cancel(state(Status.CANCELLED), "customer") is None
    with pytest.raises(StateConflict):
        life.cancel(state(Status.CONFIRMED, shipped=True), "customer")


def test_numbers_are_readable_and_check_themselves():
    seen = set()
    for bits in (*range(2_000), (1 << 40) - 1, 0x123456789A):
        text = number(bits)
        assert re.fullmatch(rf"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}-[{ALPHABET}*~$=U]", text)
        seen.add(text)
        digits = text[:4] + text[5:9]
        value = 0
        for digit in digits:
            value = value * 32 + ALPHABET.index(digit)
        assert value == bits
    assert len(seen) == 2_002
    assert number(5)[-1] != number(6)[-1]


def test_a_number_that_ends_in_a_sign_is_drawn_anew():
    bits = iter((34, 35, 36, 4))
    assert [number(n)[-1] for n in (34, 35, 36)] == ["$", "=", "U"]
    assert drawn(lambda _: next(bits)) == number(36)
    assert drawn(lambda _: next(bits)) == number(4)


def test_ids_come_from_principal_key_and_lines():
    def made(principal="user:1", key="k" * 16, lines=(("A", 1), ("B", 2))):
        return derived_id(order_digest(principal, key, dict(lines)))

    assert made() == made(lines=(("B", 2), ("A", 1)))
    others = {made(principal="user:2"), made(key="l" * 16), made(lines=(("A", 2), ("B", 2))),
              made(lines=(("A", 1),))}  # fmt: skip
    assert len(others | {made()}) == 5
    assert isinstance(made(), UUID)
    assert (made().version, made().variant) == (8, UUID(int=1 << 63).variant)


def goods(*lines):
    return [Goods(sku=sku, quantity=n, agreed_minor=agreed) for sku, n, agreed in lines]


def test_equal_skus_at_one_price_are_merged_and_sorted():
    lines = goods(("B", 1, None), ("A", 2, 5), ("B", 3, None), ("A", 1, None), ("A", 1, 5))
    assert list(merged(lines)) == goods(("A", 1, None), ("A", 3, 5), ("B", 4, None))
    assert list(pieces(lines).items()) == [("A", 4), ("B", 4)]
    with pytest.raises(Validation):
        pieces(goods(("A", 1_000_000, None), ("A", 1, 5)))
    with pytest.raises(Validation):
        merged([])


def test_a_request_without_the_newer_fields_keeps_its_fingerprint():
    body = b'{"lines": [{"sku": "A", "quantity": 1}], "payment": {"method": "on_account"}}'
    written = msgspec.to_builtins(msgspec.json.decode(body, type=PlaceOrder))
    assert set(written) == {
        "cart_id", "cart_version", "lines", "currency", "locale", "contact", "shipping_address",
        "billing_address", "shipping_method", "expected_total", "payment", "metadata",
    }  # fmt: skip
    assert set(written["lines"][0]) == {"sku", "quantity"}
