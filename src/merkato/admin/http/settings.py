"""What is set up rarely: coupons, tax rates."""

from litestar import Response, get, post

from merkato.admin import domain, store
from merkato.admin.http.pages import Pages
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

COUPONS = "/api/v1/coupons"


@get("/admin/coupons/new", policy=ANYONE)
async def show_new_coupon(visit: Visit, pages: Pages) -> Response[str]:
    """Show the form of a new coupon."""
    return pages.draw(visit, "coupon.html", coupon=None, uses=[])


@get("/admin/coupons/{code:str}", policy=ANYONE)
async def show_coupon(code: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show a coupon and the orders it was used for."""
    found = await visit.api.get(f"{COUPONS}/{segment(code)}")
    uses = await store.maybe(visit.api, f"{COUPONS}/{segment(code)}/uses")
    return pages.draw(visit, "coupon.html", coupon=found, uses=(uses or {}).get("items", []))


@post("/admin/coupons", policy=ANYONE)
async def save_coupon(visit: Visit, pages: Pages) -> Response[str]:
    """Make or change a coupon."""
    form = visit.form
    code = form.get("code", "")
    try:
        body = domain.coupon_body(form, pages.currency)
    except ValueError as wrong:
        visit.notice(str(wrong), "bad")
        return see_other("/admin/coupons/new")
    back = f"/admin/coupons/{segment(code)}" if code else "/admin/coupons/new"
    doing = store.put(visit.api, f"{COUPONS}/{segment(code)}", body)
    return await pages.done(visit, back, "Saved.", doing)


@post("/admin/coupons/{code:str}/archive", policy=ANYONE)
async def archive_coupon(code: str, visit: Visit, pages: Pages) -> Response[str]:
    """Take a coupon out of use."""
    doing = store.delete(visit.api, f"{COUPONS}/{segment(code)}")
    return await pages.done(visit, "/admin/t/coupons", "Out of use.", doing)


@post("/admin/taxes", policy=ANYONE)
async def save_rate(visit: Visit, pages: Pages) -> Response[str]:
    """Set a tax rate from a day on."""
    form = visit.form
    percent = domain.minor(form.get("percent", ""))
    if percent is None:
        visit.notice("Percent: a number such as 19 or 5.5.", "bad")
        return see_other("/admin/t/taxes")
    parts = [form.get(name, "") for name in ("country", "tax_class", "valid_from")]
    path = "/api/v1/tax-rates/" + "/".join(segment(part or "-") for part in parts)
    doing = store.put(visit.api, path, {"basis_points": percent})
    return await pages.done(visit, "/admin/t/taxes", "Saved; old orders stay as they are.", doing)


ROUTES = (show_new_coupon, show_coupon, save_coupon, archive_coupon, save_rate)
