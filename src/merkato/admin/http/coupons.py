"""Coupons: what they take off, for whom and until when, and which orders had them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post

from merkato.admin.domain import goods, terms
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.admin.store import maybe
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

COUPONS = "/api/v1/coupons"
NEW: Mapping[str, Any] = {
    "code": "", "kind": "percent", "basis_points": None, "amounts": {}, "minimum": {},
    "valid_from": None, "valid_until": None, "uses_max": None, "uses_per_customer_max": None,
    "note": None, "uses": 0, "archived": False,
}  # fmt: skip


@get("/admin/coupons/new", policy=ANYONE)
async def show_new(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form of a new coupon."""
    return _draw(visit, pages, NEW, "", {})


def _draw(
    visit: Visit, pages: Pages, coupon: Mapping[str, Any], etag: str, typed: Mapping[str, str],
    uses: list[dict[str, Any]] | None = None,
) -> Response[str]:  # fmt: skip
    points = coupon["basis_points"]
    shown = {
        **{name: str(coupon[name] or "") for name in ("uses_max", "uses_per_customer_max", "note")},
        "code": coupon["code"], "kind": coupon["kind"],
        "percent": goods.percent(points) if points else "",
        "amounts": goods.written(coupon["amounts"]), "minimum": goods.written(coupon["minimum"]),
        "valid_from": goods.moment_of(coupon["valid_from"]),
        "valid_until": goods.moment_of(coupon["valid_until"]), **typed,
    }  # fmt: skip
    return pages.draw(
        visit, "coupon.html", coupon=coupon, etag=etag, shown=shown, uses=uses or []
    )  # fmt: skip


@get("/admin/coupons/{code:str}", policy=ANYONE)
async def show_coupon(code: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show a coupon and the orders it was used for."""
    path = f"{COUPONS}/{segment(code)}"
    (coupon, etag), uses = await asyncio.gather(
        store.tagged(visit.api, path), maybe(visit.api, f"{path}/uses", limit=50)
    )
    return _draw(visit, pages, coupon, etag, {}, (uses or {}).get("items"))


@get("/admin/coupons", policy=ANYONE)
async def leave() -> Response[str]:
    """Lead to the list whoever loads the page of a refusal anew."""
    return see_other("/admin/t/coupons")


@post("/admin/coupons", policy=ANYONE)
async def save(visit: Visit, pages: Pages) -> Response[str]:
    """Make or change a coupon."""
    form = visit.form
    code, etag = form.get("code", ""), form.get("etag", "")
    try:
        if not code:
            raise goods.Wrong("Code: letters, digits and hyphens, 40 at most.")
        path = f"{COUPONS}/{segment(code)}"
        await store.put_tagged(visit.api, path, terms.coupon_body(form), etag)
    except (goods.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        before = {**NEW, "code": code} if etag else NEW
        return _draw(visit, pages, before, etag, form)
    visit.notice("Saved.")
    return see_other(f"/admin/coupons/{segment(code)}")


@post("/admin/coupons/{code:str}/archive", policy=ANYONE)
async def archive(code: str, visit: Visit, pages: Pages) -> Response[str]:
    """Take a coupon out of use."""
    path = f"{COUPONS}/{segment(code)}"
    doing = store.delete_tagged(visit.api, path, visit.form.get("etag", ""))
    return await pages.done(visit, "/admin/t/coupons", f"{code} is out of use.", doing)


ROUTES = (show_new, show_coupon, leave, save, archive)
