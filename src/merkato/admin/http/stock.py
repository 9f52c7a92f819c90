"""Stock: how many pieces there are of what, what is low, and why it changed."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from merkato.admin.domain import goods as domain
from merkato.admin.http.pages import Pages
from merkato.admin.store import act, maybe, people, put
from merkato.admin.store import goods as store
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

LIST = "/admin/t/stock"
ON_PAGE = 50
PIECES_MAX = 10**9


@get(LIST, policy=ANYONE)
async def show_stocks(request: Request[Any, Any, Any], visit: Visit, pages: Pages) -> Response[str]:
    """Show how many there are of each sku: all, what is low, or what a search finds."""
    q = str(request.query_params.get("q", "")).strip()
    low = request.query_params.get("low") == "true"
    cursor = request.query_params.get("cursor")
    titles: dict[str, dict[str, Any]] = {}
    if q:
        found, titles = await _search(visit, q)
    else:
        found = await visit.api.get(
            store.STOCK, low=low or None, limit=ON_PAGE, cursor=cursor
        )  # fmt: skip
        titles = await store.titles(visit.api, [row["sku"] for row in found["items"]])
    more = found.get("next_cursor")
    kept = {"low": "true"} if low else {}
    return pages.draw(
        visit, "stocks.html", items=found["items"], titles=titles, q=q, low=low,
        first=cursor is None,
        more=f"{LIST}?{urlencode({**kept, 'cursor': more})}" if more else None,
    )  # fmt: skip


async def _search(visit: Visit, q: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Find what is counted by a part of its sku or of its product's title; or the sku itself."""
    page = await maybe(visit.api, store.RECORDS, q=q, limit=ON_PAGE)
    products = (page or {}).get("items", [])
    titles = {variant["sku"]: one for one in products for variant in one["variants"]}
    counted = await visit.api.get(store.STOCK, sku=(list(titles) or [q])[: store.AT_ONCE])
    rows = [row for row in counted["items"] if "on_hand" in row]
    return {"items": rows}, titles


@get("/admin/stock/{sku:str}", policy=ANYONE)
async def show_stock(
    sku: str, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show how many there are of a sku, and why."""
    return await _draw(sku, visit, pages, request.query_params.get("cursor"), {})


async def _draw(
    sku: str, visit: Visit, pages: Pages, cursor: str | None, typed: dict[str, str]
) -> Response[str]:
    path = f"{store.STOCK}/{segment(sku)}/journal"
    counted, journal, titles = await asyncio.gather(
        store.counted(visit.api, [sku]),
        visit.api.get(path, limit=ON_PAGE, cursor=cursor),
        store.titles(visit.api, [sku]),
    )
    row = next(iter(counted.values()), None)
    more = journal.get("next_cursor")
    known = await people(visit.api, (one["actor"] for one in journal["items"]))
    return pages.draw(
        visit, "stock.html", people=known, sku=sku, row=row, journal=journal["items"], typed=typed,
        product=titles.get(row["sku"] if row else sku),
        more=f"/admin/stock/{segment(sku)}?{urlencode({'cursor': more})}" if more else None,
    )  # fmt: skip


@post("/admin/stock/{sku:str}", policy=ANYONE)
async def adjust_stock(sku: str, visit: Visit, pages: Pages) -> Response[str]:
    """Add or take pieces, with a reason."""
    form = visit.form
    try:
        if not form.get("reason"):
            raise domain.Wrong("Say why; the journal keeps it.")
        delta = domain.whole(form.get("delta", ""), "Pieces", -PIECES_MAX, PIECES_MAX)
        if delta == 0:
            raise domain.Wrong("Pieces: such as 10 or -2.")
        body = {
            "delta": delta, "reason": form["reason"], "received": form.get("received") == "yes",
        }  # fmt: skip
        path = f"{store.STOCK}/{segment(sku)}/adjustments"
        await act(visit.api, path, body, form.get("key", ""))
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw(sku, visit, pages, None, form)
    visit.notice("Noted in the journal.")
    return see_other(f"/admin/stock/{segment(sku)}")


@post("/admin/stock/{sku:str}/count", policy=ANYONE)
async def count_stock(sku: str, visit: Visit, pages: Pages) -> Response[str]:
    """Say how many were counted, and from how many on that is low."""
    form = visit.form
    try:
        body: dict[str, Any] = {
            "on_hand": domain.whole(form.get("on_hand", ""), "On hand", 0, PIECES_MAX),
            "reason": form.get("reason") or "counted",
        }
        if form.get("threshold"):
            body["threshold"] = domain.whole(form["threshold"], "Low at", 0, PIECES_MAX)
        await put(visit.api, f"{store.STOCK}/{segment(sku)}", body, form.get("key"))
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw(sku, visit, pages, None, form)
    visit.notice("Counted.")
    return see_other(f"/admin/stock/{segment(sku)}")


ROUTES = (show_stocks, show_stock, adjust_stock, count_stock)
