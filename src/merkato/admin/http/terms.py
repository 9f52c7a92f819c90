"""The terms of the shop: ways to send goods, and what tax is due where."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post

from merkato.admin.domain import goods, terms
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

METHODS = "/api/v1/shipping-methods"
RATES = "/api/v1/tax-rates"
SHIPPING, TAXES = "/admin/t/shipping", "/admin/t/taxes"
RATES_MAX = 100  # on a page
NEW: Mapping[str, Any] = {
    "id": "", "titles": {}, "position": 100, "countries": None, "prices": {}, "free_from": {},
    "weight_steps": [], "weight_max_g": None, "days_min": 1, "days_max": 3,
    "tax_class": "standard", "archived": False,
}  # fmt: skip


@get(SHIPPING, policy=ANYONE)
async def show_methods(visit: Visit, pages: Pages) -> Response[str]:
    """Show all ways to send goods, in the order customers see; those of before at the end."""
    found = await visit.api.get(f"{METHODS}/all", archived=True)
    items = sorted(found["items"], key=lambda one: one["archived"])
    return pages.draw(visit, "shipping.html", items=items)


@get("/admin/shipping/new", policy=ANYONE)
async def show_new_method(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form of a new way to send goods."""
    return _draw_method(visit, pages, NEW, "", {})


@get("/admin/shipping/{method_id:str}", policy=ANYONE)
async def show_method(method_id: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show the editor of a way to send goods."""
    method, etag = await store.tagged(visit.api, f"{METHODS}/{segment(method_id)}")
    return _draw_method(visit, pages, method, etag, {})


def _draw_method(
    visit: Visit, pages: Pages, method: Mapping[str, Any], etag: str, typed: Mapping[str, str]
) -> Response[str]:
    named = (name.removeprefix("title.") for name in typed if name.startswith("title."))
    languages = list(dict.fromkeys((*terms.LANGUAGES, *method["titles"], *named)))
    shown = {
        "id": method["id"], "countries": ", ".join(method["countries"] or ()),
        "prices": goods.written(method["prices"]),
        "free_from": goods.written(method["free_from"]),
        "weight_steps": terms.written_steps(method["weight_steps"]),
        **{f"title.{one}": method["titles"].get(one, "") for one in languages},
        **{
            name: "" if method[name] is None else str(method[name])
            for name in ("position", "weight_max_g", "days_min", "days_max", "tax_class")
        }, **typed,
    }  # fmt: skip
    return pages.draw(
        visit, "shipping-method.html", method=method, etag=etag, shown=shown, languages=languages
    )  # fmt: skip


@get("/admin/shipping", policy=ANYONE)
async def leave() -> Response[str]:
    """Lead to the list whoever loads the page of a refusal anew."""
    return see_other(SHIPPING)


@post("/admin/shipping", policy=ANYONE)
async def save_method(visit: Visit, pages: Pages) -> Response[str]:
    """Make or change a way to send goods."""
    form = visit.form
    name, etag = form.get("id", ""), form.get("etag", "")
    try:
        if not name:
            raise goods.Wrong("Name: small letters, digits and hyphens, such as express.")
        path = f"{METHODS}/{segment(name)}"
        await store.put_tagged(visit.api, path, terms.method_body(form), etag)
    except (goods.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        before = {**NEW, "id": name} if etag else NEW
        return _draw_method(visit, pages, before, etag, form)
    visit.notice("Saved; it counts within seconds. Orders that exist stay as they are.")
    return see_other(SHIPPING)


@post("/admin/shipping/{method_id:str}/archive", policy=ANYONE)
async def archive_method(method_id: str, visit: Visit, pages: Pages) -> Response[str]:
    """Offer a way to send goods no more."""
    path = f"{METHODS}/{segment(method_id)}"
    doing = store.delete_tagged(visit.api, path, visit.form.get("etag", ""))
    return await pages.done(visit, SHIPPING, f"{method_id} is not offered any more.", doing)


@get(TAXES, policy=ANYONE)
async def show_rates(request: Request[Any, Any, Any], visit: Visit, pages: Pages) -> Response[str]:
    """Show all tax rates, and the form of a new one."""
    return await _draw_rates(visit, pages, request.query_params.get("cursor"), {})


async def _draw_rates(
    visit: Visit, pages: Pages, cursor: str | None, typed: Mapping[str, str]
) -> Response[str]:
    found = await visit.api.get(RATES, limit=RATES_MAX, cursor=cursor)
    more = found.get("next_cursor")
    return pages.draw(
        visit, "taxes.html", items=found["items"], typed=typed, first=cursor is None,
        more=f"{TAXES}?cursor={more}" if more else None,
    )  # fmt: skip


def _rate(form: Mapping[str, str]) -> str:
    parts = [form.get(name, "") for name in ("country", "tax_class", "valid_from")]
    return f"{RATES}/" + "/".join(segment(part or "-") for part in parts)


@post(TAXES, policy=ANYONE)
async def save_rate(visit: Visit, pages: Pages) -> Response[str]:
    """Set a tax rate from a day on."""
    form = {**visit.form, "country": visit.form.get("country", "").upper()}
    try:
        body = {"basis_points": goods.basis_points(form.get("percent", ""))}
        await visit.api.send("PUT", _rate(form), body)
    except (goods.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw_rates(visit, pages, None, form)
    visit.notice("Saved; it counts within seconds. Orders that exist stay as they are.")
    return see_other(TAXES)


@post("/admin/taxes/delete", policy=ANYONE)
async def delete_rate(visit: Visit, pages: Pages) -> Response[str]:
    """Take a rate back; the one before it counts again."""
    doing = visit.api.send("DELETE", _rate(visit.form))
    said = "It is taken back; the rate before it counts again."
    return await pages.done(visit, TAXES, said, doing)


ROUTES = (
    show_methods, leave, show_new_method, show_method, save_method, archive_method, show_rates,
    save_rate, delete_rate,
)  # fmt: skip
