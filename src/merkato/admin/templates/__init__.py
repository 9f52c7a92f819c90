"""The templates of the back office, and how its values are written."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from babel import Locale, UnknownLocaleError
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from merkato.admin.domain import TO_SHIP, goods
from merkato.contracts import money as written

LINE_MAX = 160  # characters of a value in a list

# What is pressed after g: (letter, title, address).
KEYS = (
    ("d", "Dashboard", "/admin"), ("o", "Orders", "/admin/t/orders"),
    ("s", "To be shipped", f"/admin/t/orders?{TO_SHIP}"), ("r", "Returns", "/admin/t/returns"),
    ("c", "Customers", "/admin/t/customers"), ("p", "Products", "/admin/t/products"),
    ("m", "Notifications", "/admin/t/notifications"),
    ("l", "Dead letters", "/admin/t/dead-letters"),
    ("e", "Live events", "/admin/t/live"), ("a", "My account", "/admin/me"),
)  # fmt: skip
REASONS = (
    "changed-mind", "damaged", "not-as-described", "too-late", "too-many", "wrong-item", "other",
)  # fmt: skip


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
        self._files.globals |= {"leads": leads, "language": language, "several": goods.several}
        self._files.globals |= {"percent": goods.percent, "coded": coded, "country": country}
        self._files.globals |= {"actor": actor, "presses": KEYS, "reasons": REASONS}

    def draw(self, name: str, values: Mapping[str, Any]) -> str:
        """Draw a page."""
        return self._files.get_template(name).render(values)


def language(locale: str) -> str:
    """Write what a language is called, such as German; its code when nobody knows it."""
    try:
        return Locale.parse(locale, sep="-").get_display_name("en") or locale
    except (ValueError, UnknownLocaleError):
        return locale


def country(code: str) -> str:
    """Write what a country is called; its code when nobody knows it."""
    return str(Locale("en").territories.get(code, code))


def actor(name: str, people: Mapping[str, str]) -> str:
    """Write who did something: `user:<id>` is one of the people, the rest our own services."""
    if name in people:
        return people[name]
    kind, _, rest = name.partition(":")
    return {"user": "a person", "key": "a program", "cart": "a guest"}.get(kind, rest or kind)


def money(minor: int, currency: str) -> str:
    """Write an amount of minor units."""
    return written.money(minor, currency, "en")


def moment(at: str | None) -> Markup:
    """Write a time, in UTC; nothing for None."""
    shown = f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}" if at else ""
    return Markup('<time datetime="{}">{}</time>').format(at, shown) if at else Markup("")


def short(value: Any) -> str:
    """Write a value in one line of a list."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"


def coded(text: str) -> Markup:
    """Write text with what stands in it between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


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
