"""Customers: who they are, what they bought, their data, and forgetting them."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post

from merkato.admin import store
from merkato.admin.http.pages import Pages
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other

ON_PAGE = 50


@get("/admin/customers/{user_id:uuid}", policy=ANYONE)
async def show_customer(user_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show an account, its orders, its messages."""
    user, orders, told, known = await asyncio.gather(
        visit.api.get(f"/api/v1/users/{user_id}"),
        store.maybe(visit.api, "/api/v1/orders", customer=str(user_id), limit=ON_PAGE),
        store.maybe(visit.api, "/api/v1/notifications", customer=str(user_id), limit=10),
        store.maybe(visit.api, "/api/v1/roles"),
    )
    roles = {one["name"] for one in (known or {}).get("items", [])} | {user["role"]}
    return pages.draw(
        visit, "customer.html", user=user, orders=(orders or {}).get("items", []),
        roles=sorted(roles), messages=(told or {}).get("items", []),
    )  # fmt: skip


@post("/admin/customers/{user_id:uuid}", policy=ANYONE)
async def change_customer(user_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Change a role, or block."""
    form = visit.form
    change: dict[str, Any] = {}
    if form.get("role"):
        change["role"] = form["role"]
    if form.get("blocked"):
        change["blocked"] = form["blocked"] == "true"
    doing = store.change_user(visit.api, str(user_id), change)
    return await pages.done(visit, f"/admin/customers/{user_id}", "Saved.", doing)


@post("/admin/customers/{user_id:uuid}/erasure", policy=ANYONE)
async def erase_customer(user_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Forget a person everywhere, once their e-mail address was typed again."""
    back = f"/admin/customers/{user_id}"
    user = await visit.api.get(f"/api/v1/users/{user_id}")
    typed = visit.form.get("email", "").casefold()
    if not user["email"] or typed != user["email"].casefold():
        visit.notice("Nothing was erased: that is not the e-mail address of this account.", "bad")
        return see_other(back)
    doing = store.act(visit.api, f"/api/v1/users/{user_id}/erasure", {}, visit.form.get("key", ""))
    return await pages.done(visit, back, "Erased, here and in every service.", doing)


@post("/admin/customers/{user_id:uuid}/totp", policy=ANYONE)
async def free_customer(user_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Free somebody who lost authenticator and recovery codes."""
    doing = store.delete(visit.api, f"/api/v1/users/{user_id}/totp")
    said = "Their logins ask for no code any more; they have to log in again."
    return await pages.done(visit, f"/admin/customers/{user_id}", said, doing)


@get("/admin/customers/{user_id:uuid}/export", policy=ANYONE)
async def export_customer(user_id: UUID, visit: Visit) -> Response[bytes]:
    """Send all that the shop keeps of somebody as a file."""
    found = await visit.api.get(f"/api/v1/users/{user_id}/export")
    body = msgspec.json.format(msgspec.json.encode(found))
    headers = {
        "Content-Disposition": f'attachment; filename="{user_id}.json"',
        "Cache-Control": "no-store",
    }
    return Response(body, headers=headers, media_type="application/json")


ROUTES = (
    show_customer, change_customer, erase_customer, free_customer, export_customer,
)  # fmt: skip
