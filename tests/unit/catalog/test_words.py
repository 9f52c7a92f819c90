"""How words are folded, searched for and made into slugs."""

import pytest

from merkato.catalog.domain.words import (
    WORDS_MAX,
    fallbacks,
    fold,
    is_uuid,
    language,
    search_query,
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
    assert search_query("Red MUG ") == "red & mug:*"
    assert search_query("a!b & (c | d') :*") == "a & b & c & d:*"
    assert search_query("  '&|!:*()<-> ") == ""
    assert len(search_query("x " * 100).split(" & ")) == WORDS_MAX


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
