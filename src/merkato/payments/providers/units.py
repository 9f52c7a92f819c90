"""Stripe's units of money, and ours: minor units by ISO 4217.

After https://docs.stripe.com/currencies, looked up in November 2026: MGA has no digits; ISK and UGX
have two, always 00 (UGX is in its list of those without digits too; we keep to the rule that names
it alone). BHD, JOD, KWD, OMR and TND have three, the last always 0: the page said so until 2022,
names them still, and tells no other rule.
"""

from decimal import Decimal

from merkato.contracts.values import digits

_DIGITS = {"ISK": 2, "UGX": 2, "MGA": 0}  # where Stripe's are not those of ISO 4217
_STEPS = {**dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 10), "ISK": 100, "UGX": 100}


def to_stripe(amount_minor: int, currency: str) -> int | None:
    """Give an amount in Stripe's unit; None for what Stripe cannot take, such as 5.123 KWD."""
    amount = Decimal(amount_minor).scaleb(_more_digits(currency))
    return None if amount % _STEPS.get(currency, 1) else int(amount)


def from_stripe(amount: int, currency: str) -> int:
    """Give an amount of Stripe's in minor units. Raises ValueError for what we cannot note."""
    minor = Decimal(amount).scaleb(-_more_digits(currency))
    if minor % 1:
        raise ValueError(f"{minor} is no whole number of minor units of {currency}")
    return int(minor)


def _more_digits(currency: str) -> int:
    ours = digits(currency)
    return _DIGITS.get(currency, ours) - ours
