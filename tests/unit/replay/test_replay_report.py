"""The closing report: what is booked, left and skipped adds up, and a difference is seen."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from merkato.replay.files import read
from merkato.replay.kinds import Kind
from merkato.replay.plan import Sale, plan
from merkato.replay.report import report
from merkato.replay.running import Order, limited

FILE = Path(__file__).with_name("invoices.csv")


@pytest.fixture(scope="module")
def ours():
    return plan(read(FILE), FILE.name, 2)


def booked(ours, limit=None):
    """What a shop has in which the first documents were played."""
    steps = limited(ours, limit)
    back = {}
    for step in steps:
        if not isinstance(step, Sale):
            back[step.sale] = back.get(step.sale, 0) + step.amount_minor
    orders = {
        step.reference: Order(
            id=step.invoice, status="confirmed", currency="GBP",
            grand_minor=step.items_minor + step.shipping_minor,
            shipping_minor=step.shipping_minor, credited_minor=back.get(step.reference, 0),
            reference=step.reference,
        )
        for step in steps
        if isinstance(step, Sale)
    }  # fmt: skip
    credited = {s.reference: s.amount_minor for s in steps if not isinstance(s, Sale)}
    return steps, orders, credited


def made(ours, limit=None, *, sales=None, refused=None, change=lambda orders, credited: None):
    steps, orders, credited = booked(ours, limit)
    change(orders, credited)
    return report(ours, steps, orders, credited, refused or {}, sales or {}, 2)


@pytest.mark.parametrize("limit", [None, *range(1, 11)])
def test_every_row_is_booked_left_or_skipped(ours, limit):
    said = made(ours, limit)
    assert said.exact, said
    for one in said.fates:
        rows = one.booked_rows + one.in_part_rows + one.left_rows + one.skipped_rows
        assert rows == one.rows
        assert one.booked_units + one.left_units + one.skipped_units == one.units
        assert one.booked_money + one.left_money + one.skipped_money == one.money
        assert min(one.booked_rows, one.in_part_rows, one.left_rows, one.skipped_rows) >= 0


def test_whole_and_in_part(ours):
    back = next(one for one in made(ours).fates if one.kind is Kind.GOODS_BACK)
    assert (back.booked_rows, back.in_part_rows, back.skipped_rows) == (2, 1, 2)
    assert back.booked_money == Decimal("-26.20")


def test_an_order_that_cost_something_else_is_seen(ours):
    def change(orders, credited):
        order = orders["invoices-7001"]
        orders["invoices-7001"] = replace(order, grand_minor=order.grand_minor + 1)

    said = made(ours, change=change)
    assert not said.exact
    [differs] = said.differing
    assert differs.startswith("invoices-7001: goods 2251")


def test_a_credit_that_is_missing_or_strange_is_seen(ours):
    said = made(ours, change=lambda orders, credited: credited.popitem())
    assert not said.exact  # the orders say that they were credited
    said = made(ours, change=lambda orders, credited: credited.update({"invoices-X": 1}))
    assert "invoices-X is not in the file" in said.differing


def test_what_was_refused_is_skipped(ours):
    def change(orders, credited):
        del orders["invoices-7004"]

    said = made(ours, change=change, refused={"invoices-7004": "no"})
    assert said.exact  # the shop has what is booked; the rest is told
    other = next(one for one in said.fates if one.kind is Kind.OTHER_GOODS)
    assert (other.booked_rows, other.skipped_money) == (0, Decimal("16.67"))


def test_reports_of_the_shop_are_compared(ours):
    whole = {"month": {"2024-02": 2_250 + 495 + 1_375 + 1_667 + 3_000, "2024-03": 1_100}}
    assert made(ours, sales=whole).exact
    wrong = {"month": whole["month"] | {"2024-03": 1_099}}
    assert not made(ours, sales=wrong).exact
