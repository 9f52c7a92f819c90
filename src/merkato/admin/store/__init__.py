"""What the back office asks of the published API, and what it has it change."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from merkato.chassis.ask import Refusal
from merkato.chassis.visit import Api, segment

ORDERS = "/api/v1/orders"
VIEWS = "/api/v1/me/views"


async def page(api: Api, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """Give a page of a list."""
    found: dict[str, Any] = await api.get(path, **query)
    return found


async def maybe(api: Api, path: str, **query: Any) -> Any:
    """Read what may not be there, or not for this person: None then."""
    try:
        return await api.get(path, **query)
    except Refusal as refusal:
        if refusal.status in (403, 404, 422):
            return None
        raise


async def numbers(api: Api, ids: Iterable[str]) -> dict[str, str]:
    """Map orders to their numbers; those that this person may not see are left out."""
    asked = sorted(set(ids))
    found = await maybe(api, ORDERS, id=asked, limit=100) if asked else None
    return {one["id"]: one["number"] for one in (found or {}).get("items", ())}


async def people(api: Api, actors: Iterable[str]) -> dict[str, str]:
    """Map actors who are people (`user:<id>`) to what they are called, where it is known."""
    asked = sorted({one for one in actors if one.startswith("user:")})
    users = await asyncio.gather(
        *(maybe(api, f"/api/v1/users/{segment(one.removeprefix('user:'))}") for one in asked)
    )
    found = zip(asked, users, strict=True)
    return {one: name for one, user in found if user and (name := user["name"] or user["email"])}


async def saved_views(api: Api, of: str) -> list[dict[str, Any]]:
    """List the saved views of a list."""
    found = await api.get(VIEWS)
    return [one for one in found["items"] if one["list"] == of]


async def save_view(api: Api, of: str, name: str, query: str) -> None:
    """Keep a filter of a list under a name."""
    await api.send("PUT", f"{VIEWS}/{segment(of)}", {"name": name, "query": query})


async def forget_view(api: Api, of: str, name: str) -> None:
    """Forget a saved view."""
    await api.send("DELETE", f"{VIEWS}/{segment(of)}?{urlencode({'name': name})}")


async def me(api: Api) -> dict[str, Any]:
    """Give the account of whoever works."""
    found: dict[str, Any] = await api.get("/api/v1/me")
    return found


async def health(api: Api) -> dict[str, Any]:
    """Say what of the house does not work: {reason: why}; empty when all does."""
    answer = await api.told("/readyz")
    reasons: dict[str, Any] = answer.get("reasons") or {}
    return reasons


async def order(api: Api, order_id: str) -> dict[str, Any]:
    """Give an order."""
    found: dict[str, Any] = await api.get(f"{ORDERS}/{order_id}")
    return found


async def timeline(api: Api, order_id: str) -> list[dict[str, Any]]:
    """List what happened to an order."""
    found: list[dict[str, Any]] = (await api.get(f"{ORDERS}/{order_id}/timeline"))["items"]
    return found


async def payment(api: Api, order_id: str) -> dict[str, Any] | None:
    """Give the payment of an order; None when there is none or it is not for this person."""
    found = await maybe(api, "/api/v1/payments", order_id=order_id)
    return found["items"][0] if found and found["items"] else None


async def act(api: Api, path: str, body: dict[str, Any], key: str) -> Any:
    """Do something once. Raises Refusal with the reason."""
    return await api.send("POST", path, body, key=key)


async def put(api: Api, path: str, body: dict[str, Any], key: str | None = None) -> Any:
    """Put something in its place; harmless to repeat."""
    return await api.send("PUT", path, body, key=key)


async def delete(api: Api, path: str) -> None:
    """Remove something."""
    await api.send("DELETE", path)


async def change_user(api: Api, user_id: str, change: dict[str, Any]) -> None:
    """Change somebody's role, or block them."""
    _, headers = await api.exchange("GET", f"/api/v1/users/{user_id}")
    path = f"/api/v1/users/{user_id}"
    await api.send("PATCH", path, change, headers={"if-match": headers.get("etag", "")})
