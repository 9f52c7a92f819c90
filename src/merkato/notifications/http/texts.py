"""Texts of messages, which the shop may write itself."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put

from merkato.chassis.db import Database
from merkato.chassis.http import IfMatch, Page, etag, expected_version, staff
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.contracts.values import Locale
from merkato.notifications.actions import texts as actions
from merkato.notifications.domain.texts import Edited
from merkato.notifications.store import edited as store
from merkato.notifications.templates import LOCALES, TEMPLATES, UNFIT, Rendered, Texts
from merkato.notifications.templates.edited import FILTERS, FUNCTIONS
from merkato.notifications.templates.samples import SAMPLES

PATH = "/api/v1/notification-templates"
READ, WRITE = "notifications:read", "notifications:write"
WITHOUT_CONTROLS = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*\Z"
Part = Annotated[str, msgspec.Meta(max_length=40_000, pattern=WITHOUT_CONTROLS)]


class TextEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A text in the list; `edited`: it is the shop's own."""

    template: str
    locale: str
    edited: bool
    version: int


class TextView(msgspec.Struct, frozen=True, kw_only=True):
    """A text, and what it may be made of: the names of its data, functions and filters."""

    template: str
    locale: str
    edited: bool
    version: int
    subject: str
    summary: str
    text: str
    html: str
    edited_by: str | None = None
    edited_at: datetime | None = None
    names: list[str]
    functions: tuple[str, ...] = tuple(sorted(FUNCTIONS))
    filters: tuple[str, ...] = tuple(sorted(FILTERS))


class TextBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text in Jinja: subject and summary of one line, the mail as text and as HTML."""

    subject: Part
    summary: Part
    text: Part
    html: Part


class TextDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to be tried with sample data, or with `data`; what is left out is as it stands."""

    subject: Part | None = None
    summary: Part | None = None
    text: Part | None = None
    html: Part | None = None
    data: dict[str, Any] | None = None


@get(PATH, policy=staff(READ))
async def list_texts(db: Database) -> Page[TextEntry]:
    """Give all templates in our locales, and the shop's own in whichever."""
    async with db.reading() as tx:
        own = {(one.template, one.locale): one.version for one in await store.every(tx)}
    ours = {(template, locale): 0 for template in TEMPLATES for locale in LOCALES}
    return Page(
        items=[
            TextEntry(template=template, locale=locale, edited=version > 0, version=version)
            for (template, locale), version in sorted((ours | own).items())
        ]
    )


@get(f"{PATH}/{{template:str}}/{{locale:str}}", policy=staff(READ))
async def read_text(template: str, locale: str, db: Database, texts: Texts) -> Response[TextView]:
    """Give a text in use for a locale, with its ETag. A new locale begins with our words."""
    async with db.reading() as tx:
        row = await store.find(tx, actions.known(template), _locale(locale))
    return _shown(texts.source(template, locale), dict(row) if row else {})


@put(f"{PATH}/{{template:str}}/{{locale:str}}", policy=staff(WRITE))
async def write_text(
    template: str,
    locale: str,
    data: TextBody,
    caller: Caller,
    db: Database,
    texts: Texts,
    if_match: IfMatch = None,
) -> Response[TextView]:
    """Use a text of the shop's own from now on. Needs If-Match.

    It is tried with sample data before, hostile data among it; 422 says what is wrong with it.
    """
    expected = expected_version(if_match)
    one = Edited(
        template=actions.known(template),
        locale=_locale(locale),
        version=expected,
        subject=data.subject,
        summary=data.summary,
        text=data.text,
        html=data.html,
    )
    async with db.transaction() as tx:
        await actions.put(tx, texts, caller, one)
        row = await store.find(tx, template, locale)
    texts.fresh_until = 0.0
    return _shown(one, dict(row) if row else {})


@delete(f"{PATH}/{{template:str}}/{{locale:str}}", policy=staff(WRITE), status_code=204)
async def remove_text(
    template: str,
    locale: str,
    caller: Caller,
    db: Database,
    texts: Texts,
    if_match: IfMatch = None,
) -> None:
    """Go back to our text. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.remove(tx, caller, actions.known(template), _locale(locale), expected)
    texts.fresh_until = 0.0


@post(f"{PATH}/{{template:str}}/{{locale:str}}/preview", policy=staff(READ), status_code=200)
async def preview_text(
    template: str, locale: str, data: TextDraft, db: Database, texts: Texts
) -> Rendered:
    """Give a text, in use or as drafted, as it would be sent with sample data; nothing is kept."""
    async with db.reading() as tx:
        row = await store.find(tx, actions.known(template), _locale(locale))
    stands = texts.source(template, locale)
    words = {
        part: row[part] if row else getattr(stands, part) for part in TextBody.__struct_fields__
    }
    words |= {part: value for part in words if (value := getattr(data, part)) is not None}
    one = Edited(template=template, locale=locale, version=0, **words)
    said = actions.try_out(texts, one)
    if data.data is None:
        return said
    try:
        return texts.preview(one, {**SAMPLES[template], **data.data}, actions.LINK)
    except UNFIT as wrong:
        raise Validation.at("/data", f"It cannot be written with these: {wrong}"[:300]) from wrong


def _locale(text: str) -> str:
    try:
        return msgspec.convert(text, Locale)
    except msgspec.ValidationError as error:
        raise Validation.at("/locale", "A locale is written as en or de-AT.") from error


def _shown(one: Edited, own: dict[str, Any]) -> Response[TextView]:
    words = {part: own.get(part, getattr(one, part)) for part in TextBody.__struct_fields__}
    version = own.get("version", 0)
    shown = TextView(
        template=one.template,
        locale=one.locale,
        edited=version > 0,
        version=version,
        edited_by=own.get("edited_by"),
        edited_at=own.get("edited_at"),
        names=sorted({*SAMPLES[one.template], "shop_name", "shop_url"}),
        **words,
    )
    return Response(shown, headers={"ETag": etag(version)})


ROUTES: tuple[Any, ...] = (list_texts, read_text, write_text, remove_text, preview_text)
