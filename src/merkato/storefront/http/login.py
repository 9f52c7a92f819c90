"""Logging in and out, new accounts, forgotten passwords, addresses to confirm."""

from typing import Any

from litestar import Request, Response, get, post

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import take_tokens
from merkato.chassis.web import Visit, local, see_other
from merkato.storefront import domain
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import accounts, carts

HTTPRequest = Request[Any, Any, Any]


async def _form(
    visit: Visit, pages: Pages, page: str, errors: dict[str, str] | None = None, *,
    with_code: bool = False,
) -> Response[str]:  # fmt: skip
    values = {name: visit.form.get(name, "") for name in ("email", "name")}
    return await pages.draw(
        visit, "form.html", page=page, values=values, errors=errors or {}, with_code=with_code
    )


@get("/login", policy=ANYONE)
async def show_login(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form, unless somebody is logged in."""
    return see_other("/account") if visit.session.logged_in else await _form(visit, pages, "login")


@post("/login", policy=ANYONE)
async def log_in(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Log in, and take the cart along; a code is asked for where the account needs one."""
    form = visit.form
    try:
        await _enter(visit, form.get("email", ""), form.get("password", ""), form.get("code", ""))
    except Refusal as refusal:
        asked = refusal.slug == "second-factor-required" and "code" not in form
        said = "login.slow" if refusal.status == 429 else "login.wrong"
        errors = {"": pages.text(visit, "login.code.needed" if asked else said)}
        return await _form(visit, pages, "login", errors, with_code=asked or "code" in form)
    return see_other(local(request.query_params.get("next"), "/account"))


async def _enter(visit: Visit, email: str, password: str, code: str = "") -> None:
    pair = await accounts.log_in(visit.api, email, password, code)
    take_tokens(visit.session, pair)
    await carts.take_home(visit)


@post("/logout", policy=ANYONE)
async def log_out(visit: Visit, pages: Pages) -> Response[str]:
    """Log out, here and in the shop."""
    if visit.session.refresh:
        await accounts.log_out(visit.api, visit.session.refresh)
    visit.session.log_out()
    visit.notice(pages.text(visit, "login.bye"))
    return see_other("/")


@get("/register", policy=ANYONE)
async def show_register(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form."""
    return await _form(visit, pages, "register")


@post("/register", policy=ANYONE)
async def register(visit: Visit, pages: Pages) -> Response[str]:
    """Open an account and log in; nobody learns here whether an address is known."""
    form = visit.form
    email, password = form.get("email", ""), form.get("password", "")
    try:
        await accounts.register(visit.api, email, password, form.get("name", ""), visit.locale)
    except Refusal as refusal:
        errors = pages.errors(visit, domain.field_errors(refusal.problem))
        return await _form(visit, pages, "register", errors)
    try:
        await _enter(visit, email, password)
        visit.notice(pages.text(visit, "register.done"))
        return see_other("/account")
    except Refusal:
        visit.notice(pages.text(visit, "register.check"))
        return see_other("/login")


@get("/forgot-password", policy=ANYONE)
async def show_forgot(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form."""
    return await _form(visit, pages, "forgot")


@post("/forgot-password", policy=ANYONE)
async def forgot(visit: Visit, pages: Pages) -> Response[str]:
    """Ask for the mail; the same answer for every address."""
    try:
        await accounts.forgot(visit.api, visit.form.get("email", ""))
    except Refusal as refusal:
        errors = pages.errors(visit, domain.field_errors(refusal.problem))
        return await _form(visit, pages, "forgot", errors)
    visit.notice(pages.text(visit, "forgot.done"))
    return see_other("/login")


@get("/reset-password", policy=ANYONE)
async def show_reset(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form that a mailed link leads to."""
    return await _form(visit, pages, "reset")


@post("/reset-password", policy=ANYONE)
async def reset(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Set the new password."""
    token = request.query_params.get("token", "")
    try:
        await accounts.reset(visit.api, token, visit.form.get("password", ""))
    except Refusal as refusal:
        useless = {"": pages.text(visit, "reset.useless")}
        known = refusal.status == 422
        errors = pages.errors(visit, domain.field_errors(refusal.problem)) if known else useless
        return await _form(visit, pages, "reset", errors)
    visit.notice(pages.text(visit, "reset.done"))
    return see_other("/login")


@get("/verify-email", policy=ANYONE)
async def show_verify(visit: Visit, pages: Pages) -> Response[str]:
    """Show a button: programs that look into mails follow links, but press no buttons."""
    return await _form(visit, pages, "verify")


@post("/verify-email", policy=ANYONE)
async def verify(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Confirm the address."""
    try:
        await accounts.verify(visit.api, request.query_params.get("token", ""))
    except Refusal:
        return await _form(visit, pages, "verify", {"": pages.text(visit, "reset.useless")})
    visit.notice(pages.text(visit, "verify.done"))
    return see_other("/account" if visit.session.logged_in else "/login")


ROUTES = (
    show_login, log_in, log_out, show_register, register, show_forgot, forgot, show_reset, reset,
    show_verify, verify,
)  # fmt: skip
