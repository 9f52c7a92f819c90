"""The list of products: search, filters, saved views, and changing many of them at once."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post

from merkato.admin.domain import goods as domain
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.admin.store import saved_views
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound

LIST = "/admin/t/products"
ON_PAGE = 50
FILTERS = ("q", "status", "category", "sort")
STATUSES = {"publish": "active", "draft": "draft", "archive": "archived"}
TASKS = (*STATUSES, "categorise", "uncategorise", "prices")
SHOWN_MAX = 20  # titles of what is changed; the rest is counted


def _filters(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: text for name in FILTERS if (text := str(values.get(name, "")).strip())}


@get(LIST, policy=ANYONE)
async def show_products(
    request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show products, drafts and archived ones among them, with filters and saved views."""
    asked = _filters(request.query_params)
    cursor = request.query_params.get("cursor")
    wrong = ""
    views, tree = await asyncio.gather(
        saved_views(visit.api, "products"), store.tree(visit.api)
    )  # fmt: skip
    try:
        query = {**asked, "limit": ON_PAGE, "cursor": cursor}
        found = await store.records(visit.api, query)
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        found, wrong = {"items": []}, pages.why(refusal)
    more = found.get("next_cursor")
    return pages.draw(
        visit, "products.html", items=found["items"], asked=asked, wrong=wrong, views=views,
        categories=domain.flat(tree), query=urlencode(asked), first=cursor is None,
        more=f"{LIST}?{urlencode({**asked, 'cursor': more})}" if more else None,
        most=domain.BULK_MAX,
    )  # fmt: skip


@get("/admin/products/bulk", policy=ANYONE)
async def leave_bulk() -> Response[str]:
    """Lead back whoever loads the page of a change anew: what was ticked is not known any more."""
    return see_other(LIST)


@post("/admin/products/bulk", policy=ANYONE)
async def ask_bulk(visit: Visit, pages: Pages) -> Response[str]:
    """Ask what shall be done to products, and show what would come of it; changes nothing."""
    form = visit.form
    task, asked = form.get("task", ""), _filters(form)
    back = f"{LIST}?{urlencode(asked)}"
    if task not in TASKS:
        visit.notice("Choose what shall be done.", "bad")
        return see_other(back)
    ids = domain.ids(form)
    if form.get("scope") == "all":
        ids = await store.ids_of(visit.api, asked, domain.BULK_MAX)
    if not ids or len(ids) > domain.BULK_MAX:
        none = "Tick at least one product."
        many = f"More than {domain.BULK_MAX:,} products are too many at once; filter further."
        visit.notice(many if ids else none, "bad")
        return see_other(back)
    try:
        rows, change = await _rows(visit, pages, ids)
    except domain.Wrong as wrong:
        visit.notice(str(wrong), "bad")
        rows, change = [], None
    return await _draw(visit, pages, ids, rows, change)


async def _rows(
    visit: Visit, pages: Pages, ids: list[str]
) -> tuple[list[dict[str, Any]], domain.PriceChange | None]:
    """Work out what becomes of prices, once it was said how they shall change."""
    if visit.form.get("task") != "prices" or "amount" not in visit.form:
        return [], None
    change = domain.price_change(visit.form, pages.currency)
    found = await store.prices_of(visit.api, ids, change.price_list, change.currency)
    rows = [
        {**one, "becomes_minor": domain.changed_price(one["amount_minor"], change)} for one in found
    ]
    return rows, change


async def _draw(
    visit: Visit, pages: Pages, ids: list[str], rows: list[dict[str, Any]],
    change: domain.PriceChange | None,
) -> Response[str]:  # fmt: skip
    form = visit.form
    task = form["task"]
    tree, lists, titles = [], [], []
    if task in ("categorise", "uncategorise"):
        tree = domain.flat(await store.tree(visit.api))
    if task == "prices":
        lists = [
            (one["name"], one["title"] or one["name"]) for one in await store.price_lists(visit.api)
        ]
    else:
        titles = await asyncio.gather(
            *(store.title(visit.api, one) for one in ids[:SHOWN_MAX])
        )  # fmt: skip
    packed = [
        domain.NewPrice(one["sku"], one["from_quantity"], one["amount_minor"], one["becomes_minor"])
        for one in rows
        if one["becomes_minor"] != one["amount_minor"]
    ]
    return pages.draw(
        visit, "bulk.html", task=task, ids=ids, asked=_filters(form), values=form, rows=rows,
        change=change, categories=tree, lists=lists, titles=titles,
        rest=max(0, len(ids) - SHOWN_MAX), packed=msgspec.json.encode(packed).decode(),
        changing=len(packed), most=domain.BULK_MAX, query=urlencode(_filters(form)),
    )  # fmt: skip


@post("/admin/products/bulk/{task:str}", policy=ANYONE)
async def apply_bulk(task: str, visit: Visit, pages: Pages) -> Response[str]:
    """Change products as it was shown."""
    form = visit.form
    key, ids = form.get("key", ""), domain.ids(form)
    back = f"{LIST}?{urlencode(_filters(form))}"
    try:
        if task == "prices":
            changed = await store.set_prices(visit.api, _priced(form), key)
            visit.notice(f"{domain.several(changed, 'price')} changed, counting from now on.")
        elif task in TASKS:
            changed = await store.change_many(visit.api, ids, _change(task, form), key)
            many = domain.several(len(ids), "product")
            visit.notice(f"{changed:,} of {many} changed; others were so already.")
        else:
            raise NotFound("There is nothing here.")
    except (Refusal, msgspec.MsgspecError) as refusal:
        if isinstance(refusal, Refusal) and refusal.status == 401:
            raise
        why = pages.why(refusal) if isinstance(refusal, Refusal) else "This form cannot be read."
        visit.notice(f"Nothing was changed: {why}", "bad")
    return see_other(back)


def _change(task: str, form: Mapping[str, str]) -> dict[str, Any]:
    category = form.get("category_id", "")
    match task:
        case "categorise":
            return {"add_categories": [category]}
        case "uncategorise":
            return {"remove_categories": [category]}
    return {"status": STATUSES[task]}


def _priced(form: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = msgspec.json.decode(form.get("rows", ""), type=list[domain.NewPrice])
    return [
        {
            "sku": one.sku, "price_list": form.get("price_list", ""),
            "currency": form.get("currency", ""), "from_quantity": one.from_quantity,
            "amount_minor": one.amount_minor, "expected_minor": one.was_minor,
        }
        for one in rows
    ]  # fmt: skip


ROUTES = (show_products, leave_bulk, ask_bulk, apply_bulk)
