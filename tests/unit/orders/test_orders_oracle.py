"""Random baskets cost what another way of computing says: with decimals and fractions, by itself.

The oracle knows the rule and none of our functions: a discount of the goods, rounded half up,
spread by largest remainder; tax per line and for the shipping, rounded half up.
"""

import random
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from unit.orders.baskets import coupon, method, offer, priced, terms

RATES = (0, 260, 550, 700, 810, 1_000, 1_900, 2_000, 2_550)
CURRENCIES = ("EUR", "JPY", "KWD")  # 2, 0 and 3 digits: to whole minor units all the same
CLASSES = ("standard", "reduced", "none")
ONE = Decimal(1)


def rounded(amount):
    return int(amount.quantize(ONE, ROUND_HALF_UP))


def taxed(amount, rate_bp, included):
    """(net, tax) of an amount."""
    rate = Decimal(rate_bp) / 10_000
    if included:
        net = rounded(Decimal(amount) / (1 + rate))
        return net, amount - net
    return amount, rounded(Decimal(amount) * rate)


def parted(amount, over):
    """An amount in parts, each within one of its share, the largest remainders served first."""
    total = sum(over)
    exact = [Fraction(amount * one, total) if total else Fraction(0) for one in over]
    parts = [share.numerator // share.denominator for share in exact]
    while sum(parts) < amount:
        gaps = [share - part for share, part in zip(exact, parts, strict=True)]
        parts[gaps.index(max(gaps))] += 1
    return parts


def discounted(kind, worth, items):
    """What a coupon takes off the goods."""
    match kind:
        case "percent":
            return rounded(Decimal(items) * worth / 10_000)
        case "fixed":
            return min(worth, items)
        case _:
            return 0


def basket(dice):
    """A random basket: its goods and coupon, and all that the oracle needs of them."""
    currency, included = dice.choice(CURRENCIES), dice.random() < 0.5
    rates = {name: dice.choice(RATES) for name in CLASSES}
    lines = [
        (dice.randrange(0, 10 ** dice.randrange(1, 8)), dice.randrange(1, 60), dice.choice(CLASSES))
        for _ in range(dice.randrange(1, 7))
    ]
    kind = dice.choice((None, "percent", "percent", "fixed", "fixed", "free_shipping"))
    worth = dice.choice((1, 333, 1_000, 1_250, 5_000, 9_999, 10_000, dice.randrange(1, 10_001)))
    if kind == "fixed":
        worth = dice.randrange(1, 10 ** dice.randrange(1, 9))
    return currency, included, rates, lines, kind, worth, dice.randrange(0, 3_000)


def check(dice):
    currency, included, rates, lines, kind, worth, cost = basket(dice)
    said = {"percent": {"basis_points": worth}, "fixed": {"amounts": {currency: worth}}}
    got = priced(
        [(offer(f"S{n}", unit, currency, tax_class, included), quantity)
         for n, (unit, quantity, tax_class) in enumerate(lines)],
        at=terms([("DE", name, bp) for name, bp in rates.items()], [method(cost, currency)]),
        currency=currency, shipping="standard",
        coupon=coupon(kind, **said.get(kind, {})) if kind else None,
    )  # fmt: skip
    amounts = [unit * quantity for unit, quantity, _ in lines]
    items = sum(amounts)
    off = discounted(kind, worth, items)
    parts = parted(off, amounts)
    expected = [
        taxed(amount - part, rates[tax_class], included)
        for amount, part, (_, _, tax_class) in zip(amounts, parts, lines, strict=True)
    ]
    sent = taxed(0 if kind == "free_shipping" else cost, rates["standard"], included)
    assert [line.discount_minor for line in got.lines] == parts
    assert [(line.share.net_minor, line.share.tax_minor) for line in got.lines] == expected
    assert (got.shipping.net_minor, got.shipping.tax_minor) == sent
    assert (got.items_minor, got.discount_minor) == (items, off)
    assert got.tax_minor == sum(tax for _, tax in (*expected, sent))
    assert got.grand_minor == sum(net + tax for net, tax in (*expected, sent))
    taken = {one.line_no: one.amount_minor for one in got.adjustments}
    free = cost if kind == "free_shipping" else 0
    assert sum(taken.values()) == off + free
    assert taken.pop(None, 0) == free
    for n, line in enumerate(got.lines, 1):
        left = line.unit_price_minor * line.quantity - taken.get(n, 0)
        assert left == (line.share.gross_minor if included else line.share.net_minor)
        assert left >= 0


@pytest.mark.parametrize(
    ("seed", "baskets"), [(35, 5_000), pytest.param(36, 100_000, marks=pytest.mark.slow)]
)
def test_random_baskets_cost_what_decimals_say(seed, baskets):
    dice = random.Random(seed)
    with localcontext() as context:
        context.prec = 40
        for _ in range(baskets):
            check(dice)
