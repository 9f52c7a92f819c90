"""Lists: every table of domain.TABLES as a page with filters and pages, and an item as it is."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post

from merkato.admin import domain, store
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit
from merkato.contracts.problem import NotFound

ON_PAGE = 50


@get("/admin/t/{slug:str}", policy=ANYONE)
async def show_table(
    slug: str, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show a list."""
    table = domain.TABLES.get(slug)
    if table is None or not table.path:
        raise NotFound("There is no such list.")
    names = [one.name for one in table.filters]
    asked = {name: str(request.query_params.get(name, "")).strip() for name in names}
    query: dict[str, Any] = {name: value for name, value in asked.items() if value} | dict(
        table.always
    )
    query |= {"cursor": request.query_params.get("cursor"), "limit": ON_PAGE}
    wrong = ""
    try:
        found = await store.page(visit.api, table.path, query)
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        found, wrong = {"items": []}, pages.why(refusal)
    kept = [(name, value) for name, value in asked.items() if value]
    cursor = found.get("next_cursor")
    return pages.draw(
        visit, "list.html", table=table, items=found["items"], asked=asked, wrong=wrong,
        first="cursor" not in request.query_params, here=f"/admin/t/{slug}?{urlencode(kept)}",
        more=f"/admin/t/{slug}?{urlencode([*kept, ('cursor', cursor)])}" if cursor else None,
    )  # fmt: skip


@get("/admin/notifications/{record_id:uuid}", policy=ANYONE)
async def show_notification(record_id: Any, visit: Visit, pages: Pages) -> Response[str]:
    """Show a message as it was written, with its record."""
    found = await visit.api.get(f"/api/v1/notifications/{record_id}")
    return pages.draw(
        visit, "record.html", title=f"Message: {found['template']}", record=found,
        actions=[("Send again", f"/admin/notifications/{record_id}/resend")],
        back="/admin/t/notifications",
    )  # fmt: skip


@post("/admin/notifications/{record_id:uuid}/resend", policy=ANYONE)
async def resend(record_id: Any, visit: Visit, pages: Pages) -> Response[str]:
    """Send a message once more."""
    path = f"/api/v1/notifications/{record_id}/resend"
    doing = visit.api.send("POST", path, key=visit.form.get("key"))
    return await pages.done(visit, f"/admin/notifications/{record_id}", "It is sent again.", doing)


@get("/admin/dead-letters/{letter_id:str}", policy=ANYONE)
async def show_dead_letter(letter_id: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show an event that a service could not deal with."""
    found = await visit.api.get(f"/api/v1/dead-letters/{segment(letter_id)}")
    base = f"/admin/dead-letters/{segment(letter_id)}"
    return pages.draw(
        visit, "record.html", title="Dead letter", record=found, back="/admin/t/dead-letters",
        actions=[("Try again", f"{base}/retry"), ("Discard", f"{base}/discard")],
    )  # fmt: skip


@post("/admin/dead-letters/{letter_id:str}/{what:str}", policy=ANYONE)
async def decide_dead_letter(
    letter_id: str, what: str, visit: Visit, pages: Pages
) -> Response[str]:
    """Have it tried again, or give it up; those behind it go on."""
    if what not in ("retry", "discard"):
        raise NotFound("There is nothing here.")
    path = f"/api/v1/dead-letters/{segment(letter_id)}/{what}"
    said = "It is tried again." if what == "retry" else "It is given up."
    doing = visit.api.send("POST", path, key=visit.form.get("key"))
    return await pages.done(visit, "/admin/t/dead-letters", said, doing)


@get("/admin/customers/{user_id:uuid}", policy=ANYONE)
async def show_customer(user_id: Any, visit: Visit, pages: Pages) -> Response[str]:
    """Show an account and its orders."""
    user = await visit.api.get(f"/api/v1/users/{user_id}")
    orders = await store.maybe(visit.api, "/api/v1/orders", customer=str(user_id), limit=ON_PAGE)
    items = (orders or {}).get("items", [])
    known = await store.maybe(visit.api, "/api/v1/roles")
    roles = {one["name"] for one in (known or {}).get("items", [])} | {user["role"]}
    return pages.draw(visit, "customer.html", user=user, orders=items, roles=sorted(roles))


@post("/admin/customers/{user_id:uuid}", policy=ANYONE)
async def change_customer(user_id: Any, visit: Visit, pages: Pages) -> Response[str]:
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
async def erase_customer(user_id: Any, visit: Visit, pages: Pages) -> Response[str]:
    """Forget a person everywhere."""
    doing = store.act(visit.api, f"/api/v1/users/{user_id}/erasure", {}, visit.form.get("key", ""))
    return await pages.done(visit, f"/admin/customers/{user_id}", "Erased.", doing)


@get("/admin/customers/{user_id:uuid}/export", policy=ANYONE)
async def export_customer(user_id: Any, visit: Visit) -> Response[bytes]:
    """Send what is known of an account as a file."""
    found = await visit.api.get(f"/api/v1/users/{user_id}")
    body = msgspec.json.format(msgspec.json.encode(found))
    headers = {"Content-Disposition": f'attachment; filename="{user_id}.json"'}
    return Response(body, headers=headers, media_type="application/json")


ROUTES = (
    show_table, show_notification, resend, show_dead_letter, decide_dead_letter, show_customer,
    change_customer, erase_customer, export_customer,
)  # fmt: skip
