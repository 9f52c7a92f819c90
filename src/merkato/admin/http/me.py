"""One's own account in the back office: second factor and logins; and keys for programs."""

import asyncio
from typing import Any
from uuid import UUID

import segno
from litestar import Response, get, post

from merkato.admin import store
from merkato.admin.domain import desk
from merkato.admin.domain.goods import Wrong
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other

TOTP, SESSIONS, KEYS = "/api/v1/me/totp", "/api/v1/me/sessions", "/api/v1/api-keys"
HERE = "/admin/me"
QUIET = 4  # modules around a QR code (ISO/IEC 18004, 9.1)


@get(HERE, policy=ANYONE)
async def show_me(visit: Visit, pages: Pages) -> Response[str]:
    """Show one's second factor and logins."""
    return await _drawn(visit, pages)


async def _drawn(visit: Visit, pages: Pages, **more: Any) -> Response[str]:
    me, totp, sessions = await asyncio.gather(
        store.me(visit.api), visit.api.get(TOTP), visit.api.get(SESSIONS)
    )
    values = {"enrolment": None, "qr": "", "codes": ()} | more
    drawn = pages.draw(visit, "me.html", me=me, totp=totp, sessions=sessions["items"], **values)
    drawn.headers["Cache-Control"] = "no-store"  # it may show a secret
    return drawn


def qr_code(text: str) -> str:
    """Draw a QR code as SVG, black on white in either theme, as cameras like it."""
    code = segno.make(text, error="m", micro=False)
    drawn: str = code.svg_inline(
        scale=5, border=QUIET, light="#fff", svgclass="qr", omitsize=True, title="QR code"
    )
    return drawn


@post(f"{HERE}/totp", policy=ANYONE)
async def begin(visit: Visit, pages: Pages) -> Response[str]:
    """Begin a second factor: show its QR code, once."""
    body = {"password": visit.form.get("password", "")}
    try:
        enrolment = await visit.api.send("POST", TOTP, body)
    except Refusal as refusal:
        return _refused(visit, pages, refusal)
    return await _drawn(visit, pages, enrolment=enrolment, qr=qr_code(enrolment["otpauth_url"]))


def _refused(visit: Visit, pages: Pages, refusal: Refusal) -> Response[str]:
    pages.tell(visit, refusal)
    return see_other(HERE)


@post(f"{HERE}/totp/confirmation", policy=ANYONE)
async def confirm(visit: Visit, pages: Pages) -> Response[str]:
    """Switch the second factor on with its first code; a wrong one may be typed again."""
    form = visit.form
    try:
        made = await visit.api.send("POST", f"{TOTP}/confirmation", {"code": _code(form)})
    except Refusal as refusal:
        if refusal.status != 422:
            return _refused(visit, pages, refusal)
        visit.notice("That was not the code that the app shows now. Try the next one.", "bad")
        url = form.get("otpauth_url", "")
        again = {"otpauth_url": url, "secret": form.get("secret", "")}
        return await _drawn(visit, pages, enrolment=again, qr=qr_code(url))
    visit.notice("Switched on. Your logins ask for a code from now on.")
    return await _drawn(visit, pages, codes=made["recovery_codes"])


def _code(form: dict[str, str]) -> str:
    return "".join(form.get("code", "").split())


@post(f"{HERE}/totp/recovery-codes", policy=ANYONE)
async def renew_codes(visit: Visit, pages: Pages) -> Response[str]:
    """Show new recovery codes, once; the old ones are useless then."""
    try:
        made = await visit.api.send("POST", f"{TOTP}/recovery-codes", {"code": _code(visit.form)})
    except Refusal as refusal:
        return _refused(visit, pages, refusal)
    return await _drawn(visit, pages, codes=made["recovery_codes"])


@post(f"{HERE}/totp/removal", policy=ANYONE)
async def remove(visit: Visit, pages: Pages) -> Response[str]:
    """Switch the second factor off, by a code."""
    headers = {"x-totp-code": _code(visit.form) or "-"}
    doing = visit.api.send("DELETE", TOTP, headers=headers)
    return await pages.done(visit, HERE, "Switched off. A password is enough again.", doing)


@post(f"{HERE}/sessions/{{session_id:uuid}}/end", policy=ANYONE)
async def end_session(session_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """End a login."""
    doing = store.delete(visit.api, f"{SESSIONS}/{session_id}")
    return await pages.done(visit, HERE, "That login is ended within a minute.", doing)


@get("/admin/t/api-keys", policy=ANYONE)
async def show_keys(visit: Visit, pages: Pages) -> Response[str]:
    """Show the keys of programs, and the form of a new one."""
    return await _keys(visit, pages)


async def _keys(visit: Visit, pages: Pages, made: dict[str, Any] | None = None) -> Response[str]:
    keys, ended, known = await asyncio.gather(
        visit.api.get(KEYS, limit=100),
        visit.api.get(KEYS, limit=20, revoked=True),
        visit.api.get("/api/v1/permissions"),
    )
    drawn = pages.draw(
        visit, "api-keys.html", keys=keys["items"], ended=ended["items"], made=made,
        groups=desk.grouped(one["name"] for one in known["items"]),
    )  # fmt: skip
    drawn.headers["Cache-Control"] = "no-store"  # it may show a secret
    return drawn


@post("/admin/api-keys", policy=ANYONE)
async def make_key(visit: Visit, pages: Pages) -> Response[str]:
    """Make a key, and show it this once."""
    form = visit.form
    scopes = [value for field, value in visit.fields if field == "scopes"]
    body: dict[str, Any] = {"name": form.get("name", ""), "scopes": scopes}
    if form.get("expires"):
        body["expires_at"] = f"{form['expires']}T23:59:59Z"
    try:
        made = await visit.api.send("POST", KEYS, body)
    except Refusal as refusal:
        pages.tell(visit, refusal if scopes else Wrong("Choose what the program may do."))
        return await _keys(visit, pages)
    return await _keys(visit, pages, made)


@post("/admin/api-keys/{key_id:uuid}/end", policy=ANYONE)
async def end_key(key_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """End a key."""
    doing = store.delete(visit.api, f"{KEYS}/{key_id}")
    said = "The key is ended; every service refuses it within a minute."
    return await pages.done(visit, "/admin/t/api-keys", said, doing)


ROUTES = (
    show_me, begin, confirm, renew_codes, remove, end_session, show_keys, make_key, end_key,
)  # fmt: skip
