"""Cells of files: money, formulas, and what a column means."""

import pytest

from merkato.catalog.domain.amounts import PriceKey, parse_amount, parse_key, write_amount
from merkato.catalog.domain.columns import bare, guarded, place_of, read_header, read_row
from merkato.contracts.problem import Validation


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("19.99", "EUR", 1_999), ("19.9", "EUR", 1_990), ("19", "EUR", 1_900), (" 0 ", "EUR", 0),
        ("2000", "JPY", 2_000), ("2000.0", "JPY", 2_000), ("1.234", "KWD", 1_234),
        ("10000000000", "EUR", 10**12), ("1e3", "EUR", 100_000),
    ],
)  # fmt: skip
def test_amounts(text, currency, minor):
    assert parse_amount(text, currency) == minor
    assert parse_amount(write_amount(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19.999", "EUR"), ("0.5", "JPY"), ("1,50", "EUR"), ("", "EUR"), ("-1", "EUR"),
        ("NaN", "EUR"), ("Infinity", "EUR"), ("1e400", "EUR"),
        ("10000000000.01", "EUR"), ("€5", "EUR"),
    ],
)  # fmt: skip
def test_what_is_no_amount(text, currency):
    with pytest.raises(ValueError):
        parse_amount(text, currency)


@pytest.mark.parametrize("text", ["EUR", "EUR.trade", "EUR@10", "JPY.trade-2@1000000"])
def test_names_of_prices(text):
    assert str(parse_key(text)) == text


@pytest.mark.parametrize(
    "text", ["eur", "EUR.", "EUR@", "EUR@0", "EUR@1000001", "EUR.Trade", "EURO"]
)
def test_what_is_no_price(text):
    with pytest.raises(ValueError):
        parse_key(text)
    assert str(PriceKey("EUR", "standard", 1)) == "EUR"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("@x", "'@x"), ("\tx", "'\tx"),
        ("'=x", "''=x"), ("''@", "'''@"), ("plain", "plain"), ("'plain", "'plain"), ("'", "'"),
        ("-7", "-7"), ("+7.5", "+7.5"), ("", ""), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_no_spreadsheet_runs_a_cell_and_none_is_lost(cell, written):
    assert guarded(cell) == written
    assert bare(written) == cell


def test_a_row_says_which_cells_are_wrong():
    titles = ["slug", "title.de", "sku", "weight_g", "track_stock", "price.EUR", "attr.n:int"]
    columns = read_header(titles, "en")
    with pytest.raises(Validation) as refused:
        read_row(columns, ["A B", "x\x00", "ok", "1.5", "maybe", "x", "1e3"])
    assert [one["pointer"] for one in refused.value.members["errors"]] == [
        "/slug", "/title.de", "/weight_g", "/track_stock", "/price.EUR", "/attr.n:int"
    ]  # fmt: skip
    entry = read_row(columns, ["a", "Ä", "A", "", "yes", "1.5", "-3"])
    assert (entry.slug, entry.attributes) == ("a", {"n": -3})
    assert (entry.variants[0].track_stock, entry.variants[0].amounts) == (True, {"EUR": 150})
    with pytest.raises(Validation):
        read_row(columns, ["a", "", "", "5"])  # a weight of no variant


def test_a_row_says_which_words_a_status_may_be():
    with pytest.raises(Validation) as refused:
        read_row(read_header(["slug", "status"], "en"), ["a", "sold"])
    [error] = refused.value.members["errors"]
    assert error == {"pointer": "/status", "detail": "Write draft, active or archived."}


def test_pointers_into_entries_name_columns():
    assert place_of("/texts/en/title", "en") == "/title"
    assert place_of("/texts/de/slug", "en") == "/slug.de"
    assert place_of("/variants/0/prices/1/valid_from", "en") == "/price"
    assert place_of("/variants/0/options", "en") == "/option"
    assert place_of("/categories", "en") == "/categories"
    assert place_of("", "en") == ""
