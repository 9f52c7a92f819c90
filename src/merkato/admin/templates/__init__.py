"""The templates of the back office, and how its values are written."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision
from jinja2 import Environment, PackageLoader, StrictUndefined

from merkato.admin.domain import goods

LINE_MAX = 160  # characters of a value in a list


class Templates:
    """Draws templates; each is compiled when it is first used."""

    def __init__(self, asset: Callable[[str], str], **everywhere: Any) -> None:
        self._files = Environment(
            loader=PackageLoader("merkato.admin", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=-1,
            auto_reload=False,
        )
        writing = {"money": money, "moment": moment, "short": short, "pretty": pretty}
        self._files.globals |= {"asset": asset, **writing, **everywhere}
        self._files.globals |= {"leads": leads, "language": language, "plain": goods.plain}
        self._files.globals |= {"percent": goods.percent, "written": goods.written}
        self._files.globals |= {"moment_of": goods.moment_of, "several": goods.several}

    def draw(self, name: str, values: Mapping[str, Any]) -> str:
        """Draw a page."""
        return self._files.get_template(name).render(values)


def language(locale: str) -> str:
    """Write what a language is called, such as German; its code when nobody knows it."""
    try:
        return Locale.parse(locale, sep="-").get_display_name("en") or locale
    except (ValueError, UnknownLocaleError):
        return locale


def money(minor: int, currency: str) -> str:
    """Write an amount of minor units."""
    amount = Decimal(minor).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale="en")


def moment(at: str | None) -> str:
    """Write a time, in UTC."""
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}" if at else ""


def short(value: Any) -> str:
    """Write a value in one line of a list."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"


def pretty(value: Any) -> str:
    """Write a value over several lines."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def leads(link: str, item: Mapping[str, Any]) -> str:
    """Fill members of an item into a link; nothing when one is missing."""
    try:
        return link.format_map(item)
    except KeyError:
        return ""
