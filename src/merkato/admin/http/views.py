"""Saved views: a filter of a list under a name, for whoever saved it, in every browser."""

from litestar import Response, post

from merkato.admin import store
from merkato.admin.http.pages import Pages
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, local


@post("/admin/t/{slug:str}/views", policy=ANYONE)
async def save_view(slug: str, visit: Visit, pages: Pages) -> Response[str]:
    """Keep the filter that is on under a name."""
    form = visit.form
    back = local(f"/admin/t/{slug}?{form.get('query', '')}", f"/admin/t/{slug}")
    doing = store.save_view(visit.api, slug, form.get("name", ""), form.get("query", ""))
    return await pages.done(visit, back, f"“{form.get('name', '')}” is kept.", doing)


@post("/admin/t/{slug:str}/views/forget", policy=ANYONE)
async def forget_view(slug: str, visit: Visit, pages: Pages) -> Response[str]:
    """Forget a view; the list goes back to all."""
    doing = store.forget_view(visit.api, slug, visit.form.get("name", ""))
    return await pages.done(visit, f"/admin/t/{slug}", "The view is forgotten.", doing)


ROUTES = (save_view, forget_view)
