"""What is to be done with a file: sales in order of time, what is taken back from them, prices.

Pure. Every row is counted under exactly one kind; whatever of it becomes an order, shipping or a
credit hangs on one step of the plan, in pieces and minor units, so that booked and skipped add up
to the file exactly.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from merkato.replay import kinds
from merkato.replay.back import Ledger, Line, Taking
from merkato.replay.countries import country
from merkato.replay.kinds import BACK, SALES, Kind
from merkato.replay.prices import Good, PriceChange, Prices
from merkato.replay.rows import Row, Unreadable

BOOKED = frozenset({*SALES, *BACK})
KEY = re.compile(r"[A-Za-z0-9_-]{16,100}")


class Sum(msgspec.Struct):
    """Rows, pieces and money of them; money as the file writes it."""

    rows: int = 0
    units: int = 0
    money: Decimal = Decimal(0)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.units += row.quantity
        self.money += row.money


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale invoice, to be placed as an order. `sums`: the rows that it books, by kind."""

    invoice: str
    reference: str
    at: datetime
    customer: str | None
    country: str
    lines: tuple[Line, ...]  # none: postage alone
    shipping_minor: int
    sums: Mapping[Kind, Sum]

    @property
    def items_minor(self) -> int:
        """Give what the goods come to."""
        return sum(line.quantity * line.unit_minor for line in self.lines)


Step = Sale | Taking


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to do, and all rows there are, by kind."""

    prefix: str
    steps: tuple[Step, ...]  # in order of time
    goods: Mapping[str, Good]
    changes: Sequence[PriceChange]  # of list prices, in order of time
    sums: Mapping[Kind, Sum]
    back: Mapping[int, int]  # row of a credit note -> pieces that it takes back
    unreadable: tuple[Unreadable, ...]


def prefix(name: str) -> str:
    """Make the prefix of references from a file's name: Online_Retail.csv.gz → online-retail."""
    stem = name.split(".", maxsplit=1)[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40] or "file"


def key(reference: str) -> str:
    """Give the Idempotency-Key of a reference: itself, where it is one."""
    if KEY.fullmatch(reference):
        return reference
    return f"replay-{hashlib.sha256(reference.encode()).hexdigest()[:40]}"


def minor(money: Decimal, decimals: int) -> int:
    """Give whole minor units. Raises ValueError where something would be lost."""
    scaled = money.scaleb(decimals)
    if scaled != int(scaled):
        raise ValueError(f"{money} is no whole number of minor units")
    return int(scaled)


def plan(rows: Iterable[Row | Unreadable], name: str, decimals: int) -> Plan:
    """Plan the replay of a file; `decimals` are those of its currency."""
    invoices: dict[str, list[tuple[Row, Kind]]] = defaultdict(list)
    sums = {kind: Sum() for kind in Kind}
    unreadable = []
    prices = Prices()
    for row in rows:
        if isinstance(row, Unreadable):
            unreadable.append(row)
            sums[Kind.UNREADABLE].rows += 1
            continue
        kind = kinds.kind(row, decimals)
        sums[kind].add(row)
        if kind in BOOKED:
            invoices[row.invoice].append((row, kind))
        if kind in (Kind.GOODS, Kind.OTHER_GOODS):
            prices.note(row, minor(row.price, decimals))
    begins = {invoice: min(row.at for row, _ in lines) for invoice, lines in invoices.items()}
    ledger, steps = Ledger(), list[Step]()
    back: dict[int, int] = {}
    for invoice in sorted(invoices, key=lambda invoice: begins[invoice]):  # stable: as in the file
        lines, reference = invoices[invoice], f"{prefix(name)}-{invoice}"[:100]
        if kinds.is_credit_note(invoice):
            steps += ledger.take(lines, reference, begins[invoice], decimals)
            back |= {row.number: -row.quantity for row, _ in lines}
        else:
            sale = _sale(lines, reference, begins[invoice], decimals)
            ledger.sold(sale.reference, sale.at, sale.customer, sale.lines, sale.shipping_minor)
            steps.append(sale)
    return Plan(
        prefix=prefix(name),
        steps=tuple(steps),
        goods=prices.goods(),
        changes=prices.changes(),
        sums=sums,
        back=back,
        unreadable=tuple(unreadable),
    )


def _sale(lines: Sequence[tuple[Row, Kind]], reference: str, at: datetime, decimals: int) -> Sale:
    """Make an order of an invoice's rows that are booked."""
    wanted: dict[tuple[str, int], int] = defaultdict(int)
    sums: dict[Kind, Sum] = defaultdict(Sum)
    shipping = 0
    for row, kind in lines:
        sums[kind].add(row)
        if kind is Kind.POSTAGE:
            shipping += minor(row.money, decimals)
        else:
            wanted[kinds.sku(row.code), minor(row.price, decimals)] += row.quantity
    first = lines[0][0]
    return Sale(
        invoice=first.invoice,
        reference=reference,
        at=at,
        customer=next((row.customer for row, _ in lines if row.customer), None),
        country=country(first.country),
        lines=tuple(Line(sku, n, unit) for (sku, unit), n in sorted(wanted.items())),
        shipping_minor=shipping,
        sums=dict(sums),
    )
