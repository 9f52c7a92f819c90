"""What a basket costs, against another way of computing it."""

import random
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest

from merkato.contracts.catalog import Price
from merkato.contracts.problem import UnknownProduct, Validation
from merkato.orders.domain.pricing import Item, Offer, ShippingMethod, TaxRate, Terms, price, share

RATES = (0, 260, 550, 700, 810, 1_900, 2_000, 2_550)
CURRENCIES = ("EUR", "JPY", "KWD")
TODAY = date(2026, 11, 22)


def offer(sku="A", amount=1_000, currency="EUR", tax_class="standard", included=True, **more):
    row = Price(currency=currency, amount_minor=amount, tax_included=included)
    fields = {
        "sku": sku, "version": 1, "active": True, "titles": {"en": sku}, "options": {},
        "image": None, "prices": (row,), "track_stock": True, "requires_shipping": True,
        "weight_g": 1, "tax_class": tax_class, **more,
    }  # fmt: skip
    return Offer(**fields)


def method(cost=490, currency="EUR", **more):
    fields = {
        "id": "standard", "titles": {}, "countries": None, "prices": {currency: cost},
        "free_from": {}, "days_min": 1, "days_max": 2, "tax_class": "standard", **more,
    }  # fmt: skip
    return ShippingMethod(**fields)


def terms(rates=(("DE", "standard", 1_900),), methods=(), valid_from=date(2000, 1, 1)):
    table = tuple(
        TaxRate(country=c, tax_class=t, basis_points=bp, valid_from=valid_from)
        for c, t, bp in rates
    )
    return Terms(table, tuple(methods))


def priced(wanted, *, at=None, currency="EUR", country="DE", shipping=None, on=TODAY):
    items = [Item(offer=one, quantity=quantity) for one, quantity in wanted]
    return price(
        items, currency=currency, locale="en", country=country, shipping_method=shipping,
        terms=at or terms(), on=on,
    )  # fmt: skip


def oracle(amount, rate_bp, included):
    """(net, tax) of an amount, in decimals."""
    rate, one = Decimal(rate_bp) / 10_000, Decimal(1)
    if included:
        net = (Decimal(amount) / (1 + rate)).quantize(one, ROUND_HALF_UP)
        return int(net), amount - int(net)
    return amount, int((Decimal(amount) * rate).quantize(one, ROUND_HALF_UP))


def test_random_baskets_cost_what_decimals_say():
    dice = random.Random(35)
    for _ in range(10_000):
        currency, included = dice.choice(CURRENCIES), dice.random() < 0.5
        classes = {name: dice.choice(RATES) for name in ("standard", "reduced", "none")}
        at = terms(
            [("DE", name, bp) for name, bp in classes.items()],
            [method(dice.randrange(0, 2_000), currency)],
        )
        lines = [
            (
                offer(f"S{n}", dice.randrange(0, 10 ** dice.randrange(1, 7)), currency,
                      dice.choice(list(classes)), included),
                dice.randrange(1, 50),
            )
            for n in range(dice.randrange(1, 6))
        ]  # fmt: skip
        got = priced(lines, at=at, currency=currency, shipping="standard")
        expected = []
        for (one, quantity), line in zip(lines, got.lines, strict=True):
            amount = one.prices[0].amount_minor * quantity
            net, tax = oracle(amount, classes[one.tax_class], included)
            assert (line.share.net_minor, line.share.tax_minor) == (net, tax)
            assert line.share.gross_minor == net + tax
            expected.append((amount, net, tax))
        cost = at.methods[0].prices[currency]
        net, tax = oracle(cost, classes["standard"], included)
        assert (got.shipping.net_minor, got.shipping.tax_minor) == (net, tax)
        assert got.items_minor == sum(amount for amount, _, _ in expected)
        assert got.tax_minor == tax + sum(one for _, _, one in expected)
        assert got.grand_minor == net + tax + sum(n + t for _, n, t in expected)


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
    at = Terms(tuple(table), ())
    for day, bp in ((date(2020, 6, 30), 1_900), (date(2020, 7, 1), 1_600), (TODAY, 1_600)):
        assert priced([(offer(), 1)], at=at, on=day).lines[0].share.rate_bp == bp
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
