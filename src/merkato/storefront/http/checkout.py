"""The checkout: one page, one form. What is bought is what was shown; else it says what changed."""

import asyncio
import re
from typing import Any
from uuid import uuid4

from litestar import Request, Response, get, post

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.money import money
from merkato.storefront import domain
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import accounts, carts, orders

LABELS = {
    "email": "checkout.email", "shipping_method": "checkout.shipping",
    "payment": "checkout.payment",
    **{name: f"address.{name}" for name in domain.ADDRESS},
}  # fmt: skip
NEEDED = ("email", "name", "line1", "postal_code", "city", "country")


@get("/checkout", policy=ANYONE)
async def show_checkout(
    request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show the form, filled with what is known."""
    cart, book = await asyncio.gather(carts.cart(visit), _book(visit))
    if cart is None or not cart["lines"] or domain.stuck(cart):
        return see_other("/cart")
    values = _known(cart)
    chosen = request.query_params.get("address")
    kept = next((one for one in book if one["id"] == chosen), None)
    if kept is None and not values.get("line1"):
        kept = next((one for one in book if one["is_default"]), None)
    if kept is not None:
        values |= domain.address_fields(kept)
    if visit.session.logged_in and not values.get("email"):
        values["email"] = (await accounts.me(visit.api))[0]["email"]
    return await _draw(visit, pages, cart, values, {}, book)


@post("/checkout", policy=ANYONE)
async def check_out(visit: Visit, pages: Pages) -> Response[str]:
    """Take the form: show the total, or place the order at the total that was shown.

    A form that came without a button pressed shows what is known so far and complains of nothing.
    """
    form = visit.form
    cart = await carts.cart(visit)
    if cart is None or not cart["lines"] or domain.stuck(cart):
        return see_other("/cart")
    wrong = domain.missing(form, NEEDED)
    if not wrong:
        try:
            cart = await _save(visit, cart, form)
        except Refusal as refusal:
            if refusal.status == 409:
                return _look_again(visit, pages)
            wrong = domain.field_errors(refusal.problem)
    buying = form.get("do") == "place"
    if buying and not wrong and not form.get("shipping_method"):
        wrong["shipping_method"] = "choose"
    if not domain.payment(form.get("payment", "")):
        wrong["payment"] = "choose"
    errors = pages.errors(visit, wrong if "do" in form else {})
    if errors or not buying:
        return await _draw(visit, pages, cart, dict(form), errors, await _book(visit))
    changed = _changed(visit, pages, cart, form)
    if changed:
        visit.notice(changed, "bad")
        return await _draw(visit, pages, cart, dict(form), {}, await _book(visit))
    return await _place(visit, pages, cart, form)


async def _save(visit: Visit, cart: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    """Write the form into the cart, if it says anything new."""
    address = domain.address(form)
    details: dict[str, Any] = {
        "contact": {"email": form["email"], "name": form["name"]},
        "shipping_address": address,
    }
    method = form.get("shipping_method")
    methods = await carts.shipping_methods(visit, form["country"])
    if any(one["id"] == method for one in methods):
        details["shipping_method"] = method
    elif len(methods) > 0 and not method:
        details["shipping_method"] = form["shipping_method"] = methods[0]["id"]
    else:
        details["shipping_method"] = None
        form["shipping_method"] = ""
    known = {name: cart[name] for name in details}
    if {**known, "shipping_address": _bare(known["shipping_address"])} == details:
        return cart
    return await carts.set_details(visit, details)


def _bare(address: dict[str, Any] | None) -> dict[str, Any] | None:
    return address and {name: value for name, value in address.items() if value is not None}


def _changed(visit: Visit, pages: Pages, cart: dict[str, Any], form: dict[str, str]) -> str | None:
    """Say what is not as it was shown, None when all is."""
    now, shown = cart["totals"]["grand_minor"], form.get("expected", "")
    if shown == str(now):
        return None
    if not re.fullmatch(r"[0-9]{1,13}", shown):
        return pages.text(visit, "checkout.cart_changed")

    def written(minor: int) -> str:
        return money(minor, cart["currency"], visit.locale)

    said = [
        pages.text(visit, "checkout.price", title=line["title"], old=written(old), new=written(new))
        for line, old, new in domain.changed_prices(cart["lines"], form)
    ]
    said.append(pages.text(visit, "checkout.changed", old=written(int(shown)), new=written(now)))
    return " ".join(said)


async def _place(
    visit: Visit, pages: Pages, cart: dict[str, Any], form: dict[str, str]
) -> Response[str]:
    body = {
        "cart_id": cart["id"],
        "cart_version": cart["version"],
        "expected_total": {
            "amount_minor": cart["totals"]["grand_minor"], "currency": cart["currency"],
        },
        "payment": domain.payment(form["payment"]),
        "locale": visit.locale,
    }  # fmt: skip
    try:
        placed = await orders.place(visit.api, body, form.get("key", ""))
    except Refusal as refusal:
        return await _refused(visit, pages, cart, form, refusal)
    if placed.get("token"):
        visit.session.remember_order(placed["id"], placed["token"])
    carts.forget(visit.session)
    return see_other(f"/orders/{placed['id']}?fresh=1")


async def _refused(
    visit: Visit, pages: Pages, cart: dict[str, Any], form: dict[str, str], refusal: Refusal
) -> Response[str]:
    """Say what changed while the customer was buying, and keep the cart."""
    match refusal.slug:
        case "out-of-stock":
            missing = refusal.problem.get("missing") or []
            skus = [one if isinstance(one, str) else one.get("sku", "") for one in missing]
            named = ", ".join(domain.titles(cart["lines"], skus))
            visit.notice(pages.text(visit, "cart.short", titles=named), "bad")
            return see_other("/cart")
        case "price-changed" | "cart-changed" | "state-conflict":
            fresh = await carts.cart(visit)
            if fresh is None:  # ordered in another tab
                return see_other("/cart")
            said = _changed(visit, pages, fresh, form) or pages.refusal(visit, refusal)
            visit.notice(said, "bad")
            return await _draw(visit, pages, fresh, dict(form), {}, await _book(visit))
    errors = pages.errors(visit, domain.field_errors(refusal.problem))
    return await _draw(visit, pages, cart, dict(form), errors, await _book(visit))


def _look_again(visit: Visit, pages: Pages) -> Response[str]:
    visit.notice(pages.text(visit, "checkout.cart_changed"), "bad")
    return see_other("/checkout")


def _known(cart: dict[str, Any]) -> dict[str, str]:
    values = domain.address_fields(cart["shipping_address"])
    contact = cart["contact"] or {}
    return values | {
        "email": contact.get("email") or "",
        "name": values.get("name") or contact.get("name") or "",
        "shipping_method": cart["shipping_method"] or "",
    }


async def _book(visit: Visit) -> list[dict[str, Any]]:
    return await accounts.addresses(visit.api) if visit.session.logged_in else []


async def _draw(
    visit: Visit, pages: Pages, cart: dict[str, Any], values: dict[str, str],
    errors: dict[str, str], book: list[dict[str, Any]],
) -> Response[str]:  # fmt: skip
    country = values.get("country") or domain.COUNTRY
    values["country"] = country
    methods = await carts.shipping_methods(visit, country)
    complete = bool(cart["shipping_method"] and cart["shipping_address"] and cart["contact"])
    return await pages.draw(
        visit, "checkout.html", cart=cart, values=values, errors=errors, methods=methods,
        complete=complete, shown=complete and not errors and values.get("do") == "update",
        book=book, key=values.get("key") or uuid4().hex, labels=LABELS,
    )  # fmt: skip


ROUTES = (show_checkout, check_out)
