"""The requests that programs send most, each under its name in the OpenAPI document."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from merkato.client.wire import Json, Wire

API = "/api/v1"


class Client(Wire):
    """A shop, asked by name. Every method raises Refused and NoAnswer."""

    async def log_in(self, email: str, password: str) -> Json:
        """Log in, and go on as this person; the access token lives 15 minutes."""
        body = {"email": email, "password": password}
        pair: Json = await self.send("POST", f"{API}/auth/token", body)
        self.token = pair["access_token"]
        return pair

    async def register(self, email: str, password: str, name: str | None = None) -> Json:
        """Open an account; the answer is the same for known addresses."""
        body = {"email": email, "password": password} | ({"name": name} if name else {})
        answer: Json = await self.send("POST", f"{API}/auth/register", body)
        return answer

    async def products(self, **wanted: object) -> Json:
        """Give a page of products on sale: by `q`, `category`, `limit`, `cursor` and so on."""
        page: Json = await self.send("GET", f"{API}/products", query=wanted)
        return page

    async def product(self, name: str, **wanted: object) -> Json:
        """Give a product by id or slug."""
        found: Json = await self.send("GET", f"{API}/products/{_segment(name)}", query=wanted)
        return found

    async def create_product(self, product: Mapping[str, object], key: str = "") -> Json:
        """Make a product, with variants and prices."""
        made: Json = await self.send("POST", f"{API}/products", product, key=key)
        return made

    async def set_prices(self, prices: Mapping[str, object], key: str = "") -> Json:
        """Set prices of up to 1,000 skus at once."""
        answer: Json = await self.send("POST", f"{API}/prices", prices, key=key)
        return answer

    async def stock(self, **wanted: object) -> Json:
        """Tell what there is of each `sku`; staff see how many pieces."""
        page: Json = await self.send("GET", f"{API}/stock", query=wanted)
        return page

    async def adjust_stock(self, sku: str, adjustment: Mapping[str, object], key: str = "") -> Json:
        """Add pieces (or take them off) and say why."""
        path = f"{API}/stock/{_segment(sku)}/adjustments"
        answer: Json = await self.send("POST", path, adjustment, key=key)
        return answer

    async def put_stock(self, sku: str, on_hand: int, key: str = "") -> Json:
        """Say how many pieces of a sku there are."""
        body = {"on_hand": on_hand}
        answer: Json = await self.send("PUT", f"{API}/stock/{_segment(sku)}", body, key=key)
        return answer

    async def create_cart(self, currency: str = "EUR", locale: str = "en") -> Json:
        """Begin a cart; a guest's answer has its token."""
        body = {"currency": currency, "locale": locale}
        made: Json = await self.send("POST", f"{API}/carts", body)
        return made

    async def add_line(self, cart_id: str, sku: str, quantity: int = 1, token: str = "") -> Json:
        """Put pieces into a cart; `token` is a guest's. Not repeated: pieces add up."""
        body = {"sku": sku, "quantity": quantity}
        path = f"{API}/carts/{_segment(cart_id)}/lines"
        cart: Json = await self.send("POST", path, body, headers=_guest("x-cart-token", token))
        return cart

    async def place_order(
        self, order: Mapping[str, object], key: str = "", cart_token: str = ""
    ) -> Json:
        """Place an order, once per key."""
        headers = _guest("x-cart-token", cart_token)
        placed: Json = await self.send("POST", f"{API}/orders", order, key=key, headers=headers)
        return placed

    async def get_order(self, order_id: str, token: str = "") -> Json:
        """Give an order as it is now; `token` is a guest's."""
        path, headers = f"{API}/orders/{_segment(order_id)}", _guest("x-order-token", token)
        found: Json = await self.send("GET", path, headers=headers)
        return found

    async def list_orders(self, **wanted: object) -> Json:
        """Give a page of orders, newest first: by `reference`, `status`, `since`, `cursor`."""
        page: Json = await self.send("GET", f"{API}/orders", query=wanted)
        return page

    async def cancel_order(
        self, order_id: str, cancellation: Mapping[str, object] | None = None, key: str = ""
    ) -> Json:
        """End an order while nothing is shipped, or take `lines` off it."""
        path = f"{API}/orders/{_segment(order_id)}/cancellation"
        after: Json = await self.send("POST", path, cancellation or {}, key=key)
        return after

    async def ship(self, order_id: str, shipment: Mapping[str, object], key: str = "") -> Json:
        """Note that an order was shipped, or some of its lines."""
        path = f"{API}/orders/{_segment(order_id)}/shipments"
        after: Json = await self.send("POST", path, shipment, key=key)
        return after

    async def take_back(self, order_id: str, goods: Mapping[str, object], key: str = "") -> Json:
        """Announce the return of goods; staff may note at once that they are here."""
        path = f"{API}/orders/{_segment(order_id)}/returns"
        announced: Json = await self.send("POST", path, goods, key=key)
        return announced

    async def credit(self, order_id: str, credit: Mapping[str, object], key: str = "") -> Json:
        """Credit lines or an amount of an order; what was paid goes back."""
        path = f"{API}/orders/{_segment(order_id)}/credits"
        after: Json = await self.send("POST", path, credit, key=key)
        return after

    async def every(self, path: str, **wanted: object) -> AsyncIterator[Json]:
        """Give all items of a list, page after page."""
        while True:
            page = await self.send("GET", f"{API}{path}", query=wanted)
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            wanted["cursor"] = page["next_cursor"]


def _segment(text: Any) -> str:
    return quote(str(text), safe="")


def _guest(name: str, token: str) -> dict[str, str]:
    return {name: token} if token else {}
