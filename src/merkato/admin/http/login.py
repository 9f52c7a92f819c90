"""Logging in to the back office; whoever is a customer only is turned away."""

from litestar import Response, get, post

from merkato.admin import store
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import take_tokens
from merkato.chassis.web import Visit, see_other


@get("/admin/login", policy=ANYONE)
async def show_login(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form."""
    return pages.draw(visit, "login.html", wrong="", email="")


@post("/admin/login", policy=ANYONE)
async def log_in(visit: Visit, pages: Pages) -> Response[str]:
    """Log in with a password, and a code where one was set up."""
    form = visit.form
    body = {"email": form.get("email", ""), "password": form.get("password", "")}
    if form.get("code"):
        body["code"] = form["code"]
    wrong = "E-mail, password or code is wrong."
    try:
        pair = await visit.api.send("POST", "/api/v1/auth/token", body)
        take_tokens(visit.session, pair)
        me = await store.me(visit.api)
        if me["role"] != "customer":
            visit.session.name = me["name"] or me["email"]
            return see_other("/admin")
        wrong = "This account has no part in the back office."
    except Refusal as refusal:
        if refusal.status == 429:
            wrong = "Too many tries. Wait a little."
        elif refusal.status == 403:
            wrong = pages.why(refusal)
    visit.session.log_out()
    return pages.draw(visit, "login.html", wrong=wrong, email=body["email"], status=200)


@post("/admin/logout", policy=ANYONE)
async def log_out(visit: Visit) -> Response[str]:
    """Log out, here and in the shop."""
    if visit.session.refresh:
        body = {"refresh_token": visit.session.refresh}
        await visit.api.send("POST", "/api/v1/auth/token/revoke", body)
    visit.session.log_out()
    return see_other("/admin/login")


@post("/admin/appearance", policy=ANYONE)
async def appearance(visit: Visit) -> Response[str]:
    """Choose light or dark."""
    theme = visit.form.get("theme", "")
    visit.session.theme = theme if theme in ("light", "dark") else ""
    return see_other("/admin")


ROUTES = (show_login, log_in, log_out, appearance)
