"""The cart of a browser."""

from typing import Any

from litestar import Response, get, post

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, local, see_other
from merkato.storefront import domain
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import carts
from merkato.storefront.templates import words


@get("/cart", policy=ANYONE)
async def show_cart(visit: Visit, pages: Pages) -> Response[str]:
    """Show what is in the cart."""
    found = await carts.cart(visit)
    stock = await carts.stock(visit, found) if found else {}
    return await pages.draw(
        visit, "cart.html", cart=found, stock=stock,
        coupon_why=lambda why: pages.either(visit, f"coupon.{why}", "coupon.other"),
        options=lambda line: words.options(line["options"], visit.locale),
        stuck=found is not None and domain.stuck(found),
        gone=[line for line in (found or {}).get("lines", ()) if stock.get(line["sku"]) == "no"],
    )  # fmt: skip


@post("/cart/lines", policy=ANYONE)
async def add_line(visit: Visit, pages: Pages) -> Response[str]:
    """Put something into the cart."""
    form = visit.form
    quantity = max(1, domain.quantity(form.get("quantity", "1")))
    try:
        await carts.add(visit, form.get("sku", ""), quantity, pages.currency)
        visit.notice(pages.text(visit, "cart.added", title=form.get("title", "")))
    except Refusal as refusal:
        visit.notice(pages.refusal(visit, refusal), "bad")
    return see_other("/cart")


@post("/cart/lines/{line_id:uuid}", policy=ANYONE)
async def set_line(line_id: Any, visit: Visit, pages: Pages) -> Response[str]:
    """Set how many of a line; 0 takes it out."""
    try:
        await carts.set_line(visit, str(line_id), domain.quantity(visit.form.get("quantity", "")))
        visit.notice(pages.text(visit, "cart.changed"))
    except Refusal as refusal:
        if refusal.status != 404:  # else it was taken out in another tab
            visit.notice(pages.refusal(visit, refusal), "bad")
    return see_other("/cart")


@post("/cart/coupon", policy=ANYONE)
async def set_coupon(visit: Visit, pages: Pages) -> Response[str]:
    """Put a coupon on the cart, or take it off."""
    try:
        if code := visit.form.get("drop"):
            await carts.drop_coupon(visit, code)
        elif code := visit.form.get("code"):
            await carts.set_coupon(visit, code)
    except Refusal as refusal:
        visit.notice(pages.refusal(visit, refusal), "bad")
    return see_other("/cart")


@post("/settings", policy=ANYONE)
async def settings(visit: Visit) -> Response[str]:
    """Choose language and appearance."""
    form = visit.form
    if form.get("locale") in ("en", "de"):
        visit.session.locale = form["locale"]
    if form.get("theme") in ("light", "dark", "auto"):
        visit.session.theme = form["theme"].replace("auto", "")
    return see_other(local(form.get("next"), "/"))


ROUTES = (show_cart, add_line, set_line, set_coupon, settings)
