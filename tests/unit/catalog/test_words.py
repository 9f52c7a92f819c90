"""How words are folded, searched for and made into slugs."""

import pytest

from merkato.catalog.domain.words import (
    WORDS_MAX,
    corrected_query,
    distance,
    fallbacks,
    fold,
    is_uuid,
    language,
    nearest,
    search_query,
    search_words,
    slugify,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("Überwurf", "uberwurf"),
        ("STRAẞE Straße", "strasse strasse"),
        ("Smørrebrød", "smorrebrod"),
        ("Œuvre Łódź", "oeuvre lodz"),
        ("ﬁne", "fine"),
        ("İstanbul ısı", "istanbul isi"),
        ("чай", "чаи"),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded
    assert fold(folded) == folded


def test_a_search_is_words_and_the_beginning_of_one():
    assert search_query(search_words("Red MUG ")) == "red & mug:*"
    assert search_query(search_words("a!b & (c | d') :*")) == "a & b & c & d:*"
    assert search_words("  '&|!:*()<-> ") == []
    assert len(search_words("x " * 100)) == WORDS_MAX


@pytest.mark.parametrize(
    ("one", "other", "strokes"),
    [
        ("kettle", "kettle", 0), ("ketlte", "kettle", 1), ("kettl", "kettle", 1),
        ("cettle", "kettle", 1), ("kketle", "kettle", 2), ("", "abc", 3), ("abc", "", 3),
        ("ca", "abc", 3), ("sand", "moss", 4),
    ],
)  # fmt: skip
def test_strokes_between_words(one, other, strokes):
    assert distance(one, other) == strokes == distance(other, one)


def test_words_are_corrected_to_the_nearest_if_one_is_near():
    assert nearest("ketlte", ["kettles", "kettle", "nettle"]) == ["kettle"]
    assert nearest("mugg", ["mug", "muggs", "much"]) == ["mug", "muggs"]
    assert nearest("mgu", ["mug"]) == []  # too short to guess
    assert nearest("plato", ["plating"]) == []
    assert corrected_query(["coper", "mug"], {"coper": ["copper"]}) == (
        "(copper) & (mug)", "copper mug",
    )  # fmt: skip
    assert corrected_query(["xylo", "mug"], {"xylo": []}) == ("(xylo) & (mug)", "xylo mug")


def test_slugs():
    assert slugify("Crème brûlée & Co.") == "creme-brulee-co"
    assert slugify("!!!") == ""
    assert len(slugify("long " * 100)) <= 100
    assert not slugify("long " * 100).endswith("-")
    assert is_uuid("0190a3a0-0000-7000-8000-000000000000")
    assert not is_uuid("mug")


def test_locales_fall_back():
    assert fallbacks("de-AT", "en") == ["de-AT", "de", "en"]
    assert fallbacks("en", "en") == ["en"]
    assert fallbacks(None, "en") == ["en"]
    assert (language("de-AT"), language("en"), language("fr")) == ("german", "english", "simple")
