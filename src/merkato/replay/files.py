"""Opening a file of invoice lines: CSV, CSV compressed by gzip, or a workbook."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from python_calamine import CalamineError, load_workbook

from merkato.replay.rows import Row, Unfit, Unreadable, parse

WORKBOOKS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Read a file's rows; of a workbook all sheets, each with its own heading.

    Texts are UTF-8, or Windows-1252 where they are not. Raises Unfit, and OSError.
    """
    if path.suffix.lower() in WORKBOOKS:
        yield from _workbook(path)
    else:
        yield from parse(_lines(path, _encoding(path)))


def _workbook(path: Path) -> Iterator[Row | Unreadable]:
    path.stat()  # says that there is no such file in the usual words
    try:
        book = load_workbook(path)
        for name in book.sheet_names:
            yield from parse(iter(book.get_sheet_by_name(name).iter_rows()))
    except CalamineError as error:
        raise Unfit(f"this workbook cannot be read: {error}") from error


def _lines(path: Path, encoding: str) -> Iterator[Sequence[object]]:
    try:
        with _open(path, encoding) as file:
            yield from csv.reader(file)
    except (csv.Error, gzip.BadGzipFile, EOFError) as error:
        raise Unfit(f"this file cannot be read: {error}") from error


def _encoding(path: Path) -> str:
    try:
        with _open(path, "utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    except (gzip.BadGzipFile, EOFError) as error:
        raise Unfit(f"this file cannot be read: {error}") from error
    return "utf-8-sig"


def _open(path: Path, encoding: str) -> TextIO:
    if path.suffix.lower() == ".gz":
        return TextIOWrapper(gzip.open(path), newline="", encoding=encoding)
    return path.open(newline="", encoding=encoding)
