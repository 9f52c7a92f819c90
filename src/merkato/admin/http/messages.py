"""Messages that were sent, and the texts they are written in."""

import asyncio
from html import escape
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin.http.pages import Pages, inert
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

TEXTS, MESSAGES = "/api/v1/notification-templates", "/api/v1/notifications"
PARTS = ("subject", "summary", "text", "html")


@get("/admin/notifications/{message_id:uuid}", policy=ANYONE)
async def show_message(message_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show a message as it reads, and what became of it."""
    found = await visit.api.get(f"{MESSAGES}/{message_id}")
    return pages.draw(visit, "message.html", message=found)


@get("/admin/notifications/{message_id:uuid}/mail", policy=ANYONE)
async def show_mail(message_id: UUID, visit: Visit) -> Response[str]:
    """Give the HTML of a mail, to be looked at in a frame."""
    found = await visit.api.get(f"{MESSAGES}/{message_id}")
    return inert(found["html"])


@post("/admin/notifications/{message_id:uuid}/resend", policy=ANYONE)
async def resend(message_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Send a message once more."""
    path = f"{MESSAGES}/{message_id}/resend"
    doing = visit.api.send("POST", path, key=visit.form.get("key"))
    return await pages.done(visit, f"/admin/notifications/{message_id}", "It is sent again.", doing)


@get("/admin/t/texts", policy=ANYONE)
async def show_texts(visit: Visit, pages: Pages) -> Response[str]:
    """List the texts of all messages, by template."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in (await visit.api.get(TEXTS))["items"]:
        found.setdefault(one["template"], []).append(one)
    return pages.draw(visit, "texts.html", texts=found)


def _path(template: str, locale: str) -> str:
    return f"{TEXTS}/{segment(template)}/{segment(locale)}"


@get("/admin/texts/{template:str}/{locale:str}", policy=ANYONE)
async def show_text(template: str, locale: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show a text in its editor, with how it reads."""
    path = _path(template, locale)
    (text, headers), said = await asyncio.gather(
        visit.api.exchange("GET", path), visit.api.send("POST", f"{path}/preview", {})
    )
    etag = headers.get("etag", "")
    return pages.draw(visit, "text.html", text=text, said=said, etag=etag)


@get("/admin/texts/{template:str}/{locale:str}/mail", policy=ANYONE)
async def show_text_mail(template: str, locale: str, visit: Visit) -> Response[str]:
    """Give a text as a mail with sample data, to be looked at in a frame."""
    said = await visit.api.send("POST", f"{_path(template, locale)}/preview", {})
    return inert(said["html"])


@post("/admin/texts/{template:str}/{locale:str}", policy=ANYONE)
async def change_text(template: str, locale: str, visit: Visit, pages: Pages) -> Response[str]:
    """Use a text from now on; what was typed stays on the page when it is refused."""
    form, path = visit.form, _path(template, locale)
    words = _words(visit)
    try:
        await visit.api.send("PUT", path, words, headers={"if-match": form.get("etag", "")})
    except Refusal as refusal:
        pages.tell(visit, refusal)
        text, said = await asyncio.gather(
            visit.api.get(path), visit.api.send("POST", f"{path}/preview", {})
        )
        etag = form.get("etag", "")
        return pages.draw(visit, "text.html", text=text | words, said=said, etag=etag)
    visit.notice("Saved; it is used within 5 seconds.")
    return see_other(f"/admin/texts/{segment(template)}/{segment(locale)}")


@post("/admin/texts/{template:str}/{locale:str}/mail", policy=ANYONE)
async def show_draft(template: str, locale: str, visit: Visit, pages: Pages) -> Response[str]:
    """Give a draft as a mail with sample data, into the frame; or why it cannot be written."""
    try:
        said = await visit.api.send("POST", f"{_path(template, locale)}/preview", _words(visit))
    except Refusal as refusal:
        return inert(f"<p>{escape(pages.why(refusal))}</p>")
    return inert(said["html"])


def _words(visit: Visit) -> dict[str, str]:
    """Read the parts of a text as they were typed; browsers send lines that end in CR LF."""
    typed = dict(visit.fields)
    return {part: typed.get(part, "").replace("\r\n", "\n") for part in PARTS}


@post("/admin/texts/{template:str}/{locale:str}/reset", policy=ANYONE)
async def reset_text(template: str, locale: str, visit: Visit, pages: Pages) -> Response[str]:
    """Go back to the built-in text."""
    headers = {"if-match": visit.form.get("etag", "")}
    doing = visit.api.send("DELETE", _path(template, locale), headers=headers)
    back = f"/admin/texts/{segment(template)}/{segment(locale)}"
    return await pages.done(visit, back, "The built-in text is used again.", doing)


ROUTES = (
    show_message, show_mail, resend, show_texts, show_text, show_text_mail, change_text, show_draft,
    reset_text,
)  # fmt: skip
