"""Tests of amounts of money: every place has the digits after the point that ISO 4217 gives.

CLDR has fewer for some currencies: nobody carries a hundredth of a Serbian dinar.
"""

from decimal import Decimal
from itertools import product

import pytest
from babel import Locale
from babel.numbers import format_currency, list_currencies, parse_decimal

from merkato.admin import templates as admin
from merkato.admin.domain import goods
from merkato.catalog.domain.amounts import parse_amount, write_amount
from merkato.contracts.money import money
from merkato.contracts.values import digits
from merkato.storefront import templates as storefront

CURRENCIES = sorted(list_currencies())
MINOR = 1_234_567


@pytest.mark.parametrize(
    ("currency", "places"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("RSD", 2), ("IQD", 3), ("MGA", 2), ("ISK", 0),
     ("LBP", 2), ("CLF", 4), ("UGX", 0), ("HUF", 2), ("TWD", 2)],
)  # fmt: skip
def test_digits_are_those_of_iso_4217(currency, places):
    assert digits(currency) == places


@pytest.mark.parametrize("locale", storefront.LOCALES)
def test_every_place_reads_and_writes_the_same_amount(locale):
    for currency in CURRENCIES:
        typed = write_amount(MINOR, currency)
        assert Decimal(typed).scaleb(digits(currency)) == MINOR, currency
        assert goods.plain(MINOR, currency) == typed
        assert parse_amount(typed, currency) == goods.minor(typed, currency) == MINOR
        number = storefront.number(MINOR, currency, locale)
        assert storefront.minor_units(number, currency) == MINOR, currency


@pytest.mark.parametrize("locale", ["en", "de", "en-GB", "en-IN", "de-AT", "de-CH"])
def test_money_is_written_with_all_its_digits(locale):
    region = Locale.parse(locale, sep="-")
    for currency, minor in product(CURRENCIES, (0, 5, MINOR, 129_000)):
        figures = "".join(c for c in money(minor, currency, region) if c.isdigit() or c in ".,’")
        read = parse_decimal(figures.strip(".,"), locale=region)
        assert (read.scaleb(digits(currency)), -read.as_tuple().exponent) == (
            minor, digits(currency),
        )  # fmt: skip


@pytest.mark.parametrize("locale", ["en", "de", "en-GB", "en-IN", "de-AT", "de-CH", "fr"])
@pytest.mark.parametrize(("currency", "places"), [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3)])
def test_what_cldr_agrees_about_looks_as_it_has_it(currency, places, locale):
    region = Locale.parse(locale, sep="-")
    for minor in (0, 5, MINOR, -129_000):
        amount = Decimal(minor).scaleb(-places)
        assert money(minor, currency, region) == format_currency(amount, currency, locale=region)


def test_a_dinar_has_its_hundredths_in_every_language():
    assert money(129_000, "RSD", "de") == "1.290,00\xa0RSD"
    assert admin.money(129_000, "RSD") == money(129_000, "RSD", "en") == "RSD1,290.00"
