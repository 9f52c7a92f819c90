"""Amounts of money as people write them, and what a price is called in a file."""

import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from merkato.catalog.domain.price_lists import STANDARD
from merkato.contracts.values import AMOUNT_MAX, digits

KEY = re.compile(r"([A-Z]{3})(?:\.([a-z][a-z0-9-]{0,31}))?(?:@([1-9][0-9]{0,6}))?\Z")


class PriceKey(NamedTuple):
    """Which price of a sku is meant: ``EUR``, ``EUR.trade``, ``EUR@10``, ``EUR.trade@10``."""

    currency: str
    price_list: str = STANDARD
    from_quantity: int = 1

    def __str__(self) -> str:
        named = "" if self.price_list == STANDARD else f".{self.price_list}"
        return f"{self.currency}{named}" + (
            f"@{self.from_quantity}" if self.from_quantity > 1 else ""
        )


def parse_key(text: str) -> PriceKey:
    """Read which price is meant. Raises ValueError."""
    match = KEY.match(text)
    if match is None or int(match[3] or 1) > 1_000_000:
        raise ValueError("Write a price as EUR, EUR.list, EUR@quantity or EUR.list@quantity.")
    return PriceKey(match[1], match[2] or STANDARD, int(match[3] or 1))


def parse_amount(text: str, currency: str) -> int:
    """Read ``19.99`` as minor units of a currency. Raises ValueError; nothing is rounded."""
    places = digits(currency)
    try:
        minor = Decimal(text.strip()).scaleb(places)
    except InvalidOperation as error:
        raise ValueError("Write an amount as 19.99: digits, and a point if needed.") from error
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError(f"{currency} has {places} digits after the point.")
    if not 0 <= minor <= AMOUNT_MAX:
        raise ValueError(f"Between 0 and {AMOUNT_MAX} minor units.")
    return int(minor)


def write_amount(minor: int, currency: str) -> str:
    """Write minor units of a currency as ``19.99``."""
    return str(Decimal(minor).scaleb(-digits(currency)))
