"""Values that mean the same in every service: money, skus, quantities, people and addresses."""

from typing import Annotated

import msgspec

AMOUNT_MAX = 10**12  # minor units; more than any order of one shop

# ISO 4217: digits after the point, where they are not two.
DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
         "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip

# Patterns have names where parameters of queries repeat them: those do not look into msgspec's.
CURRENCY = r"^[A-Z]{3}\Z"  # ISO 4217
COUNTRY = r"^[A-Z]{2}\Z"  # ISO 3166-1 alpha-2
LOCALE = r"^[a-z]{2,3}(-[A-Z]{2})?\Z"  # BCP 47
PLAIN_NAME = r"^[a-z][a-z0-9-]{0,31}\Z"  # of what a shop names itself: a role, a price list

Currency = Annotated[str, msgspec.Meta(pattern=CURRENCY)]
Country = Annotated[str, msgspec.Meta(pattern=COUNTRY)]
Locale = Annotated[str, msgspec.Meta(pattern=LOCALE)]
AmountMinor = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]  # minor units, never negative
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]  # pieces
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[!-~]+\Z")]
TaxClass = Annotated[str, msgspec.Meta(pattern=PLAIN_NAME)]

# No control characters: they break mails, logs and PostgreSQL (NUL). A line has no line breaks.
VISIBLE = r"^[^\x00-\x1f\x7f]+\Z"
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=VISIBLE)]
PostalCode = Annotated[str, msgspec.Meta(min_length=1, max_length=20, pattern=VISIBLE)]
Text = Annotated[str, msgspec.Meta(max_length=20_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*\Z")]
Email = Annotated[
    str, msgspec.Meta(min_length=3, max_length=254, pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+\Z")
]
# A caller's own name of a thing, such as the number of an invoice in another system.
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=VISIBLE)]
MetadataKey = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=VISIBLE)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*\Z")]
# The caller's own notes on a thing, kept and given back.
Metadata = Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=50)]


def digits(currency: str) -> int:
    """Give how many digits of a currency stand behind the point, by ISO 4217."""
    return DIGITS.get(currency, 2)


class Money(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An amount of money, never a float: minor units by the currency's ISO 4217 exponent."""

    amount_minor: AmountMinor
    currency: Currency


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postal address, one format everywhere."""

    name: Line
    company: Line | None = None
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=3)]
    city: Line
    region: Line | None = None
    postal_code: PostalCode
    country: Country
    phone: Line | None = None
    tax_id: Line | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach whoever ordered."""

    email: Email
    name: Line | None = None
    phone: Line | None = None
