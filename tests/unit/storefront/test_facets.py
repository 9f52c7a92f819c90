"""What can be chosen beside a list, and how attributes are written for people."""

import pytest

from merkato.storefront import domain
from merkato.storefront.http import facets
from merkato.storefront.templates import minor_units, number, words

COUNTED = {
    "attributes": {
        "material": [{"value": "oak", "count": 3}, {"value": "steel", "count": 1}],
        "capacity_ml": [{"value": n, "count": 1} for n in range(100, 1_200, 100)],
        "vegan": [{"value": True, "count": 2}],
    },
    "category": [
        {"id": "a", "parent_id": None, "slug": "a", "title": "A", "count": 4},
        {"id": "b", "parent_id": "a", "slug": "b", "title": "B", "count": 2},
        {"id": "c", "parent_id": None, "slug": "c", "title": "C", "count": 0},
    ],
}


def test_values_are_counted_and_the_many_stand_behind_more():
    material, capacity = facets.attributes(COUNTED, [], "en")
    assert [(one["label"], one["count"]) for one in material["first"]] == [("oak", 3), ("steel", 1)]
    assert (capacity["name"], capacity["first"][0]["label"]) == ("Capacity", "100 ml")
    assert (len(capacity["first"]), len(capacity["more"])) == (8, 3)


def test_what_was_chosen_stays_to_be_taken_off():
    kept = [("attr.material", "glass"), ("attr.capacity_ml", "1100"), ("sort", "price")]
    material, capacity = facets.attributes(COUNTED, kept, "de")
    assert [one["count"] for one in material["first"] if one["chosen"]] == [0]
    assert [one["label"] for one in capacity["first"] if one["chosen"]] == ["1100 ml"]
    glass, large = facets.chosen(kept, "/search", "de")
    assert (glass["name"], glass["value"]) == ("Material", "Glas")
    assert glass["url"] == "/search?attr.capacity_ml=1100&sort=price"
    assert large["url"] == "/search?attr.material=glass&sort=price"
    assert facets.chosen([("min", "5")], "/c/a", "en")[0]["url"] == "/c/a"


def test_categories_to_go_on_to():
    assert [one["slug"] for one in facets.below(COUNTED, None)] == ["a"]
    assert [one["count"] for one in facets.below(COUNTED, [{"id": "b"}, {"id": "x"}])] == [2]
    assert facets.below({}, [{"id": "b"}]) == [{"id": "b", "count": None}]


@pytest.mark.parametrize(
    ("key", "value", "locale", "written"),
    [("capacity_ml", 350, "en", ("Capacity", "350 ml")), ("area_m2", 4, "de", ("Fläche", "4 m²")),
     ("dishwasher_safe", True, "en", ("Dishwasher safe", "true")),
     ("origin", "FR", "de", ("Herkunft", "Frankreich")), ("origin", "x", "en", ("Origin", "x")),
     ("colour", "moss", "de", ("Farbe", "Moos")), ("unheard_of", "x", "de", ("Unheard of", "x")),
     ("ml", 3, "en", ("Ml", "3"))],
)  # fmt: skip
def test_attributes_are_written_for_people(key, value, locale, written):
    assert words.measured(key, value, locale) == written


def test_prices_that_changed_since_a_form_was_shown():
    prices = {"a": 5, "b": 7, "c": None, "d": 1}
    lines = [{"line_id": name, "unit_price_minor": minor} for name, minor in prices.items()]
    form = {"price.a": "5", "price.b": "6", "price.c": "4", "price.d": "x"}
    assert domain.changed_prices(lines, form) == [(lines[1], 6, 7)]


def test_the_page_of_an_order_looks_again_while_it_moves():
    order = {"status": "placed", "fulfilment_status": "unfulfilled", "returns": []}
    assert domain.look_again_s(order, can_pay=False) == 2
    assert domain.look_again_s(order, can_pay=True) == 0
    assert domain.look_again_s({**order, "status": "confirmed"}, can_pay=False) == 15
    done = {**order, "status": "confirmed", "fulfilment_status": "delivered"}
    assert domain.look_again_s(done, can_pay=False) == 0
    assert domain.look_again_s({**done, "returns": [{"status": "requested"}]}, can_pay=False) == 15
    assert domain.look_again_s({**order, "status": "cancelled"}, can_pay=False) == 0


def test_no_category_shows_the_picture_of_another_if_it_has_one_of_its_own():
    assert domain.distinct([["a", "b"], ["a", "c"], ["a"], [None], []]) == [
        "a",
        "c",
        "a",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "written"),
    [
        (1_450, "EUR", "de", "14,50"),
        (1_234_500, "EUR", "en", "12345.00"),
        (500, "JPY", "en", "500"),
    ],
)
def test_amounts_are_written_as_they_can_be_typed(minor, currency, locale, written):
    assert number(minor, currency, locale) == written
    assert minor_units(written, currency) == minor
