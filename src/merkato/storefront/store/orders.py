"""Questions about orders and their payments, and what a customer may do about them."""

from typing import Any

from merkato.chassis.visit import Api

ORDERS = "/api/v1/orders"


async def place(api: Api, body: dict[str, Any], key: str) -> dict[str, Any]:
    """Place an order, once per key. Raises Refusal: price-changed, out-of-stock and others."""
    placed: dict[str, Any] = await api.send("POST", ORDERS, body, key=key)
    return placed


async def order(api: Api, order_id: str) -> dict[str, Any]:
    """Give an order. Raises Refusal (404) for somebody else's."""
    found: dict[str, Any] = await api.get(f"{ORDERS}/{order_id}")
    return found


async def timeline(api: Api, order_id: str) -> list[dict[str, Any]]:
    """List what happened to an order."""
    found: list[dict[str, Any]] = (await api.get(f"{ORDERS}/{order_id}/timeline"))["items"]
    return found


async def invoice(api: Api, order_id: str) -> tuple[str, str]:
    """Give an order's invoice, and the policy it may be shown under. Raises Refusal (404)."""
    headers, parts = await api.download(f"{ORDERS}/{order_id}/invoice.html")
    page = b"".join([part async for part in parts]).decode()
    return page, headers["content-security-policy"]


async def payment(api: Api, order_id: str) -> dict[str, Any] | None:
    """Give the payment of an order; None while there is none."""
    items = (await api.get(f"/api/v1/payments?order_id={order_id}"))["items"]
    return items[0] if items else None


async def mine(api: Api, cursor: str | None) -> dict[str, Any]:
    """Give a page of the customer's orders, newest first."""
    found: dict[str, Any] = await api.get(ORDERS, customer="me", limit=20, cursor=cursor)
    return found


async def pay_again(api: Api, order_id: str, payment: dict[str, Any], key: str) -> None:
    """Try another payment after a decline."""
    body = {"order_id": order_id, "method": payment["method"]}
    if "token" in payment:
        body["payment_token"] = payment["token"]
    await api.send("POST", "/api/v1/payments", body, key=key)


async def cancel(api: Api, order_id: str, key: str) -> None:
    """End an order while nothing is shipped."""
    await api.send("POST", f"{ORDERS}/{order_id}/cancellation", {}, key=key)


async def ask_return(
    api: Api, order_id: str, lines: list[dict[str, Any]], note: str, key: str
) -> None:
    """Ask to send goods back."""
    body = {"lines": lines} | ({"note": note} if note else {})
    await api.send("POST", f"{ORDERS}/{order_id}/returns", body, key=key)
