"""What a row is: each is of exactly one kind, by the first rule that fits (docs/replay.md)."""

import re
from decimal import Decimal
from enum import StrEnum
from functools import cache

from merkato.replay.rows import Row

POSTAGE = frozenset({"POST", "DOT", "C2", "C3"})
BY_HAND = frozenset({"M"})
CHARGES = frozenset(
    {
        *("B", "D", "S", "ADJUST", "ADJUST2", "AMAZONFEE", "BANK CHARGES", "CRUK", "GIFT"),
        *("TEST001", "TEST002"),
    }
)
FIVE_DIGITS = re.compile(r"[0-9]{5}")


class Kind(StrEnum):
    """The kinds of rows, in the order of the report."""

    GOODS = "goods"
    OTHER_GOODS = "other goods"
    POSTAGE = "postage"
    GOODS_BACK = "goods back"
    OTHER_GOODS_BACK = "other goods back"
    POSTAGE_BACK = "postage back"
    MANUAL = "manual"
    CHARGE = "charge"
    FREE = "free of charge"
    STOCK_NOTE = "stock note"
    PART_OF_A_PENNY = "part of a penny"
    ADJUSTMENT = "adjustment"
    IRREGULAR = "irregular"
    UNREADABLE = "unreadable"


SALES = (Kind.GOODS, Kind.OTHER_GOODS, Kind.POSTAGE)
BACK = (Kind.GOODS_BACK, Kind.OTHER_GOODS_BACK, Kind.POSTAGE_BACK)
BACK_OF = dict(zip(SALES, BACK, strict=True))
SAYS = {
    Kind.GOODS: "of a sale invoice, the code begins with five digits: lines of orders",
    Kind.OTHER_GOODS: "of a sale invoice, any other code of goods: lines of orders",
    Kind.POSTAGE: "of a sale invoice: shipping of the order",
    Kind.GOODS_BACK: "of a credit note: cancelled, returned or credited, newest sale first",
    Kind.OTHER_GOODS_BACK: "of a credit note, any other code of goods: the same",
    Kind.POSTAGE_BACK: "of a credit note: credited up to the shipping that was paid",
    Kind.MANUAL: "entered by hand, without a code of goods: skipped",
    Kind.CHARGE: "fees, discounts, samples, donations, tests: skipped",
    Kind.FREE: "price zero, pieces went out: skipped",
    Kind.STOCK_NOTE: "price zero, pieces written off or none: skipped",
    Kind.PART_OF_A_PENNY: "price that no coin can pay: skipped",
    Kind.ADJUSTMENT: "of a document that is neither invoice nor credit note: skipped",
    Kind.IRREGULAR: "sign of price or pieces against the document's: skipped",
    Kind.UNREADABLE: "number, time or code that cannot be read: skipped",
}


def is_credit_note(invoice: str) -> bool:
    """Tell whether this takes something back."""
    return invoice[:1].upper() == "C"


@cache
def sku(code: str) -> str:
    """Give the sku of a stock code: one spelling (in files it varies), visible characters only."""
    return re.sub(r"[^!-~]+", "-", code)[:64].upper()


def kind(row: Row, decimals: int) -> Kind:
    """Say what a row is; `decimals` are those of its currency."""
    back = is_credit_note(row.invoice)
    if not back and not row.invoice[:1].isdigit():
        return Kind.ADJUSTMENT
    if row.price == 0:
        return Kind.FREE if row.quantity > 0 else Kind.STOCK_NOTE
    if row.price < 0 or row.quantity == 0 or (row.quantity < 0) != back:
        return Kind.IRREGULAR
    found = _by_code(row.code)
    if found in SALES and not _is_payable(row.price, decimals):
        return Kind.PART_OF_A_PENNY
    return BACK_OF.get(found, found) if back else found


@cache
def _by_code(code: str) -> Kind:
    code = code.upper()
    if code in BY_HAND:
        return Kind.MANUAL
    if code in CHARGES:
        return Kind.CHARGE
    if code in POSTAGE:
        return Kind.POSTAGE
    return Kind.GOODS if FIVE_DIGITS.match(code) else Kind.OTHER_GOODS


@cache
def _is_payable(price: Decimal, decimals: int) -> bool:
    scaled = price.scaleb(decimals)
    return scaled == int(scaled)
