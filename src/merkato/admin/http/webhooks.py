"""Webhooks: where events go, and what became of each delivery."""

import asyncio
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post

from merkato.admin import store
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit
from merkato.contracts.problem import NotFound

HOOKS, DELIVERIES = "/api/v1/subscriptions", "/api/v1/deliveries"
LIST, HERE = "/admin/t/webhooks", "/admin/webhooks"
ON_PAGE = 50
STATES = ("pending", "delivered", "failed")


@get(LIST, policy=ANYONE)
async def show_webhooks(visit: Visit, pages: Pages) -> Response[str]:
    """List endpoints, with the form of a new one."""
    return await _list(visit, pages, {})


async def _list(visit: Visit, pages: Pages, values: dict[str, str]) -> Response[str]:
    hooks, failed, known = await asyncio.gather(
        visit.api.get(HOOKS, limit=100),
        visit.api.get(DELIVERIES, state="failed", limit=20),
        store.maybe(visit.api, "/api/v1/topics"),
    )
    topics = [one["name"] for one in (known or {}).get("items", [])]
    return pages.draw(
        visit, "webhooks.html", hooks=hooks["items"], topics=topics, values=values,
        failed=failed["items"],
    )  # fmt: skip


@post(HERE, policy=ANYONE)
async def make(visit: Visit, pages: Pages) -> Response[str]:
    """Add an endpoint, and show its secret this once."""
    form = visit.form
    body = {
        "url": form.get("url", ""), "description": form.get("description", ""),
        "topics": [value for field, value in visit.fields if field == "topics" and value],
        "ordered": form.get("ordered") == "yes",
    }  # fmt: skip
    try:
        made = await visit.api.send("POST", HOOKS, body, key=form.get("key"))
    except Refusal as refusal:
        pages.tell(visit, refusal)
        return await _list(visit, pages, form)
    return await _one(visit, pages, made["id"], secret=made["secret"])


@get(f"{HERE}/{{hook_id:uuid}}", policy=ANYONE)
async def show_webhook(
    hook_id: UUID, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show an endpoint with its deliveries."""
    asked = request.query_params
    state, cursor = asked.get("state") or None, asked.get("cursor") or None
    return await _one(visit, pages, str(hook_id), state=state, cursor=cursor)


async def _one(
    visit: Visit, pages: Pages, hook_id: str, *, state: str | None = None,
    cursor: str | None = None, secret: str = "",
) -> Response[str]:  # fmt: skip
    path = f"{HOOKS}/{hook_id}"
    hook, found = await asyncio.gather(
        visit.api.get(path),
        visit.api.get(f"{path}/deliveries", state=state, cursor=cursor, limit=ON_PAGE),
    )
    more = [("state", state or ""), ("cursor", found["next_cursor"] or "")]
    drawn = pages.draw(
        visit, "webhook.html", hook=hook, deliveries=found["items"], state_now=state or "",
        states=STATES, secret=secret,
        more=f"{HERE}/{hook_id}?{urlencode(more)}" if found["next_cursor"] else None,
    )  # fmt: skip
    drawn.headers["Cache-Control"] = "no-store"  # it may show a secret
    return drawn


@post(f"{HERE}/{{hook_id:uuid}}/secret", policy=ANYONE)
async def renew_secret(hook_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Make a new secret, and show it this once."""
    key = visit.form.get("key")
    made = await visit.api.send("POST", f"{HOOKS}/{hook_id}/secret", {}, key=key)
    visit.notice("The old secret signs beside the new one for a day.")
    return await _one(visit, pages, str(hook_id), secret=made["secret"])


@post(f"{HERE}/{{hook_id:uuid}}/{{what:str}}", policy=ANYONE)
async def act(hook_id: UUID, what: str, visit: Visit, pages: Pages) -> Response[str]:
    """Pause it, let it go on, ping it, send again what failed, or remove it."""
    path, back = f"{HOOKS}/{hook_id}", f"{HERE}/{hook_id}"
    key = visit.form.get("key", "")
    api = visit.api
    match what:
        case "pause":
            doing, said = (
                api.send("PATCH", path, {"state": "paused"}),
                "Paused; it keeps its place.",
            )
        case "resume":
            doing, said = api.send("PATCH", path, {"state": "active"}), "It goes on."
        case "ping":
            doing, said = store.act(api, f"{path}/ping", {}, key), "A ping is on its way."
        case "removal":
            doing, said, back = store.delete(api, path), "Removed, with its deliveries.", LIST
        case "again":
            again = {"state": "failed"}
            doing = store.act(api, f"{path}/redeliveries", again, key)
            said = "What failed is sent again."
        case _:
            raise NotFound("There is nothing here.")
    return await pages.done(visit, back, said, doing)


@get("/admin/deliveries/{delivery_id:uuid}", policy=ANYONE)
async def show_delivery(delivery_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show a delivery with all its tries, and the event."""
    found = await visit.api.get(f"{DELIVERIES}/{delivery_id}")
    cursor = found["cursor"]
    event = await store.maybe(visit.api, f"/api/v1/events/{cursor}") if cursor else None
    return pages.draw(visit, "delivery.html", delivery=found, event=event)


@post("/admin/deliveries/{delivery_id:uuid}/redelivery", policy=ANYONE)
async def redeliver(delivery_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Send it again."""
    path = f"{DELIVERIES}/{delivery_id}/redelivery"
    doing = visit.api.send("POST", path, key=visit.form.get("key"))
    return await pages.done(visit, f"/admin/deliveries/{delivery_id}", "It is sent again.", doing)


ROUTES = (
    show_webhooks, make, show_webhook, renew_secret, act, show_delivery, redeliver,
)  # fmt: skip
