"""What forms mean, how far orders are, and that every text exists in every language."""

import re
from pathlib import Path
from typing import get_args

import pytest

from merkato.contracts.money import money
from merkato.orders.http.orders import Far
from merkato.storefront import domain
from merkato.storefront.templates import LOCALES, Templates, minor_units, moment, texts

FOLDER = Path(domain.__file__).parent
USED = re.compile(r"""(?:\bt\(|\btext\(visit, |"field\.|_event\()"([a-z0-9_.\-]+)\"""")


def test_every_language_has_every_text():
    first, *others = (texts(locale) for locale in LOCALES)
    for other in others:
        assert other.keys() == first.keys()
        for name, text in first.items():
            assert set(re.findall(r"{(\w+)", text)) == set(re.findall(r"{(\w+)", other[name])), name


def test_every_text_that_is_asked_for_exists():
    known = set(texts("en"))
    for file in [*FOLDER.rglob("*.html"), *FOLDER.rglob("*.py")]:
        for name in USED.findall(file.read_text()):
            begun = name.endswith(".") and any(one.startswith(name) for one in known)
            assert begun or name in known or f"{name}.one" in known, f"{file.name}: {name}"


def test_a_moment_within_a_text_opens_no_door():
    templates = Templates(lambda name: name)
    until = moment("2026-11-29T02:05:31+00:00", "en")
    assert "29 Nov, 02:05 UTC</time>" in until
    said = templates.text("en", "checkout.price", title="<b>", old=until, new="<i>")
    assert "&lt;b&gt;" in said
    assert "<time" in said
    assert "<i>" not in said


def test_plurals_and_values():
    templates = Templates(lambda name: name)
    assert templates.text("en", "cart.count", n=1) == "1 piece in the cart"
    assert templates.text("de", "list.found", n=3) == "3 Artikel"
    with pytest.raises(KeyError):
        templates.text("en", "nobody.wrote.this")


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "written"),
    [(123_456, "EUR", "en", "€1,234.56"), (123_456, "EUR", "de", "1.234,56\xa0€"),
     (500, "JPY", "en", "¥500"), (1_500, "KWD", "en", "KWD1.500")],
)  # fmt: skip
def test_money_is_written_as_people_write_it(minor, currency, locale, written):
    assert money(minor, currency, locale) == written


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("12,50", "EUR", 1_250), ("12.5", "EUR", 1_250), (" 12. ", "EUR", 1_200), (",5", "EUR", 50),
     ("800", "JPY", 800), ("1.500", "KWD", 1_500), ("", "EUR", None), (None, "EUR", None)],
)  # fmt: skip
def test_amounts_that_people_type(text, currency, minor):
    assert minor_units(text, currency) == minor


@pytest.mark.parametrize("text", ["1,200", "1.200", "1.234,50", "1 200", "x", "-1", "NaN", "1e3",
                                  "1_0", ".", "9" * 14, "\u0661"])  # fmt: skip
def test_what_nobody_can_read_as_one_amount_is_none(text):
    with pytest.raises(ValueError, match="amount"):
        minor_units(text, "EUR")


@pytest.mark.parametrize(
    ("text", "pieces"), [("3", 3), ("-3", 0), ("many", 1), ("9" * 30, 1_000_000), ("", 1)]
)
def test_pieces_that_people_type(text, pieces):
    assert domain.quantity(text) == pieces


def test_an_address_goes_into_a_form_and_back():
    fields = {
        "name": "Ada",
        "line1": "Quay 1",
        "line2": "",
        "city": "Bremen",
        "company": "",
        "postal_code": "28195",
        "country": "DE",
        "region": "",
        "phone": "",
        "tax_id": "",
    }
    made = domain.address(fields)
    assert made == {"name": "Ada", "lines": ["Quay 1"], "city": "Bremen", "postal_code": "28195",
                    "country": "DE"}  # fmt: skip
    assert domain.address_fields(made) == fields


def test_refusals_are_told_at_their_field():
    problem = {"errors": [{"pointer": "/shipping_address/city", "detail": "too long"},
                          {"pointer": "/somewhere/else", "detail": "odd"}]}  # fmt: skip
    assert domain.field_errors(problem) == {"city": "too long", "": "odd"}
    assert domain.field_errors({"detail": "no"}) == {"": "no"}


def test_a_payment_is_one_of_those_offered():
    assert domain.payment("on_account") == {"method": "on_account"}
    assert domain.payment("pm_card_visa") == {"method": "card", "token": "pm_card_visa"}
    assert domain.payment("pm_standin_wrong_amount") is None


@pytest.mark.parametrize(
    ("status", "fulfilment", "reached"),
    [("placed", "unfulfilled", 1), ("confirmed", "unfulfilled", 2), ("confirmed", "shipped", 3),
     ("confirmed", "delivered", 4), ("confirmed", "partial", 2), ("confirmed", "returned", 4)],
)  # fmt: skip
def test_progress(status, fulfilment, reached):
    order = {"status": status, "fulfilment_status": fulfilment, "shipments": []}
    assert domain.progress(order) == reached


@pytest.mark.parametrize(("second", "reached"), [(None, 3), ("2026-11-29T10:00:00Z", 4)])
def test_what_came_partly_back_was_shipped_and_is_delivered_with_its_last_parcel(second, reached):
    parcels = [{"delivered_at": "2026-11-28T10:00:00Z"}, {"delivered_at": second}]
    order = {"status": "confirmed", "fulfilment_status": "partly_returned", "shipments": parcels}
    assert domain.progress(order) == reached


@pytest.mark.parametrize("locale", LOCALES)
def test_what_can_become_of_an_order_has_words(locale):
    known = texts(locale)
    assert {f"status.{far}" for far in get_args(Far)} <= known.keys()
    assert {"event.credited", "event.refund_failed", "event.return_received"} <= known.keys()


@pytest.mark.parametrize(
    ("reasons", "told"),
    [([], False), (["insufficient_funds"], False), (["amount-not-possible-by-card"], True),
     (["amount-not-possible-by-card", None], False)],
)  # fmt: skip
def test_an_amount_that_no_card_can_pay_is_told_apart(reasons, told):
    assert domain.not_by_card([{"reason": reason} for reason in reasons]) is told


@pytest.mark.parametrize(
    ("status", "payment", "fulfilment", "word"),
    [
        ("placed", "pending", "unfulfilled", "placed"),
        ("placed", "declined", "unfulfilled", "unpaid"),
        ("placed", "action_required", "unfulfilled", "unpaid"),
        ("confirmed", "paid", "unfulfilled", "confirmed"),
        ("confirmed", "paid", "partial", "partial"),
        ("cancelled", "declined", "unfulfilled", "cancelled"),
    ],
)
def test_a_list_says_how_an_order_stands(status, payment, fulfilment, word):
    order = {"status": status, "payment_status": payment, "fulfilment_status": fulfilment}
    assert domain.standing(order) == word
