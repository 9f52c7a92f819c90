"""Cutting a file that comes in pieces into parts of whole rows; no row is ever cut in two.

CSV is read after RFC 4180. A row that is broken (quotes that do not end) is given up alone: the
file goes on with the line below the one that it began on.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

PART_ROWS = 200  # from which on a part is closed …
PART_BYTES = 256 * 1024  # … or so many bytes
LINE_MAX_BYTES = 1_048_576  # of a line; what is behind is dropped, and the row is an error


class Part(NamedTuple):
    """Rows that are worked off together; `first_line` counts from 1."""

    first_line: int
    rows: int
    content: bytes


class Row(NamedTuple):
    """A row and where it begins; `cells` of CSV, None where the row is broken."""

    line: int
    text: str
    cells: list[str] | None = None


class _More(Exception):
    """The lines that are here end within a row."""


def decoded(content: bytes) -> str:
    """Read UTF-8; bytes that are none stay, as surrogates, and make their row an error."""
    return content.decode("utf-8", "surrogateescape")


def csv_rows(lines: Sequence[str], delimiter: str, *, whole: bool) -> tuple[list[Row], int]:
    """Read rows from lines; gives them (lines counted from 0) and how many lines they took.

    `whole`: nothing comes behind these lines. Blank lines are no rows.
    """
    rows: list[Row] = []
    at = 0
    while at < len(lines):
        done = 0
        reader = csv.reader(_then_more(lines[at:], whole=whole), strict=True, delimiter=delimiter)
        try:
            for cells in reader:
                if any(cells):
                    text = "".join(lines[at + done : at + reader.line_num])
                    rows.append(Row(at + done, text, cells))
                done = reader.line_num
            return rows, at + done
        except (_More, csv.Error) as error:
            at += done
            if isinstance(error, _More) and sum(map(len, lines[at:])) <= LINE_MAX_BYTES:
                return rows, at
            rows.append(Row(at, lines[at]))  # the row that begins here is broken
            at += 1
    return rows, at


def _then_more(lines: Sequence[str], *, whole: bool) -> Iterator[str]:
    yield from lines
    if not whole:
        raise _More


def json_rows(lines: Sequence[str]) -> list[Row]:
    """Read rows of one line each; blank lines are none."""
    return [Row(at, line) for at, line in enumerate(lines) if line.strip()]


class Cutter:
    """Takes a file in pieces and gives parts of whole rows; holds at most a part of it."""

    def __init__(self, *, is_csv: bool) -> None:
        self._is_csv = is_csv
        self._rest = b""  # of a line
        self._open: list[str] = []  # lines of rows that are not whole yet
        self._lines: list[str] = []  # of the part being made
        self._rows = self._size = 0
        self._last: str | None = None  # first cell of the last row of the part
        self._first_line = 1
        self.delimiter = ","
        self.header: list[str] | None = None

    def feed(self, piece: bytes) -> list[Part]:
        """Take the next piece; gives the parts that are whole now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LINE_MAX_BYTES:
            self._rest = self._rest[: LINE_MAX_BYTES + 1]
        return self._cut([line[:LINE_MAX_BYTES] + b"\n" for line in lines], whole=False)

    def end(self) -> list[Part]:
        """Take the end of the file; gives the parts that are left."""
        parts = self._cut([self._rest] if self._rest else [], whole=True)
        return [*parts, *self._close()]

    def _cut(self, lines: Sequence[bytes], *, whole: bool) -> list[Part]:
        here = self._open + [decoded(line) for line in lines]
        if self._is_csv and self.header is None:
            if not here:
                return []
            here = self._take_header(here, whole=whole)
        if self._is_csv:
            rows, used = csv_rows(here, self.delimiter, whole=whole)
        else:
            rows, used = json_rows(here), len(here)
        self._open = here[used:]
        parts: list[Part] = []
        ends = [*(row.line for row in rows[1:]), used] if rows else []
        begin = 0
        for row, end in zip(rows, ends, strict=True):
            key = row.cells[0] if row.cells else None
            full = self._rows >= PART_ROWS or self._size >= PART_BYTES
            if full and (key != self._last or not key or self._rows >= 2 * PART_ROWS):
                parts += self._close()
            taken, begin = here[begin:end], end
            self._lines += taken
            self._rows, self._last = self._rows + 1, key
            self._size += sum(map(len, taken))
        if not rows:
            self._lines += here[:used]  # blank lines count as lines
        return parts

    def _take_header(self, lines: list[str], *, whole: bool) -> list[str]:
        lines[0] = lines[0].removeprefix("\ufeff")
        self.delimiter = ";" if ";" in lines[0] and "," not in lines[0] else ","
        rows, used = csv_rows(lines[:1], self.delimiter, whole=True)
        if not rows:  # a blank line
            self.header = []
        else:
            self.header = [cell.strip() for cell in rows[0].cells or [rows[0].text]]
        self._first_line += used
        return lines[used:]

    def _close(self) -> list[Part]:
        if not self._rows:
            return []
        content = "".join(self._lines).encode("utf-8", "surrogateescape")
        part = Part(self._first_line, self._rows, content)
        self._first_line += len(self._lines)
        self._lines, self._rows, self._size = [], 0, 0
        return [part]
