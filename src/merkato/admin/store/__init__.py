"""What the back office asks of the published API, and what it has it change."""

from collections.abc import Mapping
from typing import Any

from merkato.chassis.ask import Refusal
from merkato.chassis.visit import Api

ORDERS = "/api/v1/orders"


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
