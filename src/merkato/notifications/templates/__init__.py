"""The texts of messages and how they are rendered, by (template, locale) with fallback.

A template is two files: ``<template>.<locale>.txt`` with the blocks subject, summary and body, and
``<template>.<locale>.html``, which fills the layout. A name that the data lack is an error.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from jinja2.exceptions import TemplateNotFound

TEMPLATES = (
    "email_changed",
    "email_verification",
    "lines_cancelled",
    "order_cancelled",
    "order_confirmed",
    "order_credited",
    "order_placed",
    "order_shipped",
    "password_reset",
    "payment_action_required",
    "payment_declined",
    "payment_refunded",
    "refresh_token_reused",
    "refund_failed",
    "registration_repeated",
    "reservation_lost",
    "return_received",
    "return_rejected",
    "return_requested",
    "shipment_delivered",
    "staff_invited",
    "stock_low",
)
LOCALES = ("en", "de")  # the first one is the fallback
GAP = re.compile(r"\n{3,}")


class Rendered(msgspec.Struct, frozen=True):
    """A message in words. `subject` and `summary` are one line each."""

    subject: str
    summary: str
    text: str = ""
    html: str = ""


class _Pair(msgspec.Struct, frozen=True):
    locale: str  # of the texts
    text: Template
    html: Template


class Texts:
    """All templates; each is compiled when it is first used."""

    def __init__(self, shop_name: str, shop_url: str) -> None:
        """Take the shop's name and its address without a slash at the end."""
        self._files = Environment(
            loader=PackageLoader("merkato.notifications", "templates"),
            autoescape=lambda name: name is not None and name.endswith(".html"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=-1,
            auto_reload=False,
        )
        self._shop_url = shop_url.rstrip("/")
        self._files.globals |= {"shop_name": shop_name, "shop_url": self._shop_url}
        self._pairs: dict[tuple[str, str], _Pair] = {}

    def render(
        self,
        template: str,
        locale: str,
        data: Mapping[str, Any],
        link: str | None = None,
        order_token: str | None = None,
    ) -> Rendered:
        """Render a mail. Raises jinja2.UndefinedError when the data do not fit the template.

        `order_token` proves a guest's right to the order whose page the mail leads to.
        """
        pair, values = self._prepare(template, locale, data, link, order_token)
        subject, summary = _line(pair.text, "subject", values), _line(pair.text, "summary", values)
        text = GAP.sub("\n\n", _block(pair.text, "body", values).strip("\n")) + "\n"
        html = pair.html.render(values, subject=subject, summary=summary)
        return Rendered(subject, summary, text, html)

    def headline(self, template: str, locale: str, data: Mapping[str, Any]) -> Rendered:
        """Render subject and summary alone, for an inbox."""
        pair, values = self._prepare(template, locale, data)
        return Rendered(_line(pair.text, "subject", values), _line(pair.text, "summary", values))

    def _prepare(
        self,
        template: str,
        locale: str,
        data: Mapping[str, Any],
        link: str | None = None,
        order_token: str | None = None,
    ) -> tuple[_Pair, dict[str, Any]]:
        pair = self._pairs.get((template, locale)) or self._load(template, locale)
        region = _region(locale, pair.locale)
        values: dict[str, Any] = {**data, "locale": pair.locale, "link": link}
        if "order_id" in data:
            token = f"?token={order_token}" if order_token else ""
            values["order_url"] = f"{self._shop_url}/orders/{data['order_id']}{token}"
        if "currency" in data:
            currency = data["currency"]
            values["money"] = lambda minor: money(minor, currency, region)
        return pair, values

    def _load(self, template: str, locale: str) -> _Pair:
        if template not in TEMPLATES:
            raise TemplateNotFound(template)
        language = locale.partition("-")[0]
        chosen = next((one for one in (locale, language) if one in LOCALES), LOCALES[0])
        name = f"{template}.{chosen}"
        pair = _Pair(
            chosen,
            self._files.get_template(f"{name}.txt"),
            self._files.get_template(f"{name}.html"),
        )
        self._pairs[template, locale] = pair
        return pair


def _block(template: Template, name: str, values: dict[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(values)))


def _line(template: Template, name: str, values: dict[str, Any]) -> str:
    """Render a block as one line, whatever the data hold: a header ends where its line ends."""
    return visible(_block(template, name, values))


def visible(text: str) -> str:
    """Make one line of a text, without control and format characters."""
    printable = (letter if letter.isprintable() else " " for letter in text)
    return " ".join("".join(printable).split())


@lru_cache(maxsize=256)
def _region(locale: str, language: str) -> Locale:
    """Give the locale that money is written in: the person's own, if of the texts' language."""
    try:
        wanted = Locale.parse(locale, sep="-")
        return wanted if wanted.language == language else Locale.parse(language)
    except (ValueError, UnknownLocaleError):
        return Locale.parse(language)


@lru_cache(maxsize=20_000)
def money(minor: int, currency: str, locale: Locale) -> str:
    """Write an amount of minor units as people of a locale do."""
    amount = Decimal(minor).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=locale)
