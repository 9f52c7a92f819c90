"""One product: its texts, where it stands, its pictures; making one, and archiving it."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin.domain import goods as domain
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other, uploads

LOCALES = ("en", "de")  # always offered; others that a product has are shown too
PICTURE_MAX_BYTES = 11 * 1024 * 1024  # of the form; the picture at most what the API takes


@get("/admin/products/new", policy=ANYONE)
async def show_new(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form of a new product."""
    return await _draw_new(visit, pages, {})


async def _draw_new(visit: Visit, pages: Pages, values: Mapping[str, str]) -> Response[str]:
    tree = domain.flat(await store.tree(visit.api))
    return pages.draw(visit, "product-new.html", values=values, categories=tree)


@post("/admin/products/new", policy=ANYONE)
async def create(visit: Visit, pages: Pages) -> Response[str]:
    """Make a product of one variant; more are added in its editor."""
    form = visit.form
    try:
        price = domain.minor(form.get("price", ""), pages.currency)
        row = {
            "sku": form.get("sku", ""),
            "prices": [{"currency": pages.currency, "amount_minor": price}],
        }
        texts = {
            pages.locale: {
                "title": form.get("title", ""), "description": form.get("description", ""),
            }
        }  # fmt: skip
        body = {
            "status": form.get("status") or "draft", "texts": texts, "variants": [row],
            "categories": [form["category_id"]] if form.get("category_id") else [],
        }  # fmt: skip
        made = await visit.api.send("POST", store.PRODUCTS, body, key=form.get("key"))
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw_new(visit, pages, form)
    visit.notice("Made. Now it wants a picture.")
    return see_other(f"/admin/products/{made['id']}")


@get("/admin/products/{product_id:uuid}", policy=ANYONE)
async def show_product(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show the editor."""
    return await _draw(product_id, visit, pages, {})


async def _draw(
    product_id: UUID, visit: Visit, pages: Pages, typed: Mapping[str, str]
) -> Response[str]:
    """Draw the editor of a product, with what was typed where that was refused."""
    product, etag = await store.tagged(visit.api, f"{store.PRODUCTS}/{product_id}")
    skus = [one["sku"] for one in product["variants"]]
    stock, tree = await asyncio.gather(
        store.counted(visit.api, skus), store.tree(visit.api)
    )  # fmt: skip
    texts = domain.typed_texts(typed, product["texts"])
    shown = dict.fromkeys((pages.locale, *LOCALES, *texts))
    inside = {one["id"] for one in product["categories"]}
    return pages.draw(
        visit, "product.html", product=product, etag=etag, stock=stock, texts=texts,
        languages=list(shown), locale=pages.locale, categories=domain.flat(tree),
        inside=set(domain.named(typed, "category.")) if typed else inside,
        stands=typed.get("status", product["status"]), typed=typed,
        attributes=typed.get("attributes", domain.lines(product["attributes"])),
        options=typed.get("options", domain.chosen(product["options"])),
    )  # fmt: skip


@post("/admin/products/{product_id:uuid}", policy=ANYONE)
async def change_product(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Save texts, status, categories, attributes and what there is to choose."""
    form = visit.form
    path = f"{store.PRODUCTS}/{product_id}"
    try:
        before, _ = await store.tagged(visit.api, path)
        change = {
            "texts": domain.texts(form, before["texts"]),
            "categories": domain.named(form, "category."),
            "attributes": domain.attributes(form.get("attributes", ""), before["attributes"]),
            "options": domain.options(form.get("options", "")),
        }
        if before["status"] == "archived":
            change = {}
        if form.get("status") not in (None, before["status"]):
            change["status"] = form["status"]
        await visit.api.send(
            "PATCH", path, change, headers={"if-match": form.get("etag", "")}
        )  # fmt: skip
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw(product_id, visit, pages, form)
    visit.notice("Saved.")
    return see_other(f"/admin/products/{product_id}")


@post("/admin/products/{product_id:uuid}/archive", policy=ANYONE)
async def archive_product(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Take a product out of the shop; it can be made a draft again."""
    doing = store.delete_tagged(
        visit.api, f"{store.PRODUCTS}/{product_id}", visit.form.get("etag", "")
    )
    said = "It has left the shop. Orders go on knowing it."
    return await pages.done(visit, f"/admin/products/{product_id}", said, doing)


@post(
    "/admin/products/{product_id:uuid}/pictures", policy=ANYONE,
    allowance=uploads(PICTURE_MAX_BYTES),
)  # fmt: skip
async def add_picture(product_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Add a picture; the catalogue encodes it anew."""
    file = visit.files.get("picture")
    back = f"/admin/products/{product_id}#pictures"
    if file is None or not file.content:
        visit.notice("Choose a picture first.", "bad")
        return see_other(back)
    path = f"{store.PRODUCTS}/{product_id}/images"
    doing = store.add_picture(
        visit.api, path, file.content, visit.form.get("alt", ""), pages.locale
    )
    return await pages.done(visit, back, "The picture is there.", doing)


@post("/admin/products/{product_id:uuid}/pictures/{image_id:uuid}", policy=ANYONE)
async def change_picture(
    product_id: UUID, image_id: UUID, visit: Visit, pages: Pages
) -> Response[str]:
    """Move a picture, say in words what it shows, or take it off."""
    form = visit.form
    path = f"{store.PRODUCTS}/{product_id}/images/{image_id}"
    back, etag = f"/admin/products/{product_id}#pictures", form.get("etag", "")
    if form.get("do") == "remove":
        doing = store.delete_tagged(visit.api, path, etag)
        return await pages.done(visit, back, "Taken off.", doing)
    alts = {name.removeprefix("alt."): value for name, value in form.items() if name[:4] == "alt."}
    change: dict[str, Any] = {"alts": {locale: text for locale, text in alts.items() if text}}
    if re.fullmatch(r"[0-9]{1,3}", form.get("do", "")):
        change["position"] = int(form["do"])
    doing = visit.api.send("PATCH", path, change, headers={"if-match": etag})
    return await pages.done(visit, back, "Saved.", doing)


ROUTES = (
    show_new, create, show_product, change_product, archive_product, add_picture, change_picture,
)  # fmt: skip
