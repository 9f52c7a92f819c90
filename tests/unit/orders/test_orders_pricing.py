"""What a basket costs."""

from datetime import UTC, date, datetime

import pytest
from unit.orders.baskets import NOW, asked, coupon, method, offer, priced, terms

from merkato.contracts.catalog import Price
from merkato.contracts.problem import UnknownProduct, Validation
from merkato.orders.domain.coupons import CouponInvalid
from merkato.orders.domain.pricing import quote, share, spread
from merkato.orders.domain.terms import CannotBeSent, TaxRate, WeightStep
from merkato.orders.domain.terms import terms as gathered


@pytest.mark.parametrize(
    ("amount", "rate", "included", "net", "tax"),
    [(119, 1_900, True, 100, 19), (50, 1_000, False, 50, 5), (5, 1_000, False, 5, 1),
     (15, 1_000, False, 15, 2), (1, 1_900, True, 1, 0), (0, 1_900, True, 0, 0),
     (10**12, 0, True, 10**12, 0)],
)  # fmt: skip
def test_tax_is_rounded_half_up(amount, rate, included, net, tax):
    got = share(amount, rate, tax_included=included)
    assert (got.net_minor, got.tax_minor, got.gross_minor) == (net, tax, net + tax)


def test_the_largest_step_that_is_reached_counts():
    steps = tuple(
        Price(currency="EUR", amount_minor=amount, from_quantity=n)
        for n, amount in ((1, 100), (10, 90), (100, 80))
    )
    for quantity, unit in ((1, 100), (9, 100), (10, 90), (99, 90), (100, 80), (5_000, 80)):
        [line] = priced([(offer(prices=steps), quantity)]).lines
        assert (line.unit_price_minor, line.list_price_minor) == (unit, 100)


def test_what_is_not_sold_here_is_refused():
    for one in (offer(active=False), offer(prices=()), offer(currency="USD")):
        with pytest.raises(UnknownProduct):
            priced([(one, 1)])


def test_the_newest_rate_in_force_counts():
    table = [
        TaxRate(country="DE", tax_class="standard", basis_points=bp, valid_from=day)
        for bp, day in ((1_900, date(2000, 1, 1)), (1_600, date(2020, 7, 1)),
                        (2_100, date(2030, 1, 1)))
    ]  # fmt: skip
    at = gathered(table, ())
    for day, bp in ((date(2020, 6, 30), 1_900), (date(2020, 7, 1), 1_600), (NOW.date(), 1_600)):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        assert priced([(offer(), 1)], at=at, now=noon).lines[0].share.rate_bp == bp
    assert priced([(offer(), 1)], at=at, country="US").tax_minor == 0
    assert priced([(offer(), 1)], at=at, country=None).tax_minor == 0


def test_shipping_is_free_from_a_sum_on_and_goes_where_it_goes():
    at = terms(methods=[method(free_from={"EUR": 2_000}, countries=("DE",))])
    assert priced([(offer(), 1)], at=at, shipping="standard").shipping.gross_minor == 490
    assert priced([(offer(), 2)], at=at, shipping="standard").shipping.gross_minor == 0
    with pytest.raises(Validation):
        priced([(offer(), 1)], at=at, shipping="standard", country="FR")
    with pytest.raises(Validation):
        priced([(offer(), 1)], at=at, shipping="pigeon")


def test_an_order_has_a_largest_sum():
    with pytest.raises(Validation):
        priced([(offer(amount=10**9), 1_001)])
    assert priced([(offer(amount=10**6), 10**6)]).grand_minor == 10**12


def listed(amount, price_list="standard", from_quantity=1, included=True):
    return Price(
        currency="EUR", amount_minor=amount, price_list=price_list, from_quantity=from_quantity,
        tax_included=included,
    )  # fmt: skip


def test_a_list_of_its_own_counts_before_the_standard_one():
    both = (listed(100), listed(80, from_quantity=10), listed(90, "trade"))
    only = offer(prices=both), offer("B", prices=(listed(70),))
    for quantity in (1, 10):
        got = priced([(one, quantity) for one in only], price_list="trade")
        told = [(line.price_list, line.unit_price_minor) for line in got.lines]
        assert told == [("trade", 90), ("standard", 70)]
    assert priced([(only[0], 10)]).lines[0].unit_price_minor == 80


def test_a_list_without_tax_adds_it():
    net = offer(prices=(listed(1_000, "trade", included=False), listed(1_190)))
    got = priced(
        [(net, 2)], price_list="trade", at=terms(methods=[method(100)]), shipping="standard"
    )
    assert not got.tax_included
    assert (got.items_minor, got.tax_minor, got.grand_minor) == (2_000, 399, 2_499)
    assert priced([(net, 2)]).grand_minor == 2_380


def test_prices_with_tax_and_without_are_not_mixed():
    with pytest.raises(Validation):
        priced([(offer(), 1), (offer("B", included=False), 1)])


def test_weight_has_steps_and_an_end():
    steps = (WeightStep(from_g=1_000, prices={"EUR": 900}),
             WeightStep(from_g=5_000, prices={"EUR": 2_000, "USD": 1}))  # fmt: skip
    at = terms(methods=[method(weight_steps=steps, weight_max_g=10_000)])
    brick = offer(weight_g=500)
    for quantity, cost in ((1, 490), (2, 900), (9, 900), (10, 2_000), (20, 2_000)):
        got = priced([(brick, quantity)], at=at, shipping="standard")
        assert got.shipping.gross_minor == cost
    with pytest.raises(CannotBeSent):
        priced([(brick, 21)], at=at, shipping="standard")
    with pytest.raises(CannotBeSent):
        priced([(offer(currency="GBP"), 1)], at=at, shipping="standard", currency="GBP")


def test_free_from_counts_what_is_paid_for_the_goods():
    at = terms(methods=[method(free_from={"EUR": 1_000})])
    assert priced([(offer(), 1)], at=at, shipping="standard").shipping.gross_minor == 0
    less = priced([(offer(), 1)], at=at, shipping="standard", coupon=coupon())
    assert less.shipping.gross_minor == 490


@pytest.mark.parametrize(
    ("amount", "over", "parts"),
    [(10, [1, 1, 1, 97], [0, 0, 0, 10]), (100, [1, 1, 1], [34, 33, 33]), (2, [1, 1, 1], [1, 1, 0]),
     (0, [5, 5], [0, 0]), (10, [5, 5], [5, 5]), (7, [0, 10, 0], [0, 7, 0]), (0, [0, 0], [0, 0]),
     (0, [], []), (5, [3, 3], [3, 2])],
)  # fmt: skip
def test_parts_are_spread_by_largest_remainder(amount, over, parts):
    assert spread(amount, over) == parts


def test_a_discount_is_spread_and_taxed_per_line():
    at = terms([("DE", "standard", 1_900), ("DE", "reduced", 700)])
    goods = [(offer("A", 999), 1), (offer("B", 333, tax_class="reduced"), 2)]
    got = priced(goods, at=at, coupon=coupon(basis_points=1_250))
    assert (got.items_minor, got.discount_minor) == (1_665, 208)
    assert [line.discount_minor for line in got.lines] == [125, 83]
    assert [line.share.gross_minor for line in got.lines] == [874, 583]
    assert [line.share.tax_minor for line in got.lines] == [140, 38]
    assert [(one.line_no, one.amount_minor) for one in got.adjustments] == [(1, 125), (2, 83)]
    assert got.grand_minor == 1_457


def test_a_fixed_amount_is_never_more_than_the_goods():
    got = priced([(offer(), 1)], coupon=coupon("fixed", amounts={"EUR": 5_000}))
    assert (got.discount_minor, got.grand_minor) == (1_000, 0)
    some = priced([(offer(), 1)], coupon=coupon("fixed", amounts={"EUR": 250}))
    assert (some.discount_minor, some.grand_minor) == (250, 750)


def test_free_shipping_takes_off_the_shipping_alone():
    at = terms(methods=[method()])
    got = priced([(offer(), 1)], at=at, shipping="standard", coupon=coupon("free_shipping"))
    assert (got.discount_minor, got.shipping.gross_minor, got.grand_minor) == (0, 0, 1_000)
    assert [(one.line_no, one.amount_minor) for one in got.adjustments] == [(None, 490)]


LATER, EARLIER = datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (coupon(valid_from=LATER), "not-yet-valid"),
        (coupon(valid_until=EARLIER), "expired"),
        (coupon(valid_until=NOW), "expired"),
        (coupon(minimum={"EUR": 1_001}), "minimum-not-reached"),
        (coupon("fixed", amounts={"USD": 1}), "currency"),
        (coupon(archived=True), "unknown"),
    ],
)
def test_a_coupon_that_does_not_fit_is_refused_and_left_out_of_a_quote(one, reason):
    with pytest.raises(CouponInvalid) as refused:
        priced([(offer(), 1)], coupon=one)
    assert refused.value.members["reason"] == reason
    got = quote(asked([(offer(), 1)], coupon=one), terms(), NOW)
    assert (got.coupon_refusal, got.priced.coupon, got.priced.grand_minor) == (reason, None, 1_000)


def test_a_coupon_is_valid_up_to_its_edges():
    edge = coupon(valid_from=NOW, valid_until=LATER, minimum={"EUR": 1_000, "USD": 1})
    assert priced([(offer(), 1)], coupon=edge).discount_minor == 100


def test_a_quote_of_what_cannot_be_ordered_in_one_has_no_prices_and_says_why():
    net = Price(currency="EUR", amount_minor=900, tax_included=False)
    for items, said in (
        ([(offer(), 1), (offer("B", prices=(net,)), 1)], "ordered apart"),
        ([(offer(amount=10**7), 10**6)], "at most 1000000000000"),
    ):
        got = quote(asked(items, shipping="standard", coupon=coupon()), terms(), NOW)
        assert said in got.refusal.detail
        assert (got.priced.lines, got.priced.grand_minor) == ((), 0)


def test_a_quote_leaves_out_what_cannot_be_bought_or_sent():
    at = terms(methods=[method(countries=("FR",))])
    wish = asked([(offer(), 1), (offer("B", active=False), 1)], shipping="standard")
    got = quote(wish, at, NOW).priced
    assert [line.offer.sku for line in got.lines] == ["A"]
    assert (got.shipping_method, got.grand_minor) == (None, 1_000)
