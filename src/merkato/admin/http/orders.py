"""An order as staff see it, and what they do about it; sums are shown before money moves."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin import domain, store
from merkato.admin.domain import desk
from merkato.admin.domain.goods import Wrong
from merkato.admin.http.pages import Pages, inert
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound, Unauthenticated

ORDERS = "/api/v1/orders"


@get("/admin/orders/{order_id:uuid}", policy=ANYONE)
async def show_order(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show everything about an order."""
    if not visit.session.logged_in:
        raise Unauthenticated("Log in first.")
    order, timeline, payment = await asyncio.gather(
        store.order(visit.api, str(order_id)),
        store.timeline(visit.api, str(order_id)),
        store.payment(visit.api, str(order_id)),
    )
    people = await store.people(visit.api, (one["actor"] for one in timeline))
    return pages.draw(
        visit, "order.html", order=order, timeline=timeline, payment=payment, people=people,
        shippable=domain.shippable(order), returnable=domain.returnable(order),
        owed=domain.owed(order),
    )  # fmt: skip


def _back(order_id: UUID) -> str:
    return f"/admin/orders/{order_id}"


@post("/admin/orders/{order_id:uuid}/shipments", policy=ANYONE)
async def ship(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Ship what the form names."""
    form = visit.form
    body: dict[str, Any] = {"lines": domain.pieces(form)}
    if not body["lines"]:
        return _nothing(visit, order_id)
    body |= {name: form[name] for name in ("carrier", "tracking") if form.get(name)}
    doing = store.act(visit.api, f"{ORDERS}/{order_id}/shipments", body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), "Shipped; the customer is told.", doing)


def _nothing(visit: Visit, order_id: UUID) -> Response[str]:
    visit.notice("Say how many pieces of what.", "bad")
    return see_other(_back(order_id))


@post("/admin/orders/{order_id:uuid}/shipments/{shipment_id:uuid}/delivery", policy=ANYONE)
async def deliver(order_id: UUID, shipment_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Note that a shipment arrived."""
    path = f"/api/v1/shipments/{shipment_id}/delivery"
    doing = store.act(visit.api, path, {}, visit.form.get("key", ""))
    return await pages.done(visit, _back(order_id), "Delivered.", doing)


@post("/admin/orders/{order_id:uuid}/cancellation", policy=ANYONE)
async def cancel(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Cancel the whole order, or the pieces that the form names."""
    form = visit.form
    body: dict[str, Any] = {"reason": form["reason"]} if form.get("reason") else {}
    if lines := domain.pieces(form):
        body["lines"] = lines
        if form.get("shipping"):
            body["shipping"] = form["shipping"]
    doing = store.act(visit.api, f"{ORDERS}/{order_id}/cancellation", body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), "Cancelled; what was paid goes back.", doing)


@post("/admin/orders/{order_id:uuid}/returns", policy=ANYONE)
async def take_back(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Take back what the form names: it is here already, or announced."""
    form = visit.form
    more: dict[str, Any] = {"restock": form.get("restock") == "yes"}
    if form.get("reason"):
        more["reason"] = form["reason"]
    lines = [{**line, **more} for line in domain.pieces(form)]
    if not lines:
        return _nothing(visit, order_id)
    here = form.get("received") == "yes"
    body: dict[str, Any] = {"lines": lines, "received": here}
    if here and form.get("shipping"):
        body["shipping"] = form["shipping"]
    said = "Taken back; the money goes back." if here else "Announced; the customer is told."
    doing = store.act(visit.api, f"{ORDERS}/{order_id}/returns", body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), said, doing)


@post("/admin/orders/{order_id:uuid}/returns/{return_id:uuid}/{what:str}", policy=ANYONE)
async def decide_return(
    order_id: UUID, return_id: UUID, what: str, visit: Visit, pages: Pages
) -> Response[str]:
    """Receive a return that was announced, or reject it."""
    if what not in ("receipt", "rejection"):
        raise NotFound("There is nothing here.")
    form = visit.form
    receiving = what == "receipt"
    body: dict[str, Any] = {} if receiving else {"reason": form.get("reason") or "Not accepted"}
    if receiving:
        body = await _arrived(visit, return_id)
    path = f"/api/v1/returns/{return_id}/{what}"
    said = "Received; the money goes back." if receiving else "Rejected; the customer is told."
    doing = store.act(visit.api, path, body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), said, doing)


async def _arrived(visit: Visit, return_id: UUID) -> dict[str, Any]:
    """Make the body of a receipt: all that was announced is here, to be sold again or not."""
    form = visit.form
    body: dict[str, Any] = {"shipping": form["shipping"]} if form.get("shipping") else {}
    if form.get("restock") != "yes":
        found = await visit.api.get(f"/api/v1/returns/{return_id}")
        body["lines"] = [
            {"line_no": line["line_no"], "received": line["quantity"], "restock": False}
            for line in found["lines"]
        ]
    return body


@get("/admin/orders/{order_id:uuid}/invoice", policy=ANYONE)
async def show_invoice(order_id: UUID, visit: Visit) -> Response[str]:
    """Give the invoice as a page to print."""
    _, parts = await visit.api.download(f"{ORDERS}/{order_id}/invoice.html")
    return inert(b"".join([part async for part in parts]).decode())


@post("/admin/orders/{order_id:uuid}/credits", policy=ANYONE)
async def credit(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Give money back as goodwill."""
    form = visit.form
    try:
        body: dict[str, Any] = {"amount_minor": desk.amount_minor(form)}
    except Wrong as wrong:
        pages.tell(visit, wrong)
        return see_other(_back(order_id))
    if form.get("reason"):
        body["reason"] = form["reason"]
    doing = store.act(visit.api, f"{ORDERS}/{order_id}/credits", body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), "Credited; the money goes back.", doing)


@post("/admin/orders/{order_id:uuid}/payments/{payment_id:uuid}/{what:str}", policy=ANYONE)
async def on_payment(
    order_id: UUID, payment_id: UUID, what: str, visit: Visit, pages: Pages
) -> Response[str]:
    """Take money that is promised, give the promise back, or give a failed refund anew."""
    form = visit.form
    body: dict[str, Any] = {}
    match what:
        case "captures":
            said = "The money is asked for."
        case "voids":
            said = "The promise is given back."
        case "refunds":
            outside = form.get("outside") == "yes"
            try:
                body = {"amount_minor": desk.amount_minor(form), "outside": outside}
            except Wrong as wrong:
                pages.tell(visit, wrong)
                return see_other(_back(order_id))
            if form.get("credit_id"):
                body["credit_id"] = form["credit_id"]
            said = "Noted as given in another way." if outside else "The refund is tried again."
        case _:
            raise NotFound("There is nothing here.")
    path = f"/api/v1/payments/{payment_id}/{what}"
    doing = store.act(visit.api, path, body, form.get("key", ""))
    return await pages.done(visit, _back(order_id), said, doing)


ROUTES = (
    show_order, ship, deliver, cancel, take_back, decide_return, credit, on_payment, show_invoice,
)  # fmt: skip
