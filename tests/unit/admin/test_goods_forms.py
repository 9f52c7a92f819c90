"""What is typed into the forms about goods and terms is read right, or said to be wrong."""

import re

import pytest

from merkato.admin.domain import goods, settings, terms
from merkato.admin.domain.goods import PriceChange, Wrong
from merkato.config import Config


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12,90", "EUR", 1290), ("1290", "JPY", 1290), ("1.5", "KWD", 1500), ("0", "EUR", 0),
        ("1.200,50", "EUR", 120_050), ("1,200.5", "EUR", 120_050), ("1 200", "EUR", 120_000),
        ("1,200,000", "EUR", 120_000_000), ("0.500", "EUR", 50), (".5", "EUR", 50),
        ("1,200", "JPY", 1200), ("1.200", "JPY", 1200), ("1.500", "KWD", 1500),
    ],
)  # fmt: skip
def test_prices_have_the_digits_of_their_currency(text, currency, minor):
    assert goods.minor(text, currency) == minor
    assert goods.minor(goods.plain(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "plainly"),
    [("1,200", "EUR", "1200 or 1.2"), ("1.200", "EUR", "1200 or 1.2"), ("1.234", "EUR", "1234"),
     ("100,000", "EUR", "100000 or 100"), ("1,500", "KWD", "1500 or 1.5")],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(text, currency, plainly):
    said = f"Price: {text} can be read in two ways; write {plainly}."
    with pytest.raises(Wrong, match=f"^{re.escape(said)}$"):
        goods.minor(text, currency)
    with pytest.raises(Wrong, match="two ways"):
        goods.basis_points(text, most=10**6)


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "1.005", "Infinity", "NaN", "1e99", "1,200,50", "1.2.3", "1_000", "٣", ","],
)
def test_what_is_no_price_is_said(text):
    with pytest.raises(Wrong, match="Price"):
        goods.minor(text, "EUR")


def test_amounts_by_currency():
    assert goods.amounts("EUR 4.90, usd 5,50", "Costs") == {"EUR": 490, "USD": 550}
    assert goods.amounts("", "Costs") == {}
    assert goods.amounts(goods.written({"JPY": 500, "EUR": 0}), "Costs") == {"JPY": 500, "EUR": 0}
    for wrong in ("4.90", "EUR", "EUR 1, EUR 2", "EURO 1"):
        with pytest.raises(Wrong):
            goods.amounts(wrong, "Costs")


@pytest.mark.parametrize(
    ("minor", "change", "becomes"),
    [
        (1999, {"points": -1000}, 1799),
        (1995, {"points": 500}, 2095),  # half a cent goes up
        (1000, {"sum_minor": -250}, 750),
        (100, {"sum_minor": -250}, 1),  # what costs something never becomes free
        (0, {"points": 500}, 0),
        (4, {"ending": "10"}, 10),
        (40, {"ending": "99"}, 99),
        (0, {"ending": "99"}, 0),
        (1999, {"points": -1000, "ending": "10"}, 1800),
        (1999, {"points": -1000, "ending": "99"}, 1799),
        (1040, {"points": 0, "ending": "99"}, 999),
        (1050, {"points": 0, "ending": "99"}, 1099),
    ],
)
def test_changed_prices(minor, change, becomes):
    assert goods.changed_price(minor, PriceChange("standard", "EUR", **change)) == becomes


def test_texts_keep_what_the_form_does_not_name():
    before = {
        "en": {"title": "Mug", "description": "Holds", "slug": "mug"},
        "de": {"title": "Becher", "description": "", "slug": "becher"},
        "pl": {"title": "Kubek", "description": "", "slug": "kubek"},
    }
    form = {
        "title.en": "Cup", "description.en": "Holds tea", "slug.en": "mug", "title.de": "",
        "title.new": "Tasse", "locale.new": "fr", "description.new": "",
    }  # fmt: skip
    assert goods.texts(form, before) == {
        "en": {"title": "Cup", "description": "Holds tea", "slug": "mug"},
        "pl": before["pl"],
        "fr": {"title": "Tasse", "description": ""},
    }
    with pytest.raises(Wrong, match="Language"):
        goods.texts({"title.new": "Tasse", "locale.new": "French"}, before)


def test_what_was_typed_is_shown_again():
    before = {"en": {"title": "Mug", "description": "", "slug": "mug"}}
    form = {"title.de": "", "description.de": "Schön", "slug.de": "becher", "title.new": "Tasse"}
    assert goods.typed_texts(form, before)["de"] == {
        "title": "", "description": "Schön", "slug": "becher",
    }  # fmt: skip
    prices = [{"price_list": "trade", "currency": "JPY", "from_quantity": 10,
               "valid_from": "2030-01-31T00:00:00Z", "amount_minor": 1200}]  # fmt: skip
    [row] = goods.written_rows(prices)
    form = {f"price.3.{name}": value for name, value in row.items()} | {"price.4.amount": "x"}
    assert goods.typed_rows(form)[0] == row
    assert goods.typed_rows(form)[1]["amount"] == "x"


def test_attributes_are_what_they_look_like_unless_they_were_texts():
    text = "material: clay\nvolume_ml: 300\nnew: yes\nisbn: 9783161484100\n"
    found = goods.attributes(text, {"isbn": "9783161484100"})
    assert found == {"material": "clay", "volume_ml": 300, "new": True, "isbn": "9783161484100"}
    assert goods.attributes(goods.lines(found), found) == found
    with pytest.raises(Wrong):
        goods.attributes("no colon", {})


def test_options_and_their_text_say_the_same():
    found = goods.options("colour: moss, sand\n\nsize: S")
    assert found == [
        {"name": "colour", "values": ["moss", "sand"]}, {"name": "size", "values": ["S"]},
    ]  # fmt: skip
    assert goods.options(goods.chosen(found)) == found


def test_rows_of_prices():
    form = {
        "price.0.list": "standard", "price.0.currency": "eur", "price.0.from": "1",
        "price.0.since": "", "price.0.amount": "9.90", "price.1.amount": "",
        "price.2.currency": "JPY", "price.2.amount": "500", "price.2.since": "2030-01-31 08:00",
    }  # fmt: skip
    assert goods.price_rows(form) == [
        {"price_list": "standard", "currency": "EUR", "from_quantity": 1, "amount_minor": 990},
        {"price_list": "standard", "currency": "JPY", "from_quantity": 1, "amount_minor": 500,
         "valid_from": "2030-01-31T08:00:00Z"},
    ]  # fmt: skip


def test_moments_are_written_as_they_are_read():
    for text in ("2030-01-31T00:00:00Z", "2030-01-31T08:30:15.250000Z"):
        assert goods.instant(goods.moment_of(text.replace("Z", "+00:00")), "From") == text
    with pytest.raises(Wrong):
        goods.instant("tomorrow", "From")


def test_a_category_cannot_go_below_itself():
    tree = [{"id": "a", "children": [{"id": "b", "children": [{"id": "c", "children": []}]}]}]
    assert goods.below(tree, "b") == {"b", "c"}
    assert [(one["id"], one["depth"]) for one in goods.flat(tree)] == [("a", 0), ("b", 1), ("c", 2)]


def test_steps_of_weight():
    found = terms.steps("2000: EUR 6.90\n5000 g: EUR 9, USD 10")
    assert found[1] == {"from_g": 5000, "prices": {"EUR": 900, "USD": 1000}}
    assert terms.steps(terms.written_steps(found)) == found


def test_a_coupons_form():
    form = {"kind": "percent", "percent": "12.5", "uses_max": "3", "valid_until": "2030-01-31"}
    assert terms.coupon_body(form) == {
        "kind": "percent", "minimum": {}, "basis_points": 1250, "uses_max": 3,
        "valid_until": "2030-01-31T00:00:00Z",
    }  # fmt: skip
    for wrong in ({"percent": "much"}, {"percent": "1", "uses_max": "0"}, {"percent": "101"}):
        with pytest.raises(Wrong):
            terms.coupon_body(form | wrong)


def test_settings_show_no_secret():
    shown = [one for _, rows in settings.shown(Config()).parts for one in rows]
    assert any(one.name == "catalog.default_currency" and one.value == "EUR" for one in shown)
    assert not [one.name for one in shown if one.name.endswith(("_secret", "_key", "_url", "urls"))
                and one.name != "public_url"]  # fmt: skip
