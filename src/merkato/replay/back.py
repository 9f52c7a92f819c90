"""What credit notes take back: from what the same customer bought before, newest first.

Pure. A note's goods are looked for among that customer's earlier sales of the sku: first those at
the note's own price, then any. On the day of the sale the pieces are cancelled, later returned, for
what was paid. Where the note gives back less per piece it is a credit of money alone, and closes
the line: what is left of its money cannot be told apart by piece any more. What is not found was
sold before the file begins, or to nobody known, and stays untaken.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from merkato.replay.kinds import Kind, sku
from merkato.replay.rows import Row

Way = Literal["cancellation", "return", "credit"]


class Line(msgspec.Struct, frozen=True):
    """A line of an order: pieces of one sku at one price, tax included, in minor units."""

    sku: str
    quantity: int
    unit_minor: int


class Piece(msgspec.Struct, frozen=True):
    """What of one row is taken back: pieces (postage: with the last of it) and money."""

    row: int
    kind: Kind
    units: int
    minor: int


class Back(msgspec.Struct, frozen=True):
    """What of a line of an order is taken back; the line is told by its sku and price."""

    sku: str
    unit_minor: int  # at which it was sold
    quantity: int
    amount_minor: int


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """What one credit note takes back from one sale, in one way."""

    invoice: str
    reference: str
    at: datetime
    customer: str
    sale: str  # its reference
    way: Way
    lines: tuple[Back, ...]  # of a credit their money alone is given back
    shipping_minor: int  # of a credit
    pieces: tuple[Piece, ...]

    @property
    def amount_minor(self) -> int:
        """Give what the customer gets back."""
        return self.shipping_minor + sum(line.amount_minor for line in self.lines)


class _Sold(msgspec.Struct):
    """A line of an earlier sale, and how much of it is left to take back."""

    sale: str
    at: datetime
    unit_minor: int
    left: int


class _Posted(msgspec.Struct):
    """Shipping of an earlier sale, and how much of it is left to credit."""

    sale: str
    left_minor: int


class Ledger:
    """Remembers sales, and finds what is taken back from them."""

    def __init__(self) -> None:
        self._sold: dict[tuple[str, str], deque[_Sold]] = defaultdict(deque)  # newest first
        self._posted: dict[str, deque[_Posted]] = defaultdict(deque)

    def sold(
        self, sale: str, at: datetime, customer: str | None, lines: Iterable[Line],
        shipping_minor: int,
    ) -> None:  # fmt: skip
        """Remember a sale. Of a guest's nothing is taken back: nobody knows whose it is."""
        if customer is None:
            return
        for line in lines:
            sold = _Sold(sale, at, line.unit_minor, line.quantity)
            self._sold[customer, line.sku].appendleft(sold)
        if shipping_minor:
            self._posted[customer].appendleft(_Posted(sale, shipping_minor))

    def take(
        self, lines: Sequence[tuple[Row, Kind]], reference: str, at: datetime, decimals: int
    ) -> list[Taking]:
        """Take a credit note's rows back from earlier sales; one taking per sale and way."""
        customer = next((row.customer for row, _ in lines if row.customer), None)
        if customer is None:
            return []
        found = _Found()
        for row, kind in lines:
            unit = int(row.price.scaleb(decimals))
            if kind is Kind.POSTAGE_BACK:
                self._postage(found, customer, row, -row.quantity * unit)
            else:
                self._goods(found, customer, row, kind, unit, at)
        return found.takings(lines[0][0].invoice, reference, at, customer)

    def _goods(
        self, found: "_Found", customer: str, row: Row, kind: Kind, unit: int, at: datetime
    ) -> None:
        wanted = -row.quantity
        earlier = self._sold.get((customer, sku(row.code)), ())
        same = [sold for sold in earlier if sold.unit_minor == unit]
        for sold in [*same, *(sold for sold in earlier if sold.unit_minor != unit)]:
            units = min(wanted, sold.left)
            if not units:
                continue
            sold.left -= units
            wanted -= units
            money = units * min(unit, sold.unit_minor)
            way: Way = "cancellation" if sold.at.date() == at.date() else "return"
            if unit < sold.unit_minor:
                way, sold.left = "credit", 0
            back = Back(sku(row.code), sold.unit_minor, units, money)
            found.goods(sold.sale, way, back, Piece(row.number, kind, units, money))

    def _postage(self, found: "_Found", customer: str, row: Row, wanted: int) -> None:
        for posted in self._posted[customer]:
            money = min(wanted, posted.left_minor)
            if money:
                posted.left_minor -= money
                wanted -= money
                units = 0 if wanted else -row.quantity
                found.shipping(posted.sale, Piece(row.number, Kind.POSTAGE_BACK, units, money))


class _Found:
    """Gathers what one credit note takes, by sale and way."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, Way], list[Piece]] = defaultdict(list)
        self._lines: dict[tuple[str, Way], dict[tuple[str, int], Back]] = defaultdict(dict)
        self._shipping: dict[str, int] = defaultdict(int)

    def goods(self, sale: str, way: Way, back: Back, piece: Piece) -> None:
        """Take pieces of a line, or money of it, back."""
        self._pieces[sale, way].append(piece)
        lines, at = self._lines[sale, way], (back.sku, back.unit_minor)
        if at in lines:
            quantity = back.quantity + lines[at].quantity
            amount = back.amount_minor + lines[at].amount_minor
            back = Back(*at, quantity, amount)
        lines[at] = back

    def shipping(self, sale: str, piece: Piece) -> None:
        """Give money of the shipping back."""
        self._pieces[sale, "credit"].append(piece)
        self._shipping[sale] += piece.minor

    def takings(self, invoice: str, reference: str, at: datetime, customer: str) -> list[Taking]:
        """Give what was found; the reference names credit note, sale and way."""
        return [
            Taking(
                invoice=invoice,
                reference=f"{reference}-{sale.rpartition('-')[2]}-{way}"[:100],
                at=at,
                customer=customer,
                sale=sale,
                way=way,
                lines=tuple(line for _, line in sorted(self._lines[sale, way].items())),
                shipping_minor=self._shipping[sale] if way == "credit" else 0,
                pieces=tuple(pieces),
            )
            for (sale, way), pieces in self._pieces.items()
        ]
