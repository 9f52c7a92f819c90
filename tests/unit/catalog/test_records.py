"""Cutting files into parts: no row in two, no row lost, whatever the pieces they come in."""

import csv
import random

import pytest

from merkato.catalog.domain.records import (
    LINE_MAX_BYTES,
    PART_ROWS,
    Cutter,
    csv_rows,
    decoded,
    json_rows,
)


def parts(content, *, is_csv=True, sizes=lambda: 1_000):
    """Feed a file in pieces; gives its parts."""
    cutter, found, at = Cutter(is_csv=is_csv), [], 0
    while at < len(content):
        size = sizes()
        found += cutter.feed(content[at : at + size])
        at += size
    return cutter, [*found, *cutter.end()]


def rows_of(found, *, is_csv=True, delimiter=","):
    """Read parts again, as the job does: (line in the file, cells or text)."""
    rows = []
    for part in found:
        lines = decoded(part.content).splitlines(keepends=True)
        read = csv_rows(lines, delimiter, whole=True)[0] if is_csv else json_rows(lines)
        assert len(read) == part.rows
        rows += [(row.line + part.first_line, row.cells if is_csv else row.text) for row in read]
    return rows


@pytest.mark.parametrize("seed", range(30))
def test_any_file_in_any_pieces(seed):
    dice = random.Random(seed)
    cells = ["", "a", 'say "hi"', "two\nlines", "semi;colon, comma", "é", "\r\n", '"', "'", " x "]
    table = [
        [f"slug-{dice.randrange(40)}", *dice.choices(cells, k=3)]
        for _ in range(dice.choice((1, 900)))
    ]
    lines = []
    writer = csv.writer(lines_of := _Lines(lines), lineterminator=dice.choice(("\n", "\r\n")))
    writer.writerows([["slug", "b", "c", "d"], *table])
    assert lines_of.lines is lines
    content = "".join(lines).encode()
    _, found = parts(content, sizes=lambda: dice.choice((1, 7, 500, 60_000)))
    assert [cells for _, cells in rows_of(found)] == table
    text = content.decode().splitlines(keepends=True)
    for line, cells in rows_of(found):
        assert text[line - 1].startswith(cells[0])
    assert max(part.rows for part in found) <= 2 * PART_ROWS


class _Lines:
    def __init__(self, lines):
        self.lines = lines

    def write(self, text):
        self.lines.append(text)


def test_a_product_is_not_cut_where_it_need_not_be():
    rows = "".join(f"p{n // 3},{n}\n" for n in range(900))
    _, found = parts(b"slug,n\n" + rows.encode())
    assert len(found) > 2
    for part in found[:-1]:
        assert part.rows % 3 == 0


def test_quotes_that_do_not_end_cost_one_row():
    good = "".join(f"g{n},x\n" for n in range(30_000))
    content = f'slug,b\na,x\nb,"open\n{good}z,x\n'.encode()
    _, found = parts(content, sizes=lambda: 65_536)
    rows = rows_of(found)
    assert len(rows) == 30_003
    assert [line for line, cells in rows if cells is None] == [3]
    assert rows[-1] == (30_004, ["z", "x"])


def test_lines_without_end_do_not_fill_memory():
    content = b'{"a": "' + b"x" * (3 * LINE_MAX_BYTES) + b'"}\n{"b": 1}\n'
    cutter = Cutter(is_csv=False)
    found = []
    for at in range(0, len(content), 100_000):
        found += cutter.feed(content[at : at + 100_000])
        assert len(cutter._rest) <= LINE_MAX_BYTES + 100_000
    found += cutter.end()
    assert [text for _, text in rows_of(found, is_csv=False)][-1] == '{"b": 1}\n'


def test_headers_with_marks_and_semicolons():
    cutter, found = parts(b"\xef\xbb\xbfslug; title\r\na;A, B\r\n")
    assert (cutter.header, cutter.delimiter) == (["slug", "title"], ";")
    assert rows_of(found, delimiter=";") == [(2, ["a", "A, B"])]


def test_blank_lines_are_no_rows_and_are_counted():
    _, found = parts(b"slug\n\n\na\n\n,\nb\n\n")
    assert rows_of(found) == [(4, ["a"]), (7, ["b"])]
    _, found = parts(b"\n{}\n \n{}\n", is_csv=False)
    assert [line for line, _ in rows_of(found, is_csv=False)] == [2, 4]
    assert parts(b"slug\n\n")[1] == parts(b"")[1] == []
