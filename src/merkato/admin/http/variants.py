"""One variant of a product: what is chosen, how it is sent and taxed, and what it costs."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin.domain import goods as domain
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound

VARIANT = "/admin/products/{product_id:uuid}/variant"
SPARE_ROWS = 2  # empty rows of prices to fill in
NEW: Mapping[str, Any] = {
    "sku": "", "options": {}, "prices": [], "track_stock": True, "requires_shipping": True,
    "weight_g": 0, "tax_class": "standard", "image": None, "metadata": {}, "archived": False,
}  # fmt: skip


@get(VARIANT, policy=ANYONE)
async def show_variant(
    product_id: UUID, visit: Visit, pages: Pages, sku: str = ""
) -> Response[str]:
    """Show a variant, or the form of a new one when no sku is named."""
    product, etag = await store.tagged(visit.api, f"{store.PRODUCTS}/{product_id}")
    return await _draw(visit, pages, product, etag, _found(product, sku), {})


def _found(product: Mapping[str, Any], sku: str) -> dict[str, Any]:
    if not sku:
        return dict(NEW)
    for one in product["variants"]:
        if one["sku"].lower() == sku.lower():
            return dict(one)
    raise NotFound("There is no such variant.")


async def _draw(
    visit: Visit, pages: Pages, product: dict[str, Any], etag: str, variant: dict[str, Any],
    typed: Mapping[str, str],
) -> Response[str]:  # fmt: skip
    """Draw the editor of a variant, with what was typed where that was refused."""
    lists = await store.price_lists(visit.api)
    spare = {
        "list": "standard", "currency": pages.currency, "from": "1", "since": "", "amount": "",
    }  # fmt: skip
    shown = {
        name: typed.get(name, "") if typed else variant[name]
        for name in ("weight_g", "tax_class", "track_stock", "requires_shipping", "image")
    }
    rows = domain.typed_rows(typed) if typed else domain.written_rows(variant["prices"])
    return pages.draw(
        visit, "variant.html", product=product, etag=etag, variant=variant, shown=shown,
        sku=typed.get("sku", ""), options=_options(typed) if typed else variant["options"],
        lists=[(one["name"], one["title"] or one["name"]) for one in lists],
        rows=rows if typed else [*rows, *[spare] * SPARE_ROWS],
        pictures=[(one, domain.thumbnail(one)) for one in product["images"]],
    )  # fmt: skip


@post(VARIANT, policy=ANYONE)
async def save_variant(
    product_id: UUID, visit: Visit, pages: Pages, sku: str = ""
) -> Response[str]:
    """Make or change a variant with its prices."""
    form = visit.form
    path = f"{store.PRODUCTS}/{product_id}"
    product, etag = await store.tagged(visit.api, path)
    before = _found(product, sku)
    try:
        body = _body(visit, before)
        name = before["sku"] or form.get("sku", "")
        if not name:
            raise domain.Wrong("Sku: up to 64 visible characters.")
        sent = form.get("etag", etag) if before["sku"] else ""
        await store.put_tagged(visit.api, f"{path}/variants/{segment(name)}", body, sent)
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw(visit, pages, product, etag, before, form)
    visit.notice("Saved; its prices count from now on.")
    return see_other(f"/admin/products/{product_id}#variants")


def _options(form: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("option."): value
        for name, value in form.items()
        if name.startswith("option.") and value
    }


def _body(visit: Visit, before: Mapping[str, Any]) -> dict[str, Any]:
    """Read a variant. Raises Wrong."""
    form = visit.form
    return {
        "options": _options(form),
        "track_stock": form.get("track_stock") == "yes",
        "requires_shipping": form.get("requires_shipping") == "yes",
        "weight_g": domain.whole(form.get("weight_g") or "0", "Weight", 0, 10**8),
        "tax_class": form.get("tax_class") or "standard",
        "image": form.get("image") or None,
        "metadata": before["metadata"],
        "prices": domain.price_rows(form),
    }


@post(f"{VARIANT}/archive", policy=ANYONE)
async def archive_variant(
    product_id: UUID, visit: Visit, pages: Pages, sku: str = ""
) -> Response[str]:
    """Stop selling a variant."""
    path = f"{store.PRODUCTS}/{product_id}/variants/{segment(sku)}"
    doing = store.delete_tagged(visit.api, path, visit.form.get("etag", ""))
    back = f"/admin/products/{product_id}#variants"
    return await pages.done(visit, back, f"{sku} is not sold any more.", doing)


ROUTES = (show_variant, save_variant, archive_variant)
