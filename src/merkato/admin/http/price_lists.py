"""Price lists: what others than everybody pay, and who they are."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.admin.store import maybe
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit
from merkato.contracts.problem import NotFound

LIST = "/admin/t/price-lists"
CUSTOMERS = "/api/v1/customer-price-lists"
ON_PAGE = 50


@get(LIST, policy=ANYONE)
async def show_lists(visit: Visit, pages: Pages) -> Response[str]:
    """Show all price lists."""
    return pages.draw(visit, "price-lists.html", items=await store.price_lists(visit.api))


@post(LIST, policy=ANYONE)
async def create(visit: Visit, pages: Pages) -> Response[str]:
    """Make a price list."""
    form = visit.form
    body = {
        "name": form.get("name", ""), "title": form.get("title") or None,
        "tax_included": form.get("tax_included") == "yes",
    }  # fmt: skip
    doing = visit.api.send("POST", store.PRICE_LISTS, body, key=form.get("key"))
    return await pages.done(visit, LIST, "Made. Give it prices in the editor of a variant.", doing)


@get("/admin/price-lists/{name:str}", policy=ANYONE)
async def show_list(
    name: str, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show a list, the prices that are on it now, and who pays by it."""
    lists = {one["name"]: one for one in await store.price_lists(visit.api)}
    if name not in lists:
        raise NotFound("There is no such price list.")
    currency = str(request.query_params.get("currency", "")).upper() or pages.currency
    cursor = request.query_params.get("cursor")
    found, customers = await asyncio.gather(
        visit.api.get(
            store.PRICES, price_list=name, currency=currency, limit=ON_PAGE, cursor=cursor
        ),
        maybe(visit.api, CUSTOMERS),
    )
    more = found.get("next_cursor")
    here = f"/admin/price-lists/{segment(name)}?"
    return pages.draw(
        visit, "price-list.html", one=lists[name], items=found["items"], chosen=currency,
        customers=[
            who["customer_id"] for who in (customers or {}).get("items", ())
            if who["price_list"] == name
        ],
        more=here + urlencode({"currency": currency, "cursor": more}) if more else None,
        first=cursor is None,
    )  # fmt: skip


@post("/admin/price-lists/{name:str}", policy=ANYONE)
async def change_list(name: str, visit: Visit, pages: Pages) -> Response[str]:
    """Change a list's title, or whether its prices include tax."""
    form = visit.form
    path = f"{store.PRICE_LISTS}/{segment(name)}"
    change = {
        "title": form.get("title") or None, "tax_included": form.get("tax_included") == "yes",
    }  # fmt: skip
    given = {"if-match": form.get("etag", "")}
    doing = visit.api.send("PATCH", path, change, headers=given)
    return await pages.done(visit, f"/admin/price-lists/{segment(name)}", "Saved.", doing)


@post("/admin/price-lists/{name:str}/delete", policy=ANYONE)
async def remove_list(name: str, visit: Visit, pages: Pages) -> Response[str]:
    """Remove a list that no price is on."""
    path = f"{store.PRICE_LISTS}/{segment(name)}"
    doing = store.delete_tagged(visit.api, path, visit.form.get("etag", ""))
    return await pages.done(visit, LIST, "It is gone.", doing)


ROUTES = (show_lists, create, show_list, change_list, remove_list)
