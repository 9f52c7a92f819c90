"""The goods of an order: what of each line was shipped, came back, or is not wanted. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec
from msgspec.structs import replace

from merkato.contracts.problem import Validation
from merkato.contracts.values import Quantity

LineNo = Annotated[int, msgspec.Meta(ge=1, le=2_000)]


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its counters in pieces, and what of its money was credited."""

    line_no: int
    sku: str
    title: str
    quantity: int
    tracked: bool
    tax_minor: int
    gross_minor: int
    cancelled: int = 0
    shipped: int = 0
    delivered: int = 0
    announced: int = 0  # to be returned, not here yet
    returned: int = 0
    restocked: int = 0
    credited_minor: int = 0
    credited_tax_minor: int = 0

    @property
    def to_ship(self) -> int:
        """Pieces that are wanted and not shipped yet."""
        return self.quantity - self.cancelled - self.shipped

    @property
    def returnable(self) -> int:
        """Pieces that are with the customer, and nobody said that they come back."""
        return self.shipped - self.returned - self.announced

    @property
    def kept(self) -> int:
        """Pieces that were neither cancelled nor returned."""
        return self.quantity - self.cancelled - self.returned


Lines: TypeAlias = Mapping[int, Goods]  # by line_no


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of a line."""

    line_no: LineNo
    quantity: Quantity


def ship(lines: Lines, wanted: Sequence[Wish] | None) -> list[tuple[Goods, int]]:
    """Hand pieces to the customer; without wishes all there is to ship. Gives lines and pieces.

    Raises Validation.
    """
    wanted = _all(lines, lambda one: one.to_ship) if wanted is None else wanted
    chosen = _chosen(lines, wanted, lambda one: one.to_ship, "to be shipped")
    return [(replace(one, shipped=one.shipped + n), n) for one, n in chosen]


def deliver(lines: Lines, pieces: Mapping[int, int]) -> list[Goods]:
    """Note that the pieces of a shipment arrived."""
    return [replace(lines[i], delivered=lines[i].delivered + n) for i, n in pieces.items()]


def cancel(lines: Lines, wanted: Sequence[Wish]) -> list[tuple[Goods, int]]:
    """Want pieces no more that were not shipped. Gives lines and pieces. Raises Validation."""
    chosen = _chosen(lines, wanted, lambda one: one.to_ship, "not shipped yet")
    return [(replace(one, cancelled=one.cancelled + n), n) for one, n in chosen]


def announce(lines: Lines, wanted: Sequence[Wish]) -> list[tuple[Goods, int]]:
    """Say that pieces will come back. Gives lines and pieces. Raises Validation."""
    chosen = _chosen(lines, wanted, lambda one: one.returnable, "that can be returned")
    return [(replace(one, announced=one.announced + n), n) for one, n in chosen]


def receive(
    lines: Lines, announced: Mapping[int, int], arrived: Mapping[int, tuple[int, int]]
) -> list[Goods]:
    """Note what of a return arrived, and what of that can be sold again, by line."""
    after = []
    for line_no, pieces in announced.items():
        line, (received, restocked) = lines[line_no], arrived.get(line_no, (0, 0))
        after.append(
            replace(
                line,
                announced=line.announced - pieces,
                returned=line.returned + received,
                restocked=line.restocked + restocked,
            )
        )
    return after


def fulfilment(lines: Iterable[Goods]) -> str:
    """Say how far an order is."""
    goods = list(lines)
    wanted = sum(one.quantity - one.cancelled for one in goods)
    shipped, returned = sum(one.shipped for one in goods), sum(one.returned for one in goods)
    if not shipped:
        return "unfulfilled"
    if shipped < wanted:
        return "partial"
    if returned:
        return "returned" if returned == shipped else "partly_returned"
    return "delivered" if sum(one.delivered for one in goods) == shipped else "shipped"


def complete(lines: Iterable[Goods]) -> bool:
    """Tell whether nothing is left to ship."""
    return not any(one.to_ship for one in lines)


def _all(lines: Lines, room: Callable[[Goods], int]) -> list[Wish]:
    return [Wish(line_no=i, quantity=n) for i, one in lines.items() if (n := room(one))]


def _chosen(
    lines: Lines, wanted: Sequence[Wish], room: Callable[[Goods], int], what: str
) -> list[tuple[Goods, int]]:
    """Find the lines of wishes. Raises Validation for what is not there, or not as much."""
    chosen: dict[int, tuple[Goods, int]] = {}
    for at, wish in enumerate(wanted):
        line = lines.get(wish.line_no)
        if line is None or wish.line_no in chosen:
            why = "This line is named twice." if line else "There is no such line."
            raise Validation.at(f"/lines/{at}/line_no", why)
        if wish.quantity > room(line):
            detail = f"There are {room(line)} pieces of {line.sku} {what}."
            raise Validation.at(f"/lines/{at}/quantity", detail)
        chosen[wish.line_no] = line, wish.quantity
    if not chosen:
        raise Validation.at("/lines", f"There is nothing {what}.")
    return list(chosen.values())
