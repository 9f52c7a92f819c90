"""The rules of words: texts by locale, their slugs, and how they are folded to be found."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from merkato.contracts.problem import Validation
from merkato.contracts.values import VISIBLE, Locale, Text

SLUG_MAX = 100
WORDS_MAX = 16  # of one search; the rest is not looked for

Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=SLUG_MAX)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=VISIBLE)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody sends; a field nobody knows is an error."""


class Words(Body, frozen=True, kw_only=True):
    """The texts of a product or a category in one locale. Without a slug the title makes one."""

    title: Title
    description: Text = ""
    slug: Slug | None = None


Texts = Annotated[dict[Locale, Words], msgspec.Meta(min_length=1, max_length=30)]


# Letters that decomposing does not turn into plain ones.
PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)


def fold(text: str) -> str:
    """Write a text as it is searched for: lower case, without accents (``Überwurf`` → uberwurf)."""
    if text.isascii():
        return text.lower()
    lowered = unicodedata.normalize("NFKD", text.casefold()).translate(PLAIN)
    return "".join(char for char in lowered if not unicodedata.combining(char))


def words(text: str) -> list[str]:
    """Split a text into folded words."""
    return re.findall(r"[^\W_]+", fold(text))


def search_words(text: str) -> list[str]:
    """Split a search into folded words; of a very long one the first."""
    return words(text)[:WORDS_MAX]


def search_query(asked: Sequence[str]) -> str:
    """Write words as PostgreSQL searches: every one, the last as the beginning of a word."""
    return " & ".join([*asked[:-1], f"{asked[-1]}:*"])


def corrected_query(asked: Sequence[str], like: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Write a search anew, as PostgreSQL reads it and as people do.

    Words that nobody uses, the keys of `like`, give way to what they may have been meant for; one
    without a candidate that is near enough stays.
    """
    meant = [nearest(word, like.get(word, ())) or [word] for word in asked]
    query = " & ".join(f"({' | '.join(words)})" for words in meant)
    return query, " ".join(words[0] for words in meant)


def nearest(word: str, candidates: Sequence[str]) -> list[str]:
    """Give the candidates that take the fewest strokes to write instead, two at most.

    One stroke for words of up to five letters; words of up to three are never corrected.
    """
    strokes = 0 if len(word) <= 3 else 1 if len(word) <= 5 else 2
    found = {other: distance(word, other) for other in candidates}
    least = min(found.values(), default=strokes + 1)
    return [other for other in found if found[other] == least][:2] if least <= strokes else []


def distance(one: str, other: str) -> int:
    """Count the letters to put in, leave out, replace or exchange with their neighbour."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            steps = min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                steps = min(steps, before[j - 2] + 1)
            row.append(steps)
        before, above = above, row
    return above[-1]


def slugify(title: str) -> str:
    """Make a slug of a title: what is between the words becomes one hyphen."""
    slug = re.sub(r"[^a-z0-9]+", "-", fold(title)).strip("-")
    return slug[:SLUG_MAX].strip("-")


LANGUAGES = {"en": "english", "de": "german"}


def language(locale: str) -> str:
    """Name the dictionary that stems words of a locale; `simple` stems none."""
    return LANGUAGES.get(locale.split("-", maxsplit=1)[0], "simple")


def fallbacks(locale: str | None, default: str) -> list[str]:
    """List the locales whose texts will do, best first: ``de-AT``, ``de``, the default."""
    wanted = [locale, locale.split("-")[0], default] if locale else [default]
    return list(dict.fromkeys(wanted))


def checked_texts(texts: Mapping[str, Words], default: str) -> dict[str, Words]:
    """Give the texts with a slug each. Raises Validation without the default locale."""
    if default not in texts:
        raise Validation.at("/texts", f"The texts in the default locale, {default}, are missing.")
    whole = {}
    for locale, text in texts.items():
        slug = text.slug or slugify(text.title)
        if not slug or is_uuid(slug):
            raise Validation.at(f"/texts/{locale}/slug", "Give a slug of a-z, 0-9 and hyphens.")
        whole[locale] = msgspec.structs.replace(text, slug=slug)
    return whole


def is_uuid(text: str) -> bool:
    """Tell whether a text is an id and so no slug."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
