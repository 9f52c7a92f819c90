"""The texts of messages and how they are rendered, by (template, locale) with fallback.

A template is two files: ``<template>.<locale>.txt`` with the blocks subject, summary and body, and
``<template>.<locale>.html``, which fills the layout. A name that the data lack is an error.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec
import structlog
from babel import Locale, UnknownLocaleError
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from jinja2.exceptions import TemplateError, TemplateNotFound

from merkato.contracts.money import money
from merkato.notifications.domain.texts import Edited
from merkato.notifications.templates import edited as own

log = structlog.get_logger()

TEMPLATES = (
    "email_changed",
    "email_verification",
    "lines_cancelled",
    "message",
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
# What rendering raises when data and text do not fit each other.
UNFIT = (
    TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
GAP = re.compile(r"\n{3,}")
BLOCK = re.compile(r"{% block (\w+) %}(.*?){% endblock %}", re.S)
IMPORT = re.compile(r"{% from [^%]* %}\n?")
LAYOUT = '{% extends "layout.html" %}{% block body %}{{ own|safe }}{% endblock %}'


class Rendered(msgspec.Struct, frozen=True):
    """A message in words. `subject` and `summary` are one line each."""

    subject: str
    summary: str
    text: str = ""
    html: str = ""


class _Ours(msgspec.Struct, frozen=True):
    """A text of ours: two files, whose parts are blocks."""

    locale: str
    text: Template
    html: Template

    def line(self, part: str, values: Mapping[str, Any]) -> str:
        return _block(self.text, part, values)

    def body(self, values: Mapping[str, Any]) -> str:
        return _block(self.text, "body", values)

    def page(self, values: Mapping[str, Any]) -> str:
        return self.html.render(values)


class _Own(msgspec.Struct, frozen=True):
    """A text of the shop's own: four parts, and what they may be made of."""

    locale: str
    parts: Mapping[str, Template]
    of_text: Mapping[str, Any]
    of_html: Mapping[str, Any]
    layout: Template

    def line(self, part: str, values: Mapping[str, Any]) -> str:
        return self.parts[part].render(values, **self.of_text)

    def body(self, values: Mapping[str, Any]) -> str:
        return self.parts["text"].render(values, **self.of_text)

    def inner(self, values: Mapping[str, Any]) -> str:
        return self.parts["html"].render(values, **self.of_html)

    def page(self, values: Mapping[str, Any]) -> str:
        return self.layout.render(values, own=self.inner(values))


class Texts:
    """All templates; each is compiled when it is first used. The shop's own go before ours."""

    def __init__(self, shop_name: str, shop_url: str) -> None:
        """Take the shop's name and its address without a slash at the end."""
        self._files = Environment(
            loader=PackageLoader("merkato.notifications", "templates"),
            autoescape=lambda name: name is None or name.endswith(".html"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=-1,
            auto_reload=False,
        )
        self._shop_url = shop_url.rstrip("/")
        self._own_names = {"shop_name": shop_name, "shop_url": self._shop_url}
        self._files.globals |= self._own_names
        self._found: dict[tuple[str, str], _Ours | _Own] = {}
        self._edited: dict[tuple[str, str], Edited] = {}
        self.fresh_until = 0.0  # time of the loop until which the shop's own texts need no look

    def use(self, edited: Iterable[Edited]) -> None:
        """Take the shop's own texts, all of them, in place of those of before."""
        now = {(one.template, one.locale): one for one in edited}
        if now != self._edited:
            self._edited = now
            self._found.clear()

    def render(
        self,
        template: str,
        locale: str,
        data: Mapping[str, Any],
        link: str | None = None,
        order_token: str | None = None,
    ) -> Rendered:
        """Render a mail. Raises jinja2.UndefinedError when the data do not fit the template.

        `order_token` proves a guest's right to the order whose page the mail leads to. A text of
        the shop's own that does not fit is passed over, in favour of ours.
        """
        text = self._text(template, locale)
        if isinstance(text, _Own):
            try:
                return self._said(text, locale, data, link, order_token)
            except Exception as unfit:  # whatever somebody wrote, the mail goes out
                log.error("own text unfit", template=template, why=type(unfit).__name__)
                text = self._ours(template, locale)
        return self._said(text, locale, data, link, order_token)

    def headline(self, template: str, locale: str, data: Mapping[str, Any]) -> Rendered:
        """Render subject and summary alone, for an inbox or a telephone."""
        text = self._text(template, locale)
        values = self._values(text.locale, locale, data)
        try:
            return Rendered(*(visible(text.line(part, values)) for part in ("subject", "summary")))
        except Exception as unfit:
            if isinstance(text, _Ours):
                raise
            log.error("own text unfit", template=template, why=type(unfit).__name__)
            text = self._ours(template, locale)
            return Rendered(*(visible(text.line(part, values)) for part in ("subject", "summary")))

    def preview(self, edited: Edited, data: Mapping[str, Any], link: str) -> Rendered:
        """Render a text of the shop's own that is not in use. Raises jinja2.TemplateError."""
        return self._said(self._own(edited), edited.locale, data, link, None)

    def inner_html(self, edited: Edited, data: Mapping[str, Any], link: str) -> str:
        """Render the HTML of a text of the shop's own without our layout."""
        own = self._own(edited)
        return own.inner(self._values(own.locale, edited.locale, data, link))

    def order_url(self, data: Mapping[str, Any]) -> str | None:
        """Give the page of the order that data are about."""
        return f"{self._shop_url}/orders/{data['order_id']}" if "order_id" in data else None

    def source(self, template: str, locale: str) -> Edited:
        """Give our text as one of the shop's own would be written, to begin with."""
        ours = self._ours(template, locale)
        text, html = (
            files("merkato.notifications").joinpath("templates", f"{template}.{ours.locale}.{kind}")
            for kind in ("txt", "html")
        )
        blocks = dict(BLOCK.findall(IMPORT.sub("", text.read_text())))
        page = dict(BLOCK.findall(IMPORT.sub("", html.read_text())))
        return Edited(
            template=template,
            locale=locale,
            version=0,
            subject=blocks["subject"],
            summary=blocks["summary"],
            text=blocks["body"].strip("\n") + "\n",
            html=page["body"].strip("\n") + "\n",
        )

    def _said(
        self,
        text: _Ours | _Own,
        locale: str,
        data: Mapping[str, Any],
        link: str | None,
        order_token: str | None,
    ) -> Rendered:
        values = self._values(text.locale, locale, data, link, order_token)
        subject, summary = (visible(text.line(part, values)) for part in ("subject", "summary"))
        body = GAP.sub("\n\n", text.body(values).strip("\n")) + "\n"
        html = text.page({**values, "subject": subject, "summary": summary})
        return Rendered(subject, summary, body, html)

    def _values(
        self,
        language: str,
        locale: str,
        data: Mapping[str, Any],
        link: str | None = None,
        order_token: str | None = None,
    ) -> dict[str, Any]:
        region = _region(locale, language)
        values: dict[str, Any] = {**data, "locale": language, "link": link}
        if "order_id" in data:
            token = f"?token={order_token}" if order_token else ""
            values["order_url"] = f"{self.order_url(data)}{token}"
        if "currency" in data:
            currency = data["currency"]
            values["money"] = lambda minor: money(minor, currency, region)
        return values

    def _text(self, template: str, locale: str) -> _Ours | _Own:
        found = self._found.get((template, locale))
        if found is None:
            found = self._found[template, locale] = self._look(template, locale)
        return found

    def _look(self, template: str, locale: str) -> _Ours | _Own:
        for one in (locale, locale.partition("-")[0], LOCALES[0]):
            if (template, one) in self._edited:
                return self._own(self._edited[template, one])
            if one in LOCALES:
                break
        return self._ours(template, locale)

    def _ours(self, template: str, locale: str) -> _Ours:
        if template not in TEMPLATES:
            raise TemplateNotFound(template)
        chosen = _known(locale)
        text, html = (self._files.get_template(f"{template}.{chosen}.{k}") for k in ("txt", "html"))
        return _Ours(chosen, text, html)

    def _own(self, edited: Edited) -> _Own:
        parts = {
            part: own.environment(part).from_string(getattr(edited, part)) for part in own.PARTS
        }
        words = self._files.get_template(f"words.{_known(edited.locale)}.txt").module
        text, html = (self._files.get_template(f"parts.{kind}").module for kind in ("txt", "html"))
        common = self._own_names | _exported(words)
        layout = self._files.from_string(LAYOUT)
        locale = edited.locale.partition("-")[0]
        return _Own(locale, parts, common | _exported(text), common | _exported(html), layout)


def _known(locale: str) -> str:
    """Choose the locale of ours for somebody: the person's, its language, or the first."""
    language = locale.partition("-")[0]
    return next((one for one in (locale, language) if one in LOCALES), LOCALES[0])


def _exported(module: object) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def _block(template: Template, name: str, values: Mapping[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(values))))


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
