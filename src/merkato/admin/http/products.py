"""Products and their stock: an editor for texts, status and prices, and a journal of pieces."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin import domain, store
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

LOCALES = ("en", "de")
STOCK = "/api/v1/stock"


@get("/admin/products/new", policy=ANYONE)
async def show_new(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form of a new product."""
    return pages.draw(visit, "product-new.html", values={})


@post("/admin/products/new", policy=ANYONE)
async def create(visit: Visit, pages: Pages) -> Response[str]:
    """Make a product of one variant; more are added in its editor."""
    form = visit.form
    price = domain.minor(form.get("price", ""))
    if price is None:
        visit.notice("Price: a number such as 12.90.", "bad")
        return pages.draw(visit, "product-new.html", values=form)
    row = {
        "sku": form.get("sku", ""),
        "prices": [{"currency": pages.currency, "amount_minor": price}],
    }
    texts = {"en": {"title": form.get("title", ""), "description": form.get("description", "")}}
    body = {"status": form.get("status") or "draft", "texts": texts, "variants": [row]}
    try:
        made = await store.create_product(visit.api, body, form.get("key", ""))
    except Refusal as refusal:
        if refusal.status == 401:
            raise
        visit.notice(pages.why(refusal), "bad")
        return pages.draw(visit, "product-new.html", values=form)
    visit.notice("Made.")
    return see_other(f"/admin/products/{made['id']}")


@get("/admin/products/{product_id:uuid}", policy=ANYONE)
async def show_product(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show the editor."""
    product, etag = await store.product(visit.api, str(product_id))
    skus = [one["sku"] for one in product["variants"]]
    counted = await store.maybe(visit.api, STOCK, sku=skus)
    stock = {row["sku"]: row for row in (counted or {}).get("items", [])}
    return pages.draw(
        visit, "product.html", product=product, etag=etag, stock=stock, languages=LOCALES
    )


@post("/admin/products/{product_id:uuid}", policy=ANYONE)
async def change_product(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Save texts and status."""
    form = visit.form
    texts = {}
    for locale in LOCALES:
        if form.get(f"title.{locale}"):
            texts[locale] = {
                "title": form[f"title.{locale}"],
                "description": form.get(f"description.{locale}", ""),
            }
    change: dict[str, Any] = {"texts": texts} if texts else {}
    if form.get("status"):
        change["status"] = form["status"]
    doing = store.change_product(visit.api, str(product_id), change, form.get("etag", ""))
    return await pages.done(visit, f"/admin/products/{product_id}", "Saved.", doing)


@post("/admin/products/{product_id:uuid}/prices", policy=ANYONE)
async def set_price(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Set the price of a variant in the shop's currency; other prices stay."""
    form = visit.form
    back = f"/admin/products/{product_id}"
    price = domain.minor(form.get("price", ""))
    if price is None:
        visit.notice("Price: a number such as 12.90.", "bad")
        return see_other(back)
    product, etag = await store.product(visit.api, str(product_id))
    variant = next(one for one in product["variants"] if one["sku"] == form.get("sku"))
    names = ("currency", "amount_minor", "from_quantity", "price_list", "valid_from")
    kept = [
        {name: row[name] for name in names if row.get(name) is not None}
        for row in variant.get("prices") or ()
        if row["currency"] != pages.currency or row.get("from_quantity", 1) != 1
    ]
    prices = [*kept, {"currency": pages.currency, "amount_minor": price}]
    doing = store.set_prices(visit.api, variant["sku"], prices, form.get("etag") or etag)
    return await pages.done(visit, back, "The new price counts from now on.", doing)


@get("/admin/stock/{sku:str}", policy=ANYONE)
async def show_stock(sku: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show how many there are, and why."""
    found = await visit.api.get(STOCK, sku=sku)
    journal = await visit.api.get(f"{STOCK}/{segment(sku)}/journal", limit=50)
    rows = found["items"]
    return pages.draw(
        visit, "stock.html", sku=sku, row=rows[0] if rows else None, journal=journal["items"]
    )


@post("/admin/stock/{sku:str}", policy=ANYONE)
async def adjust_stock(sku: str, visit: Visit, pages: Pages) -> Response[str]:
    """Add or take pieces, with a reason."""
    form = visit.form
    back = f"/admin/stock/{segment(sku)}"
    text = form.get("delta", "")
    if not text.lstrip("+-").isdecimal() or not form.get("reason"):
        visit.notice("Say how many, such as 10 or -2, and why.", "bad")
        return see_other(back)
    body = {
        "delta": int(text), "reason": form["reason"], "received": form.get("received") == "yes",
    }  # fmt: skip
    path = f"{STOCK}/{segment(sku)}/adjustments"
    doing = store.act(visit.api, path, body, form.get("key", ""))
    return await pages.done(visit, back, "Noted in the journal.", doing)


ROUTES = (
    show_new, create, show_product, change_product, set_price, show_stock, adjust_stock,
)  # fmt: skip
