"""The sums of a change to an order, shown before it is made."""

from typing import Any
from uuid import UUID

from litestar import Response, post

from merkato.admin import domain, store
from merkato.admin.domain import desk, goods
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound

# What is thought of: heading, where the form goes then, and what its button says.
STEPS = {
    "cancellation": ("Cancel", "cancellation", "Cancel it"),
    "return": ("Take back", "returns", "Take back"),
    "receipt": ("Receive the return", "returns/{return_id}/receipt", "Receive it"),
    "goodwill": ("Give money back", "credits", "Credit and send back"),
}


@post("/admin/orders/{order_id:uuid}/sums", policy=ANYONE)
async def show_sums(order_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show what a change would give back, with the button that makes it; or why it cannot be."""
    form = dict(visit.form)
    kind = form.get("kind", "")
    if kind not in STEPS:
        raise NotFound("There is nothing here.")
    order = await store.order(visit.api, str(order_id))
    pieces = domain.pieces(form)
    back = f"/admin/orders/{order_id}"
    try:
        if kind == "goodwill":
            amount = goods.minor(form.get("amount", ""), order["currency"], "Amount")
            form["amount_minor"] = str(amount)
        wish = desk.credit_wish(form, pieces)
        sums = await _preview(visit, order_id, wish)
    except (goods.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return see_other(back)
    titles = {line["line_no"]: line for line in order["lines"]}
    heading, where, button = STEPS[kind]
    chosen = [(titles[one["line_no"]], one["quantity"]) for one in pieces]
    if kind == "receipt":
        chosen = [
            (titles[line["line_no"]], line["quantity"])
            for one in order["returns"] if one["id"] == form.get("return_id")
            for line in one["lines"]
        ]  # fmt: skip
    kept = {name: text for name, text in form.items() if name not in ("key", "kind")}
    return pages.draw(
        visit, "sums.html", order=order, sums=sums, heading=heading, button=button, kept=kept,
        chosen=chosen, kind=kind, action=f"{back}/{where.format(**form)}", back=back,
    )  # fmt: skip


async def _preview(visit: Visit, order_id: UUID, wish: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/v1/orders/{order_id}/credits/preview"
    found: dict[str, Any] = await visit.api.send("POST", path, wish)
    return found


ROUTES = (show_sums,)
