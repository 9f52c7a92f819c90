"""The rules of words: texts by locale, their slugs, and how they are folded to be found."""

import re
import unicodedata
from collections.abc import Mapping
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
    lowered = unicodedata.normalize("NFKD", text.casefold()).translate(PLAIN)
    return "".join(char for char in lowered if not unicodedata.combining(char))


def words(text: str) -> list[str]:
    """Split a text into folded words."""
    return re.findall(r"[^\W_]+", fold(text))


def search_query(text: str) -> str:
    """Write a search as PostgreSQL reads it: every word, the last one as the beginning of one."""
    found = words(text)[:WORDS_MAX]
    return " & ".join([*found[:-1], f"{found[-1]}:*"]) if found else ""


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
