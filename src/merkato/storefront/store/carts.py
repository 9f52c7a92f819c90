"""Questions about the cart of a browser, and changes to it."""

from typing import Any

from merkato.chassis.ask import Refusal
from merkato.chassis.visit import Session, segment
from merkato.chassis.web import Visit
from merkato.contracts.problem import Problem

GONE = (404, 409)  # the cart is somebody else's now, or was ordered
CARTS = "/api/v1/carts"
NO_TOTALS = dict.fromkeys(("items_minor", "shipping_minor", "tax_minor", "grand_minor"), 0)
STOCK_MAX = 100  # skus that inventory tells of in one answer


async def cart(visit: Visit) -> dict[str, Any] | None:
    """Give the browser's open cart; None when there is none (any more)."""
    session = visit.session
    if not session.cart:
        return None
    try:
        found: dict[str, Any] = await visit.api.get(f"{CARTS}/{session.cart}")
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        forget(session)
        return None
    if found["status"] != "open":
        forget(session)
        return None
    return kept(session, found)


async def add(visit: Visit, sku: str, quantity: int, currency: str) -> dict[str, Any]:
    """Add pieces, beginning a cart when there is none. Raises Refusal for what is not sold."""
    body = {"sku": sku, "quantity": quantity}
    if visit.session.cart:
        try:
            path = f"{CARTS}/{visit.session.cart}/lines"
            return kept(visit.session, await visit.api.send("POST", path, body))
        except Refusal as refusal:
            if refusal.status not in GONE:
                raise
            forget(visit.session)
    new = {"currency": currency, "locale": visit.locale}
    made = await visit.api.send("POST", CARTS, new)
    visit.session.cart = made["id"]
    visit.session.cart_token = made.get("token") or ""
    path = f"{CARTS}/{visit.session.cart}/lines"
    return kept(visit.session, await visit.api.send("POST", path, body))


async def stock(visit: Visit, cart: dict[str, Any]) -> dict[str, str]:
    """Tell whether what is in a cart can be had: sku -> yes, few, no. What is unknown is left out.

    A cart is shown also while nobody knows.
    """
    skus = [line["sku"] for line in cart["lines"]][:STOCK_MAX]
    try:
        found = await visit.api.get("/api/v1/stock", sku=skus) if skus else {"items": []}
    except (Refusal, Problem):
        return {}
    return {one["sku"]: one["available"] for one in found["items"]}


async def set_line(visit: Visit, line_id: str, quantity: int) -> dict[str, Any]:
    """Set how many a line has; none takes the line out."""
    path = f"{CARTS}/{visit.session.cart}/lines/{segment(line_id)}"
    if quantity < 1:
        return kept(visit.session, await visit.api.send("DELETE", path))
    return kept(visit.session, await visit.api.send("PATCH", path, {"quantity": quantity}))


async def set_details(visit: Visit, details: dict[str, Any]) -> dict[str, Any]:
    """Set contact, address, shipping method. Raises Refusal (422) naming the fields."""
    path = f"{CARTS}/{visit.session.cart}"
    return kept(visit.session, await visit.api.send("PATCH", path, details))


async def set_coupon(visit: Visit, code: str) -> dict[str, Any]:
    """Put a coupon on the cart. Raises Refusal when it does not count here."""
    path = f"{CARTS}/{visit.session.cart}/coupons/{segment(code)}"
    return kept(visit.session, await visit.api.send("PUT", path))


async def drop_coupon(visit: Visit, code: str) -> dict[str, Any]:
    """Take a coupon off again."""
    path = f"{CARTS}/{visit.session.cart}/coupons/{segment(code)}"
    return kept(visit.session, await visit.api.send("DELETE", path))


async def shipping_methods(visit: Visit, country: str) -> list[dict[str, Any]]:
    """List the ways to send the cart to a country, with prices."""
    query = {"cart_id": visit.session.cart, "country": country}
    found = await visit.api.get("/api/v1/shipping-methods", **query)
    items: list[dict[str, Any]] = found["items"]
    return items


async def take_home(visit: Visit) -> None:
    """After a login: pour the guest's cart into the customer's, or take up the one left open."""
    session = visit.session
    guest, token = session.cart, session.cart_token
    forget(session)
    try:
        mine = await visit.api.get(f"{CARTS}/current")
    except Refusal:
        mine = None
    if guest and token:
        try:
            if mine is None:
                mine = await visit.api.send("POST", CARTS, await _like(visit, guest, token))
            body = {"cart_id": guest, "token": token}
            mine = await visit.api.send("POST", f"{CARTS}/{mine['id']}/merge", body)
        except Refusal:  # it was ordered, or is in another currency: the customer's own stays
            pass
    if mine is not None:
        session.cart = mine["id"]
        kept(session, mine)


async def _like(visit: Visit, guest: str, token: str) -> dict[str, Any]:
    """Give the body of a new cart in the currency of the guest's."""
    path = f"{CARTS}/{guest}"
    theirs, _ = await visit.api.exchange("GET", path, headers={"x-cart-token": token})
    return {"currency": theirs["currency"], "locale": visit.locale}


def kept(session: Session, found: dict[str, Any]) -> dict[str, Any]:
    """Note how much is in the cart, for the badge on every page.

    A cart whose goods cannot be ordered in one has no totals; its lines have no price either, and
    are shown as what cannot be bought.
    """
    session.cart_pieces = sum(line["quantity"] for line in found["lines"])
    return found | {"totals": found["totals"] or NO_TOTALS}


def forget(session: Session) -> None:
    """Forget the cart."""
    session.cart, session.cart_token, session.cart_pieces = "", "", 0
