"""What becomes of the rows of a file: kinds, orders, credits, prices; none lost, none double."""

import csv
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merkato.replay.back import Back, Line
from merkato.replay.countries import country
from merkato.replay.files import read
from merkato.replay.kinds import BACK, SALES, Kind
from merkato.replay.plan import Sale, key, plan, prefix
from merkato.replay.rows import Row, Unfit, Unreadable, parse

FILE = Path(__file__).with_name("invoices.csv")
HEADING = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price",
           "Customer ID", "Country"]  # fmt: skip
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def ours():
    """The plan of a small file of our own."""
    return plan(read(FILE), FILE.name, 2)


def test_every_row_is_of_one_kind(ours):
    counted = {kind: (s.rows, s.units, s.money) for kind, s in ours.sums.items() if s.rows}
    assert counted == {
        Kind.GOODS: (6, 24, Decimal("47.25")),
        Kind.OTHER_GOODS: (1, 1, Decimal("16.67")),
        Kind.POSTAGE: (2, 3, Decimal("34.95")),
        Kind.GOODS_BACK: (5, -19, Decimal("-32.65")),
        Kind.POSTAGE_BACK: (1, -1, Decimal("-6.00")),
        Kind.MANUAL: (1, 1, Decimal("3.00")),
        Kind.CHARGE: (1, 1, Decimal("15.00")),
        Kind.FREE: (1, 1, Decimal(0)),
        Kind.STOCK_NOTE: (1, -12, Decimal(0)),
        Kind.PART_OF_A_PENNY: (1, 1, Decimal("0.001")),
        Kind.ADJUSTMENT: (1, 1, Decimal("-11062.06")),
        Kind.IRREGULAR: (1, -1, Decimal("-2.75")),
        Kind.UNREADABLE: (1, 0, Decimal(0)),
    }
    [unreadable] = ours.unreadable
    assert (unreadable.number, unreadable.why) == (21, "quantity 'many'")


def test_sales_merge_lines_of_one_sku_at_one_price(ours):
    sale = next(step for step in ours.steps if step.reference == "invoices-7001")
    assert sale.lines == (Line("10001", 1, 210), Line("10001", 8, 255))
    assert (sale.shipping_minor, sale.country, sale.customer) == (495, "DE", "C-17")
    assert sale.at == datetime(2024, 2, 28, 9, 15, tzinfo=UTC)


def test_spellings_of_a_code_are_one_sku(ours):
    sale = next(step for step in ours.steps if step.reference == "invoices-7002")
    assert (sale.lines, sale.country, sale.customer) == ((Line("20002A", 11, 125),), "IE", None)


def test_postage_alone_is_an_order_of_nothing_but_shipping(ours):
    sale = next(step for step in ours.steps if step.reference == "invoices-7005")
    assert (sale.lines, sale.shipping_minor) == ((), 3000)


def test_what_is_taken_back_and_how(ours):
    taken = {
        step.reference: (step.way, step.lines, step.shipping_minor)
        for step in ours.steps
        if not isinstance(step, Sale)
    }
    assert taken == {
        "invoices-C7003-7001-cancellation": ("cancellation", (Back("10001", 255, 3, 765),), 0),
        # four at the price of the note, then the newest of another: never more than was paid
        "invoices-C7007-7006-return": ("return", (Back("10001", 275, 4, 1_100),), 0),
        "invoices-C7007-7001-return": ("return", (Back("10001", 255, 1, 255),), 0),
        "invoices-C7007-7001-credit": ("credit", (), 495),
        # less than was paid: money alone; four more were never bought
        "invoices-C7017-7001-credit": (
            "credit",
            (Back("10001", 210, 1, 100), Back("10001", 255, 4, 400)),
            0,
        ),
    }


def test_list_prices_are_the_most_frequent_of_a_day(ours):
    good = ours.goods["10001"]
    assert (good.title, good.unit_minor) == ("TIN OF OATCAKES", 255)
    assert [(c.day, c.sku, c.unit_minor) for c in ours.changes] == [
        (date(2024, 3, 1), "10001", 275)
    ]


def test_steps_come_in_order_of_time(ours):
    assert [step.at for step in ours.steps] == sorted(step.at for step in ours.steps)


@pytest.mark.parametrize(
    ("name", "said"),
    [("online_retail.csv.gz", "online-retail"), ("Online Retail II.xlsx", "online-retail-ii"),
     ("a.b.csv", "a"), ("§.csv", "file")],
)  # fmt: skip
def test_the_prefix_of_references_is_the_file_s_name(name, said):
    assert prefix(name) == said


def test_a_key_is_the_reference_where_it_can_be():
    assert key("online-retail-536365") == "online-retail-536365"
    assert key("a-1") != key("a-2")
    assert key("a-1").startswith("replay-")


def test_names_of_countries():
    names = ("United Kingdom", "EIRE", "RSA", "Channel Islands", "Hong Kong", "Unspecified")
    assert [country(name) for name in names] == ["GB", "IE", "ZA", "JE", "HK", "ZZ"]


@pytest.mark.parametrize("cell", ["nan", "inf", "1e99", "", "1.5", "2000000", "٣" * 40])
def test_a_quantity_that_is_none_is_unreadable(cell):
    line = ["1", "10001", "x", cell, "2024-03-01", "1", "", ""]
    [row] = parse([HEADING, line])
    assert isinstance(row, Unreadable)


@pytest.mark.parametrize("cell", ["2024-13-01", "yesterday", "", "0000-01-01"])
def test_a_time_that_is_none_is_unreadable(cell):
    [row] = parse([HEADING, ["1", "10001", "x", "1", cell, "1", "", ""]])
    assert isinstance(row, Unreadable)


def test_the_forms_in_which_the_file_was_published_are_all_read():
    cells = ["536365", "85123A", "LANTERN ", 6.0, "12/1/2010 8:26", 2.55, 17850.0, "France"]
    [row] = parse([HEADING, cells])
    assert row == Row(
        1, "536365", "85123A", "LANTERN", 6, datetime(2010, 12, 1, 8, 26, tzinfo=UTC),
        Decimal("2.55"), "17850", "France",
    )  # fmt: skip


def test_a_file_of_something_else_is_refused():
    with pytest.raises(Unfit, match="invoiceno, stockcode"):
        list(parse([["id", "title"], ["1", "x"]]))


def test_an_empty_file_is_refused():
    with pytest.raises(Unfit):
        list(parse([]))


codes = st.sampled_from(["10001", "10002a", "10002A", "POST", "M", "gift_1", "B"])
invoices = st.one_of(
    st.integers(1, 6).map(str), st.integers(1, 4).map(lambda n: f"C{n}"), st.just("A1")
)
prices = st.sampled_from(["0", "1.00", "2.5", "2.55", "0.001", "-1", "12"])
rows = st.builds(
    lambda invoice, code, quantity, minutes, price, customer: [
        invoice, code, "x", str(quantity), f"2024-03-0{1 + minutes // 60}T12:{minutes % 60:02}",
        price, customer, "France",
    ],
    invoices, codes, st.integers(-9, 30), st.integers(0, 299), prices,
    st.sampled_from(["", "a", "b"]),
)  # fmt: skip


@given(st.lists(rows, max_size=60))
def test_nothing_is_lost_or_doubled(lines):
    made = plan(parse([HEADING, *lines]), "x.csv", 2)
    read_ = [row for row in parse([HEADING, *lines]) if isinstance(row, Row)]
    assert sum(s.rows for s in made.sums.values()) == len(lines)
    assert sum(s.money for s in made.sums.values()) == sum((r.money for r in read_), Decimal(0))
    assert sum(s.units for s in made.sums.values()) == sum(r.quantity for r in read_)
    sales = [step for step in made.steps if isinstance(step, Sale)]
    for kind in SALES:  # each row of a sale is in one order, with all its money
        booked = [sale.sums[kind] for sale in sales if kind in sale.sums]
        assert sum(s.rows for s in booked) == made.sums[kind].rows
        assert sum((s.money for s in booked), Decimal(0)) == made.sums[kind].money
    whole = sum(sale.items_minor + sale.shipping_minor for sale in sales)
    assert whole == sum((made.sums[kind].money for kind in SALES), Decimal(0)) * 100


@given(st.lists(rows, max_size=60))
def test_never_more_is_taken_back_than_was_sold(lines):
    made = plan(parse([HEADING, *lines]), "x.csv", 2)
    left, money, seen = defaultdict(int), defaultdict(int), {}
    noted = {r.number: r for r in parse([HEADING, *lines]) if isinstance(r, Row)}
    taken, closed = defaultdict(lambda: [0, 0]), set()
    for step in made.steps:
        if isinstance(step, Sale):
            seen[step.reference] = step
            money[step.reference] = step.items_minor + step.shipping_minor
            for line in step.lines:
                left[step.reference, line.sku, line.unit_minor] += line.quantity
            continue
        sale = seen[step.sale]  # it was sold before, to the same customer
        assert sale.customer == step.customer
        assert (step.way == "cancellation") <= (sale.at.date() == step.at.date())
        money[step.sale] -= step.amount_minor
        assert money[step.sale] >= 0
        assert step.amount_minor == sum(piece.minor for piece in step.pieces)
        for back in step.lines:
            at = (step.sale, back.sku, back.unit_minor)
            left[at] -= back.quantity
            assert left[at] >= 0
            assert at not in closed
            if step.way == "credit":
                assert back.amount_minor < back.quantity * back.unit_minor
                closed.add(at)
            else:
                assert back.amount_minor == back.quantity * back.unit_minor
        for piece in step.pieces:
            assert piece.kind in BACK
            taken[piece.row][0] += piece.units
            taken[piece.row][1] += piece.minor
    for number, (units, minor) in taken.items():
        assert units <= -noted[number].quantity
        assert minor <= -noted[number].money * 100


@given(st.lists(rows, max_size=40))
def test_the_same_file_gives_the_same_plan(lines):
    assert plan(parse([HEADING, *lines]), "x.csv", 2) == plan(parse([HEADING, *lines]), "x.csv", 2)


def test_a_gap_at_the_end_of_a_line_is_read_as_empty():
    [row] = parse([HEADING, ["1", "10001", "x", "1", "2024-03-01", "1"]])
    assert (row.customer, row.country) == (None, "Unspecified")


def test_our_file_is_wide(ours):
    with FILE.open(newline="") as file:
        assert len(next(csv.reader(file))) == len(HEADING) + 1  # a column nobody asked for
