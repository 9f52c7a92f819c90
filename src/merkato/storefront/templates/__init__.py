"""The templates of the pages, their texts in every language, and how money and dates are written.

Texts stand in ``<locale>.json`` under dotted names; ``{n}`` and the like are filled in. Of a name
with ``.one`` and ``.other`` the right one is taken by ``n``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, get_currency_symbol
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from merkato.contracts.money import money
from merkato.contracts.values import digits

LOCALES = ("en", "de")
AMOUNT = re.compile(r"(?=.?[0-9])([0-9]{0,12})(?:[.,]([0-9]*))?")
DATES = {"en": "en_GB"}  # how dates are written where that is not what the language says


def texts(locale: str) -> dict[str, str]:
    """Read all texts of a locale."""
    raw = files("merkato.storefront").joinpath("templates", f"{locale}.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, str])


class Templates:
    """Draws templates; each is compiled when it is first used."""

    def __init__(self, asset: Callable[[str], str], **everywhere: Any) -> None:
        self._files = Environment(
            loader=PackageLoader("merkato.storefront", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=-1,
            auto_reload=False,
        )
        self._files.globals |= {"asset": asset, "locales": LOCALES, **everywhere}
        self._texts = {locale: texts(locale) for locale in LOCALES}

    def text(self, locale: str, name: str, /, **values: Any) -> str:
        """Give a text. Raises KeyError for a name that nobody wrote."""
        known = self._texts[locale]
        if "n" in values and name not in known:
            name = f"{name}.{'one' if values['n'] == 1 else 'other'}"
        if any(isinstance(value, Markup) for value in values.values()):
            return Markup(known[name]).format(**values)  # which escapes all others
        return known[name].format(**values)

    def draw(self, name: str, locale: str, values: Mapping[str, Any]) -> str:
        """Draw a page."""

        def text(key: str, /, **given: Any) -> str:
            return self.text(locale, key, **given)

        written = {
            "t": text,
            "locale": locale,
            "money": lambda minor, currency: money(minor, currency, locale),
            "number": lambda minor, currency: number(minor, currency, locale),
            "day": lambda at: format_date(_moment(at), "long", locale=DATES.get(locale, locale)),
            "moment": lambda at: moment(at, locale),
        }
        return self._files.get_template(name).render(written, **values)


def moment(at: str | datetime, locale: str) -> Markup:
    """Write a moment in UTC; with JavaScript the browser writes it in its own time instead."""
    when = _moment(at)
    shown = format_datetime(when, "d MMM, HH:mm", locale=DATES.get(locale, locale))
    return Markup('<time datetime="{}" data-moment>{} UTC</time>').format(when.isoformat(), shown)


def _moment(at: str | datetime) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at.astimezone(UTC)


def number(minor: int, currency: str, locale: str) -> str:
    """Write an amount of minor units without its sign, as `minor_units` reads it again."""
    places = digits(currency)
    pattern = f"0.{'0' * places}".rstrip(".")
    return str(format_decimal(Decimal(minor).scaleb(-places), pattern, locale=locale))


def minor_units(text: str | None, currency: str) -> int | None:
    """Read whole or decimal units of a currency as minor units; None for nothing.

    Point and comma both stand before a fraction. Raises ValueError for what is no amount, or has
    more digits after the mark than the currency: 1,200 may mean thousands.
    """
    typed = (text or "").strip()
    if not typed:
        return None
    places = digits(currency)
    found = AMOUNT.fullmatch(typed)
    if found is None or len(found[2] or "") > places:
        raise ValueError("not an amount")
    return int(Decimal(f"{found[1] or 0}.{found[2] or 0}").scaleb(places))


@lru_cache(maxsize=1_000)
def country(code: str, locale: str) -> str:
    """Name a country (ISO 3166-1) in a language."""
    return str(Locale.parse(locale).territories.get(code, code))


@lru_cache(maxsize=1_000)
def symbol(currency: str, locale: str) -> str:
    """Give the sign of a currency."""
    return str(get_currency_symbol(currency, locale=locale))
