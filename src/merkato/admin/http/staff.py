"""Those who work here: accounts and invitations, and the roles that say what they may."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post

from merkato.admin import store
from merkato.admin.domain import desk
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

USERS, ROLES, INVITATIONS = "/api/v1/users", "/api/v1/roles", "/api/v1/invitations"
ON_PAGE = 100


@get("/admin/t/staff", policy=ANYONE)
async def show_staff(visit: Visit, pages: Pages) -> Response[str]:
    """Show who works here, who is invited, and the form of an invitation."""
    roles = [one for one in (await visit.api.get(ROLES))["items"] if one["permissions"]]
    invited, *found = await asyncio.gather(
        store.maybe(visit.api, INVITATIONS, limit=ON_PAGE),
        *(visit.api.get(USERS, role=one["name"], limit=ON_PAGE) for one in roles),
    )
    people = [user for page in found for user in page["items"]]
    return pages.draw(
        visit, "staff.html", people=people, roles=roles, invited=(invited or {}).get("items", [])
    )


@post("/admin/invitations", policy=ANYONE)
async def invite(visit: Visit, pages: Pages) -> Response[str]:
    """Invite somebody by mail."""
    form = visit.form
    body = {name: form.get(name, "") for name in ("email", "role", "locale")}
    doing = store.act(visit.api, INVITATIONS, body, form.get("key", ""))
    said = f"Invited; the mail to {body['email']} is on its way."
    return await pages.done(visit, "/admin/t/staff", said, doing)


@post("/admin/invitations/{invitation_id:uuid}/revocation", policy=ANYONE)
async def take_back(invitation_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Take an invitation back."""
    doing = store.delete(visit.api, f"{INVITATIONS}/{invitation_id}")
    return await pages.done(visit, "/admin/t/staff", "Taken back; its link is useless.", doing)


@get("/admin/accept-invitation", policy=ANYONE)
async def show_acceptance(
    request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show the form behind the link of an invitation."""
    token = str(request.query_params.get("token", ""))
    return pages.draw(visit, "acceptance.html", token=token, wrong="")


@post("/admin/accept-invitation", policy=ANYONE)
async def accept(visit: Visit, pages: Pages) -> Response[str]:
    """Become staff; a login follows."""
    form = visit.form
    body = {"token": form.get("token", ""), "password": form.get("password", "")}
    if form.get("name"):
        body["name"] = form["name"]
    try:
        await visit.api.send("POST", "/api/v1/auth/invitations/acceptance", body)
    except Refusal as refusal:
        wrong = pages.why(refusal)
        return pages.draw(visit, "acceptance.html", token=body["token"], wrong=wrong)
    visit.notice("Welcome. Log in with your new password.")
    return see_other("/admin/login")


@get("/admin/t/roles", policy=ANYONE)
async def show_roles(visit: Visit, pages: Pages) -> Response[str]:
    """Show all roles."""
    return pages.draw(visit, "roles.html", roles=(await visit.api.get(ROLES))["items"])


@get("/admin/roles/new", policy=ANYONE)
async def show_new_role(visit: Visit, pages: Pages) -> Response[str]:
    """Show the editor of a new role."""
    role = {"name": "", "title": "", "permissions": [], "built_in": False}
    return await _editor(visit, pages, role, "")


@get("/admin/roles/{name:str}", policy=ANYONE)
async def show_role(name: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show the editor of a role; one of the code is shown only."""
    role, headers = await visit.api.exchange("GET", f"{ROLES}/{segment(name)}")
    return await _editor(visit, pages, role, headers.get("etag", ""))


async def _editor(visit: Visit, pages: Pages, role: dict[str, Any], etag: str) -> Response[str]:
    known = [one["name"] for one in (await visit.api.get("/api/v1/permissions"))["items"]]
    return pages.draw(visit, "role.html", role=role, etag=etag, groups=desk.grouped(known))


@post("/admin/roles", policy=ANYONE)
async def save_role(visit: Visit, pages: Pages) -> Response[str]:
    """Make or change a role; what was chosen stays on the page when it is refused."""
    form = visit.form
    name, etag = form.get("name", ""), form.get("etag", "")
    chosen = [value for field, value in visit.fields if field == "permissions"]
    body = {"title": form.get("title", ""), "permissions": chosen}
    headers = {"if-match": etag} if etag else {}
    try:
        await visit.api.send("PUT", f"{ROLES}/{segment(name or '-')}", body, headers=headers)
    except Refusal as refusal:
        pages.tell(visit, refusal)
        return await _editor(visit, pages, {"name": name, "built_in": False, **body}, etag)
    visit.notice("Saved; it is obeyed everywhere within a minute.")
    return see_other("/admin/t/roles")


@post("/admin/roles/{name:str}/end", policy=ANYONE)
async def end_role(name: str, visit: Visit, pages: Pages) -> Response[str]:
    """End a role that nobody has."""
    path, etag = f"{ROLES}/{segment(name)}", visit.form.get("etag", "")
    doing = visit.api.send("DELETE", path, headers={"if-match": etag})
    return await pages.done(visit, "/admin/t/roles", "The role is gone.", doing)


ROUTES = (
    show_staff, invite, take_back, show_acceptance, accept, show_roles, show_new_role, show_role,
    save_role, end_role,
)  # fmt: skip
