"""An order as its customer follows it, and what may be done about it."""

import asyncio
import re
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.storefront import domain
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import carts, orders
from merkato.storefront.templates import words


@get("/orders/{order_id:uuid}", policy=ANYONE)
async def show_order(
    order_id: UUID, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show an order to its customer; a guest's link carries the proof, kept from then on."""
    token = request.query_params.get("token")
    if token:
        visit.session.remember_order(str(order_id), token[:200])
        return see_other(f"/orders/{order_id}")
    order, timeline = await asyncio.gather(
        orders.order(visit.api, str(order_id)), orders.timeline(visit.api, str(order_id))
    )
    return await pages.draw(
        visit, "order.html", timeline=timeline, fresh="fresh" in request.query_params,
        event=lambda what: pages.either(visit, f"event.{what}", "event.other"),
        returnable=domain.returnable(order),
        can_cancel=domain.can_cancel(order), reasons=domain.RETURN_REASONS,
        options=lambda line: words.options(line["options"], visit.locale),
        **await _status(visit, order),
    )  # fmt: skip


@get("/orders/{order_id:uuid}/status", policy=ANYONE)
async def show_status(
    order_id: UUID, request: Request[Any, Any, Any], visit: Visit
) -> Response[str]:
    """Tell a page that looks again whether there is something new; then it loads itself anew."""
    order = await orders.order(visit.api, str(order_id))
    status = await _status(visit, order)
    if request.query_params.get("seen") == status["stage"]:
        return Response("", status_code=204, media_type="text/html")
    return Response("", status_code=200, headers={"HX-Refresh": "true"}, media_type="text/html")


@get("/orders/{order_id:uuid}/invoice", policy=ANYONE)
async def show_invoice(order_id: UUID, visit: Visit) -> Response[str]:
    """Give the invoice as a page to print."""
    page, policy = await orders.invoice(visit.api, str(order_id))
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})


async def _status(visit: Visit, order: dict[str, Any]) -> dict[str, Any]:
    action_url, can_pay, not_by_card = None, False, False
    if order["status"] == "placed" and order["payment_status"] in ("action_required", "declined"):
        payment = await orders.payment(visit.api, order["id"]) or {}
        asked = payment.get("operations") or []
        action_url = next((one["url"] for one in reversed(asked) if one.get("url")), None)
        not_by_card = domain.not_by_card(asked)
        can_pay = payment.get("state") == "declined"  # else another attempt is on its way
    return {
        "order": order, "steps": domain.STEPS, "reached": domain.progress(order),
        "action_url": action_url, "can_pay": can_pay, "not_by_card": not_by_card,
        "waiting": order["status"] == "placed" and not can_pay,
        "look_again_s": domain.look_again_s(order, can_pay=can_pay),
        "stage": domain.stage(order, can_pay=can_pay, asked_back=action_url is not None),
    }  # fmt: skip


@post("/orders/{order_id:uuid}/payment", policy=ANYONE)
async def pay(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Pay again after a decline."""
    payment = domain.payment(visit.form.get("payment", ""))
    if payment is None:
        visit.notice(pages.text(visit, "field.choose"), "bad")
        return see_other(f"/orders/{order_id}")
    return await _done(
        visit, pages, order_id, "order.paying",
        lambda: orders.pay_again(visit.api, str(order_id), payment, visit.form.get("key", "")),
    )  # fmt: skip


@post("/orders/{order_id:uuid}/cancellation", policy=ANYONE)
async def cancel(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """End the order."""
    return await _done(
        visit, pages, order_id, "order.cancelled",
        lambda: orders.cancel(visit.api, str(order_id), visit.form.get("key", "")),
    )  # fmt: skip


@post("/orders/{order_id:uuid}/returns", policy=ANYONE)
async def ask_return(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Ask to send something back."""
    form = visit.form
    reason = form.get("reason", "")
    reason = reason if reason in domain.RETURN_REASONS else "other"
    lines = [
        {"line_no": int(name.removeprefix("line.")), "quantity": pieces, "reason": reason}
        for name, text in form.items()
        if re.fullmatch(r"line\.[0-9]{1,9}", name)
        and (pieces := domain.quantity(text, 0)) > 0
    ]  # fmt: skip
    if not lines:
        visit.notice(pages.text(visit, "order.return.none"), "bad")
        return see_other(f"/orders/{order_id}")
    note, key = form.get("note", ""), form.get("key", "")
    return await _done(
        visit, pages, order_id, "order.return.asked",
        lambda: orders.ask_return(visit.api, str(order_id), lines, note, key),
    )  # fmt: skip


@post("/orders/{order_id:uuid}/again", policy=ANYONE)
async def order_again(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Put what an order had into the cart once more, as far as it is still sold."""
    order = await orders.order(visit.api, str(order_id))
    gone = []
    for line in order["lines"]:
        try:
            await carts.add(visit, line["sku"], line["quantity"], order["currency"])
        except Refusal as refusal:
            if refusal.status not in (404, 409, 422):
                raise
            gone.append(line["title"])
    if gone:
        visit.notice(pages.text(visit, "order.again.gone", titles=", ".join(gone)), "bad")
    return see_other("/cart")


async def _done(visit: Visit, pages: Pages, order_id: UUID, said: str, do: Any) -> Response[str]:
    try:
        await do()
        visit.notice(pages.text(visit, said))
    except Refusal as refusal:
        if refusal.status in (401, 404):
            raise
        visit.notice(pages.refusal(visit, refusal), "bad")
    return see_other(f"/orders/{order_id}")


ROUTES = (show_order, show_status, show_invoice, pay, cancel, ask_return, order_again)
