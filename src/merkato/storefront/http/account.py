"""The customer's account: orders, profile, addresses, messages, and their data."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get, post

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import Unauthenticated
from merkato.storefront import domain
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import accounts, carts, orders

HTTPRequest = Request[Any, Any, Any]


async def _draw(
    visit: Visit, pages: Pages, tab: str, errors: dict[str, str] | None = None, *,
    who: tuple[dict[str, Any], str] | None = None, **values: Any,
) -> Response[str]:  # fmt: skip
    """Draw a page of the account; `who` is what accounts.me gave, if it was asked already."""
    _known(visit)
    me, etag = who or await accounts.me(visit.api)
    return await pages.draw(
        visit, "account.html", tab=tab, me=me, etag=etag, errors=errors or {}, **values
    )


@get(["/account", "/account/orders"], policy=ANYONE)
async def show_orders(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """List the customer's orders."""
    _known(visit)
    found, who = await asyncio.gather(
        orders.mine(visit.api, request.query_params.get("cursor")), accounts.me(visit.api)
    )
    return await _draw(
        visit, pages, "orders", who=who, orders=found["items"], next_cursor=found["next_cursor"],
        standing=domain.standing,
    )  # fmt: skip


@get("/account/profile", policy=ANYONE)
async def show_profile(visit: Visit, pages: Pages) -> Response[str]:
    """Show name and password forms."""
    return await _draw(visit, pages, "profile")


@post("/account/profile", policy=ANYONE)
async def change_profile(visit: Visit, pages: Pages) -> Response[str]:
    """Change the name."""
    form = visit.form
    change = {"name": form.get("name") or None, "locale": visit.locale}
    try:
        await accounts.change_me(visit.api, change, form.get("etag", ""))
        visit.notice(pages.text(visit, "account.saved"))
    except Refusal as refusal:
        if refusal.status != 412:
            return await _again(visit, pages, "profile", refusal)
        visit.notice(pages.text(visit, "account.stale"), "bad")
    return see_other("/account/profile")


@post("/account/password", policy=ANYONE)
async def change_password(visit: Visit, pages: Pages) -> Response[str]:
    """Change the password; everybody logs in anew then."""
    form = visit.form
    try:
        await accounts.change_password(visit.api, form.get("current", ""), form.get("password", ""))
    except Refusal as refusal:
        if refusal.status == 403:
            errors = {"": pages.text(visit, "account.password.wrong")}
            return await _draw(visit, pages, "profile", errors)
        return await _again(visit, pages, "profile", refusal)
    visit.session.log_out()
    visit.notice(pages.text(visit, "account.password.done"))
    return see_other("/login")


@post("/account/email", policy=ANYONE)
async def change_email(visit: Visit, pages: Pages) -> Response[str]:
    """Ask for another e-mail address; the link in the mail to it makes it count."""
    _known(visit)
    form = visit.form
    try:
        await accounts.change_email(visit.api, form.get("email", ""), form.get("proof", ""))
    except Refusal as refusal:
        if refusal.status == 403:
            errors = {"": pages.text(visit, "account.password.wrong")}
            return await _draw(visit, pages, "profile", errors)
        return await _again(visit, pages, "profile", refusal)
    visit.notice(pages.text(visit, "account.email.asked", email=form.get("email", "")))
    return see_other("/account/profile")


async def _again(
    visit: Visit, pages: Pages, tab: str, refusal: Refusal, **values: Any
) -> Response[str]:
    errors = pages.errors(visit, domain.field_errors(refusal.problem))
    return await _draw(visit, pages, tab, errors, **values)


@get("/account/addresses", policy=ANYONE)
async def show_addresses(visit: Visit, pages: Pages) -> Response[str]:
    """Show the address book."""
    _known(visit)
    book, who = await asyncio.gather(accounts.addresses(visit.api), accounts.me(visit.api))
    return await _draw(
        visit, pages, "addresses", who=who, addresses=book, values={"country": domain.COUNTRY}
    )


@post("/account/addresses", policy=ANYONE)
async def add_address(visit: Visit, pages: Pages) -> Response[str]:
    """Add to the address book."""
    wrong = domain.missing(visit.form, ("name", "line1", "postal_code", "city", "country"))
    if wrong:
        _known(visit)
        book, errors = await accounts.addresses(visit.api), pages.errors(visit, wrong)
        return await _draw(visit, pages, "addresses", errors, addresses=book, values=visit.form)
    try:
        await accounts.add_address(visit.api, domain.address(visit.form))
    except Refusal as refusal:
        book = await accounts.addresses(visit.api)
        return await _again(visit, pages, "addresses", refusal, addresses=book, values=visit.form)
    visit.notice(pages.text(visit, "account.saved"))
    return see_other("/account/addresses")


@post("/account/addresses/{address_id:uuid}/removal", policy=ANYONE)
async def remove_address(address_id: Any, visit: Visit) -> Response[str]:
    """Remove from the address book."""
    try:
        await accounts.remove_address(visit.api, str(address_id))
    except Refusal as refusal:
        if refusal.status != 404:
            raise
    return see_other("/account/addresses")


@get("/account/messages", policy=ANYONE)
async def show_messages(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show the inbox."""
    _known(visit)
    found, who = await asyncio.gather(
        accounts.inbox(visit.api, request.query_params.get("cursor")), accounts.me(visit.api)
    )
    return await _draw(
        visit, pages, "messages", who=who, messages=found["items"], unread=found["unread"],
        next_cursor=found["next_cursor"],
    )  # fmt: skip


@post("/account/messages/{message_id:uuid}/read", policy=ANYONE)
async def mark_read(message_id: Any, visit: Visit) -> Response[str]:
    """Note that a message was read."""
    _known(visit)
    try:
        await accounts.mark_read(visit.api, str(message_id))
    except Refusal as refusal:
        if refusal.status != 404:
            raise
    return see_other("/account/messages")


@get("/account/notifications", policy=ANYONE)
async def show_preferences(visit: Visit, pages: Pages) -> Response[str]:
    """Show what the customer is told, and how."""
    _known(visit)
    (items, version), who = await asyncio.gather(
        accounts.preferences(visit.api), accounts.me(visit.api)
    )
    return await _draw(
        visit, pages, "notifications", who=who, version=version, kinds=domain.by_kind(items),
    )  # fmt: skip


@post("/account/notifications", policy=ANYONE)
async def set_preferences(visit: Visit, pages: Pages) -> Response[str]:
    """Choose what to be told, and how."""
    _known(visit)
    items, _ = await accounts.preferences(visit.api)
    wanted = [
        {
            "kind": one["kind"], "channel": one["channel"],
            "wanted": f"{one['kind']}.{one['channel']}" in visit.form,
        }
        for one in items if not one["fixed"]
    ]  # fmt: skip
    try:
        await accounts.set_preferences(visit.api, wanted, visit.form.get("version", ""))
        visit.notice(pages.text(visit, "account.saved"))
    except Refusal as refusal:
        if refusal.status != 412:
            raise
        visit.notice(pages.text(visit, "account.stale"), "bad")
    return see_other("/account/notifications")


@get("/account/privacy", policy=ANYONE)
async def show_privacy(visit: Visit, pages: Pages) -> Response[str]:
    """Offer the export and the end."""
    return await _draw(visit, pages, "privacy")


@post("/account/export", policy=ANYONE)
async def export(visit: Visit) -> Response[bytes]:
    """Send everything that is kept about the customer as a file."""
    _known(visit)
    body = msgspec.json.format(msgspec.json.encode(await accounts.export_me(visit.api)))
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(body, status_code=200, headers=headers, media_type="application/json")


@post("/account/erasure", policy=ANYONE)
async def erase(visit: Visit, pages: Pages) -> Response[str]:
    """Delete the account."""
    if visit.form.get("sure") != "yes":
        errors = {"": pages.text(visit, "privacy.erase.last")}
        return await _draw(visit, pages, "privacy", errors)
    _, etag = await accounts.me(visit.api)
    try:
        await accounts.erase_me(visit.api, etag)
    except Refusal as refusal:
        if refusal.status == 401:
            raise
        return await _draw(visit, pages, "privacy", {"": pages.refusal(visit, refusal)})
    carts.forget(visit.session)
    visit.session.log_out()
    visit.notice(pages.text(visit, "privacy.erased"))
    return see_other("/")


def _known(visit: Visit) -> None:
    if not visit.session.logged_in:
        raise Unauthenticated("Log in first.")


ROUTES = (
    show_orders, show_profile, change_profile, change_password, change_email, show_addresses,
    add_address, remove_address, show_messages, mark_read, show_preferences, set_preferences,
    show_privacy, export, erase,
)  # fmt: skip
