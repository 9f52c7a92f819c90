"""What a customer is given back for pieces or out of goodwill: the parts always sum. Pure.

A line's money that is not credited yet is spread evenly over its pieces that are neither cancelled
nor returned. Whoever gives back the last piece gets all that is left, so no cent is lost or made.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from merkato.contracts.problem import StateConflict, Validation
from merkato.contracts.values import AMOUNT_MAX
from merkato.orders.domain.goods import Goods, LineNo, Lines

SHIPPING = 0  # the line_no of what is credited of the shipping
ShippingPart = Literal["keep", "share"]


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """An amount, and what of it is tax."""

    tax_minor: int
    gross_minor: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What of a credit is for one line, or for the shipping."""

    line_no: int
    quantity: int = 0  # pieces
    net_minor: int
    tax_minor: int
    gross_minor: int


class MoneyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So much of the money of a line, in minor units."""

    line_no: LineNo
    amount_minor: Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]


def left(line: Goods) -> Money:
    """Give what of a line was not credited yet."""
    return Money(
        tax_minor=line.tax_minor - line.credited_tax_minor,
        gross_minor=line.gross_minor - line.credited_minor,
    )


def for_pieces(
    before: Lines, pieces: Mapping[int, int], shipping: Money, how: ShippingPart | None
) -> list[Part]:
    """Credit pieces of lines, and of the shipping what goes with them.

    `before`: all lines, without the pieces taken off. The shipping goes back with the last piece of
    the order; with "share" in proportion to the money of the goods, with "keep" never.
    """
    parts = [
        _part(line_no, _slice(left(before[line_no]), n, before[line_no].kept), n)
        for line_no, n in pieces.items()
    ]
    if how == "keep":
        return parts
    if sum(line.kept for line in before.values()) == sum(pieces.values()):
        parts.append(_part(SHIPPING, shipping))
    elif how == "share" and (whole := sum(left(line).gross_minor for line in before.values())):
        taken = sum(part.gross_minor for part in parts)
        parts.append(_part(SHIPPING, _slice(shipping, taken, whole)))
    return [part for part in parts if part.line_no != SHIPPING or part.gross_minor]


def of_lines(lines: Lines, wanted: Sequence[MoneyWish], shipping: Money, of_it: int) -> list[Part]:
    """Credit money of lines and of the shipping. Raises Validation, StateConflict beyond it."""
    parts: list[Part] = []
    for at, wish in enumerate(wanted):
        line = lines.get(wish.line_no)
        if line is None or any(part.line_no == wish.line_no for part in parts):
            why = "This line is named twice." if line else "There is no such line."
            raise Validation.at(f"/lines/{at}/line_no", why)
        _check(left(line).gross_minor, wish.amount_minor)
        parts.append(_part(wish.line_no, _slice(left(line), wish.amount_minor)))
    if of_it:
        _check(shipping.gross_minor, of_it)
        parts.append(_part(SHIPPING, _slice(shipping, of_it)))
    return parts


def of_order(lines: Lines, amount_minor: int, shipping: Money) -> list[Part]:
    """Credit money of an order as a whole: spread by what is left of each part.

    Raises StateConflict for more than is left.
    """
    rests = {line_no: left(line) for line_no, line in lines.items()} | {SHIPPING: shipping}
    _check(sum(rest.gross_minor for rest in rests.values()), amount_minor)
    shares = spread(amount_minor, [rest.gross_minor for rest in rests.values()])
    return [
        _part(line_no, _slice(rest, share))
        for (line_no, rest), share in zip(rests.items(), shares, strict=True)
        if share
    ]


def book(lines: Lines, parts: Sequence[Part]) -> list[Goods]:
    """Note on the lines what was credited of them."""
    return [
        replace(
            lines[part.line_no],
            credited_minor=lines[part.line_no].credited_minor + part.gross_minor,
            credited_tax_minor=lines[part.line_no].credited_tax_minor + part.tax_minor,
        )
        for part in parts
        if part.line_no != SHIPPING
    ]


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount in proportion to weights; what remains goes to the largest remainders."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(amount * weights[n] % whole), n))
    for n in by_remainder[: amount - sum(shares)]:
        shares[n] += 1
    return shares


def _slice(money: Money, part: int, whole: int | None = None) -> Money:
    """Take `part` of `whole` off an amount and off its tax; by default `whole` is the amount."""
    whole = money.gross_minor if whole is None else whole
    if not whole:
        return Money(tax_minor=0, gross_minor=0)

    def taken(amount: int) -> int:
        return amount - (2 * amount * (whole - part) + whole) // (2 * whole)

    return Money(tax_minor=taken(money.tax_minor), gross_minor=taken(money.gross_minor))


def _part(line_no: int, money: Money, quantity: int = 0) -> Part:
    return Part(
        line_no=line_no,
        quantity=quantity,
        net_minor=money.gross_minor - money.tax_minor,
        tax_minor=money.tax_minor,
        gross_minor=money.gross_minor,
    )


def _check(left_minor: int, amount_minor: int) -> None:
    if amount_minor > left_minor:
        raise StateConflict("That is more than is left of it.", left_minor=left_minor)
