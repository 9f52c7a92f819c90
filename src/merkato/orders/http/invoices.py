"""An order as its invoice: all data of it, and a page to be printed."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get

from merkato.chassis.http import ANYONE
from merkato.chassis.tokens import Caller
from merkato.config import Seller
from merkato.contracts.problem import NotFound
from merkato.orders import templates
from merkato.orders.http import views
from merkato.orders.http.access import may_see
from merkato.orders.http.desk import Desk
from merkato.orders.store import sellers

HTTPRequest = Request[Any, Any, Any]
# The page is read, never run: no script, no address but its own.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An order and who sold it. The buyer is its billing address.

    `title` is ``invoice`` once the order was confirmed, ``order`` before.
    """

    title: str
    seller: Seller | None  # as configured when the order was placed
    order: views.OrderView


@get("/api/v1/orders/{order_id:uuid}/invoice", policy=ANYONE)
async def get_invoice(order_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk) -> Invoice:
    """Give the data of an invoice: seller, buyer, lines, tax by rate, credits."""
    return await _invoice(order_id, request, caller, desk)


@get("/api/v1/orders/{order_id:uuid}/invoice.html", policy=ANYONE, produces=("text/html",))
async def get_page(
    order_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk
) -> Response[str]:
    """Show the same as a page to print, in the order's locale."""
    found = await _invoice(order_id, request, caller, desk)
    order = found.order
    titles = {line.line_no: line.title for line in order.lines}
    data = {"title": found.title, "seller": found.seller, "order": order, "titles": titles}
    page = templates.invoice(order.locale, order.currency, data)
    return Response(page, media_type="text/html", headers=HEADERS)


async def _invoice(order_id: UUID, request: HTTPRequest, caller: Caller, desk: Desk) -> Invoice:
    row = await desk.order(order_id)
    if row is None or not may_see(row, request, caller, desk):
        raise NotFound("There is no such order.")
    async with desk.db.reading() as tx:
        seller = await sellers.at(tx, row["placed_at"])
    order = views.from_row(row)
    sold = order.status == "confirmed" or bool(order.credits)
    return Invoice(
        title="invoice" if sold else "order",
        seller=msgspec.convert(seller, Seller | None),
        order=order,
    )


ROUTES = (get_invoice, get_page)
