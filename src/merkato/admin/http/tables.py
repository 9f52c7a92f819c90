"""Lists: every table of domain.TABLES as a page with filters and pages."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get

from merkato.admin import domain, store
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit
from merkato.contracts.problem import NotFound

ON_PAGE = 50


@get("/admin/t/{slug:str}", policy=ANYONE)
async def show_table(
    slug: str, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show a list."""
    table = domain.TABLES.get(slug)
    if table is None or not table.path:
        raise NotFound("There is no such list.")
    given = [(name, value.strip()) for name, value in request.query_params.items()]
    kept = [(name, value) for name, value in given if value and name not in ("cursor", "limit")]
    asked = {one.name: [value for name, value in kept if name == one.name] for one in table.filters}
    views = await store.saved_views(visit.api, slug) if table.filters else []
    query: dict[str, Any] = {}
    for name, value in kept:
        days = any(one.name == name and one.kind == "day" for one in table.filters)
        query.setdefault(name, []).append(f"{value}T00:00:00Z" if days else value)
    query |= {"cursor": request.query_params.get("cursor"), "limit": ON_PAGE}
    wrong = ""
    try:
        found = await store.page(visit.api, table.path, query)
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        found, wrong = {"items": []}, pages.why(refusal)
    ids = [
        item[one.name] for one in table.columns if one.kind == "order" for item in found["items"]
    ]
    numbers = await store.numbers(visit.api, ids)
    cursor = found.get("next_cursor")
    return pages.draw(
        visit, "list.html", table=table, items=found["items"], asked=asked, wrong=wrong,
        first="cursor" not in request.query_params, view=urlencode(kept), views=views,
        numbers=numbers,
        here=f"/admin/t/{slug}?{urlencode(kept)}",
        more=f"/admin/t/{slug}?{urlencode([*kept, ('cursor', cursor)])}" if cursor else None,
    )  # fmt: skip


ROUTES = (show_table,)
