"""What is given back for pieces and out of goodwill: the parts sum to what was paid."""

import random
from decimal import ROUND_HALF_UP, Decimal

import pytest
from msgspec.structs import replace

from merkato.contracts.problem import StateConflict, Validation
from merkato.orders.domain import credits, goods
from merkato.orders.domain.credits import Money, MoneyWish
from merkato.orders.domain.goods import Goods, Wish

SHIPPING = Money(gross_minor=490, tax_minor=78)
NONE = Money(gross_minor=0, tax_minor=0)


def line(n=1, quantity=3, gross=1_000, tax=160, **more):
    return Goods(line_no=n, sku=f"S{n}", title="", quantity=quantity, tracked=True, tax_minor=tax,
                 gross_minor=gross, **more)  # fmt: skip


def test_three_pieces_given_back_one_by_one_are_the_whole():
    lines, taken = {1: line(shipped=3)}, []
    for _ in range(3):
        [part] = credits.for_pieces(lines, {1: 1}, NONE, "keep")
        taken.append((part.gross_minor, part.tax_minor, part.net_minor))
        [booked] = credits.book(lines, [part])
        lines[1] = replace(booked, returned=booked.returned + 1)
    assert [gross for gross, _, _ in taken] == [333, 333, 334]
    assert [sum(column) for column in zip(*taken, strict=True)] == [1_000, 160, 840]


def test_one_of_three_leaves_two_thirds():
    [part] = credits.for_pieces({1: line(gross=3_000, tax=480)}, {1: 1}, NONE, "keep")
    assert (part.quantity, part.gross_minor, part.tax_minor, part.net_minor) == (1, 1_000, 160, 840)


def test_goodwill_lessens_what_a_piece_gives_back():
    lines = {1: line(quantity=2, gross=2_000, tax=0)}
    lines[1] = credits.book(
        lines, credits.of_lines(lines, [MoneyWish(line_no=1, amount_minor=500)], NONE, 0)
    )[0]
    [part] = credits.for_pieces(lines, {1: 1}, NONE, "keep")
    assert part.gross_minor == 750


def test_shipping_goes_back_with_the_last_piece_only():
    lines = {1: line(quantity=2), 2: line(2, quantity=1, gross=500, tax=80)}
    assert [p.line_no for p in credits.for_pieces(lines, {1: 2}, SHIPPING, None)] == [1]
    [*_, last] = credits.for_pieces(lines, {1: 2, 2: 1}, SHIPPING, None)
    assert (last.line_no, last.gross_minor, last.tax_minor, last.net_minor) == (0, 490, 78, 412)
    assert len(credits.for_pieces(lines, {1: 2, 2: 1}, SHIPPING, "keep")) == 2
    [*_, share] = credits.for_pieces(lines, {1: 2}, SHIPPING, "share")
    assert (share.line_no, share.gross_minor) == (0, 327)  # two thirds of the money


def test_no_more_than_is_left_is_given():
    lines = {1: line(credited_minor=900, credited_tax_minor=144)}
    with pytest.raises(StateConflict):
        credits.of_lines(lines, [MoneyWish(line_no=1, amount_minor=101)], SHIPPING, 0)
    with pytest.raises(StateConflict):
        credits.of_lines(lines, [], SHIPPING, 491)
    with pytest.raises(StateConflict):
        credits.of_order(lines, 591, SHIPPING)
    assert sum(p.gross_minor for p in credits.of_order(lines, 590, SHIPPING)) == 590
    with pytest.raises(Validation):
        credits.of_lines(lines, [MoneyWish(line_no=2, amount_minor=1)], SHIPPING, 0)
    twice = [MoneyWish(line_no=1, amount_minor=1)] * 2
    with pytest.raises(Validation):
        credits.of_lines(lines, twice, SHIPPING, 0)


class Basket:
    """A random order, credited at random."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.lines, self.given = {}, 0
        for n in range(1, self.chance.randint(2, 5)):
            gross = self.chance.choice([0, 1, 7, self.chance.randint(0, 10**9)])
            net = int((Decimal(gross) / Decimal("1.19")).to_integral_value(ROUND_HALF_UP))
            self.lines[n] = line(n, self.chance.randint(1, 40), gross, gross - net)
        self.shipping = Money(gross_minor=self.chance.randint(0, 900), tax_minor=0)
        self.paid = self.left

    @property
    def left(self):
        goods_left = sum(credits.left(one).gross_minor for one in self.lines.values())
        return goods_left + self.shipping.gross_minor

    @property
    def kept(self):
        return {n: one.kept for n, one in self.lines.items() if one.kept}

    def goodwill(self):
        if self.left:
            amount = self.chance.randint(1, self.left)
            self.book(credits.of_order(self.lines, amount, self.shipping), {})

    def cancel(self):
        pieces = {n: self.chance.randint(1, kept) for n, kept in self.kept.items()
                  if self.chance.random() < 0.7}  # fmt: skip
        how = self.chance.choice([None, "share"])
        self.book(credits.for_pieces(self.lines, pieces, self.shipping, how), pieces)

    def book(self, parts, pieces):
        for part in parts:
            assert min(part.net_minor, part.tax_minor, part.gross_minor) >= 0
            self.given += part.gross_minor
            if part.line_no == credits.SHIPPING:
                rest = self.shipping.gross_minor - part.gross_minor
                self.shipping = Money(gross_minor=rest, tax_minor=0)
        self.lines |= {one.line_no: one for one in credits.book(self.lines, parts)}
        for n, back in pieces.items():
            self.lines[n] = replace(self.lines[n], cancelled=self.lines[n].cancelled + back)
        for rest in map(credits.left, self.lines.values()):
            assert 0 <= rest.tax_minor <= rest.gross_minor
        assert self.given + self.left == self.paid


@pytest.mark.parametrize("seed", range(500))
def test_any_order_of_credits_sums_to_what_was_paid(seed):
    basket = Basket(seed)
    while basket.kept:
        basket.chance.choice([basket.goodwill, basket.cancel, basket.cancel])()
    assert (basket.given, basket.left) == (basket.paid, 0)


def test_spreading_is_by_largest_remainder():
    assert credits.spread(100, [1, 1, 1]) == [34, 33, 33]
    assert credits.spread(2, [5, 0, 5]) == [1, 0, 1]
    assert credits.spread(7, []) == []
    assert credits.spread(0, [0, 0]) == [0, 0]


def test_pieces_move_as_far_as_there_are_some():
    lines = {1: line(quantity=5), 2: line(2, quantity=1)}
    for change, room in ((goods.ship, 5), (goods.cancel, 5)):
        with pytest.raises(Validation):
            change(lines, [Wish(line_no=1, quantity=room + 1)])
        with pytest.raises(Validation):
            change(lines, [Wish(line_no=3, quantity=1)])
        with pytest.raises(Validation):
            change(lines, [Wish(line_no=1, quantity=1), Wish(line_no=1, quantity=1)])
    with pytest.raises(Validation):
        goods.announce(lines, [Wish(line_no=1, quantity=1)])
    assert [(g.shipped, n) for g, n in goods.ship(lines, None)] == [(5, 5), (1, 1)]
    with pytest.raises(Validation):
        goods.ship({1: line(quantity=1, shipped=1)}, None)


@pytest.mark.parametrize(
    ("counters", "status"),
    [
        ({}, "unfulfilled"),
        ({"cancelled": 3}, "unfulfilled"),
        ({"shipped": 1}, "partial"),
        ({"shipped": 1, "returned": 1}, "partial"),
        ({"shipped": 3}, "shipped"),
        ({"shipped": 2, "cancelled": 1}, "shipped"),
        ({"shipped": 3, "delivered": 2}, "shipped"),
        ({"shipped": 3, "delivered": 3}, "delivered"),
        ({"shipped": 3, "delivered": 3, "announced": 1}, "delivered"),
        ({"shipped": 3, "delivered": 3, "returned": 1}, "partly_returned"),
        ({"shipped": 3, "delivered": 3, "returned": 3}, "returned"),
    ],
)
def test_how_far_an_order_is(counters, status):
    lines = [line(**counters)]
    assert goods.fulfilment(lines) == status
    assert goods.complete(lines) == (counters.get("shipped", 0) + counters.get("cancelled", 0) == 3)
