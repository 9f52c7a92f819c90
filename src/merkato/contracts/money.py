"""Amounts of money as people of a locale write them."""

from copy import copy
from decimal import Decimal
from functools import lru_cache

from babel import Locale

from merkato.contracts.values import digits


@lru_cache(maxsize=20_000)
def money(minor: int, currency: str, locale: Locale | str) -> str:
    """Write an amount of minor units. Babel's own digits are CLDR's, and those differ from ours."""
    places, known = digits(currency), Locale.parse(locale)
    pattern = copy(known.currency_formats["standard"])
    pattern.frac_prec = (places, places)
    amount = Decimal(minor).scaleb(-places)
    return str(pattern.apply(amount, known, currency=currency, currency_digits=False))
