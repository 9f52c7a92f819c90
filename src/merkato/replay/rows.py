"""Rows of a file of invoice lines, read strictly: what cannot be read is said, never guessed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

QUANTITY_MAX = 1_000_000  # pieces of one line of an order
PRICE_MAX = Decimal(10) ** 9
COLUMNS: Mapping[str, tuple[str, ...]] = {  # our names, and theirs without case, spaces and signs
    "invoice": ("invoiceno", "invoice"),
    "code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "at": ("invoicedate",),
    "price": ("unitprice", "price"),
    "customer": ("customerid",),
    "country": ("country",),
}


FORMS: Sequence[Callable[[str], datetime]] = (
    datetime.fromisoformat,
    lambda text: datetime.strptime(text, "%m/%d/%Y %H:%M"),
    lambda text: datetime.strptime(text, "%m/%d/%Y %H:%M:%S"),
)


class Unfit(ValueError):
    """This is no file of invoice lines; the message says what is missing."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of an invoice. `price` per piece in the file's currency, exactly as written."""

    number: int  # 1 is the first below the heading
    invoice: str
    code: str
    description: str
    quantity: int
    at: datetime  # UTC
    price: Decimal
    customer: str | None
    country: str

    @property
    def money(self) -> Decimal:
        """Give what the row comes to, exactly."""
        return self.quantity * self.price


class Unreadable(msgspec.Struct, frozen=True):
    """A row that says something impossible."""

    number: int
    invoice: str
    why: str


def columns(heading: Sequence[object]) -> dict[str, int]:
    """Find our columns in a heading, in any order and beside others. Raises Unfit."""
    found = [re.sub(r"[^a-z0-9]", "", str(name).lower()) for name in heading]
    places = {
        ours: found.index(name)
        for ours, theirs in COLUMNS.items()
        for name in theirs
        if name in found
    }
    if missing := [ours for ours in COLUMNS if ours not in places]:
        names = ", ".join(COLUMNS[name][0] for name in missing)
        raise Unfit(f"the first line names no column {names}")
    return places


def parse(lines: Iterable[Sequence[object]]) -> Iterator[Row | Unreadable]:
    """Read lines of cells, the first of which is the heading. Raises Unfit.

    Cells are texts, or the numbers and times of a spreadsheet. A time without an offset is UTC; one
    with slashes is month/day/year, as the file was published.
    """
    cells = iter(lines)
    places = columns(next(cells, ()))
    order, width = [places[name] for name in COLUMNS], max(places.values()) + 1
    known = _Known()
    for number, line in enumerate(cells, 1):
        if not any(line):
            continue
        padded = line if len(line) >= width else [*line, *[""] * (width - len(line))]
        cell = [padded[place] for place in order]
        try:
            yield _row(number, cell, known)
        except ValueError as error:
            yield Unreadable(number, _text(cell[0]), str(error))


class _Reader(dict[Any, Any]):
    """Reads texts, each once: half a million rows say few different things."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, cell: object) -> Any:
        self[cell] = found = self.read(cell)
        return found


class _Known:
    """What was read of a file so far."""

    def __init__(self) -> None:
        self.text, self.quantity = _Reader(_text), _Reader(lambda cell: _quantity(_text(cell)))
        self.price, self.time = _Reader(lambda cell: _price(_text(cell))), _Reader(_time)


def _row(number: int, cell: Sequence[object], known: _Known) -> Row:
    text = known.text
    invoice, code = text[cell[0]], text[cell[1]]
    if not invoice or not code:
        raise ValueError("without invoice or stock code")
    return Row(
        number,
        invoice,
        code,
        text[cell[2]],
        known.quantity[cell[3]],
        known.time[cell[4]],
        known.price[cell[5]],
        text[cell[6]].removesuffix(".0") or None,
        text[cell[7]] or "Unspecified",
    )


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = "" if cell is None else str(cell).strip()
    return "" if text.lower() == "nan" else text


def _quantity(text: str) -> int:
    quantity = _decimal(text, "quantity")
    if quantity != int(quantity) or abs(quantity) > QUANTITY_MAX:
        raise ValueError(f"quantity {text[:30]!r}")
    return int(quantity)


def _price(text: str) -> Decimal:
    price = _decimal(text, "price")
    if abs(price) > PRICE_MAX:
        raise ValueError(f"price {text[:30]!r}")
    return price


def _decimal(text: str, what: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not -9 <= exponent <= 9 or len(text) > 30:
        raise ValueError(f"{what} {text[:30]!r}")
    return number


def _time(cell: object) -> datetime:
    if isinstance(cell, datetime):
        return _utc(cell)
    text = _text(cell)
    for form in FORMS:
        try:
            return _utc(form(text))
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"time {text[:30]!r}")


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
