"""The first page: what there is to do, how it goes, and whether the house is well."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, get

from merkato.admin import domain, store
from merkato.admin.domain import desk
from merkato.admin.http.pages import Pages
from merkato.admin.templates import money
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import ANSWERS
from merkato.chassis.web import Visit
from merkato.contracts.problem import Unauthenticated

COUNTED_MAX = 100  # of a list; more are shown as 100+
DAYS = 14
SERVICES = (
    "users", "catalog", "inventory", "orders", "payments", "notifications", "broker", "storefront",
)  # fmt: skip


@get(["/admin", "/admin/"], policy=ANYONE)
async def dashboard(visit: Visit, pages: Pages) -> Response[str]:
    """Show the state of the shop."""
    if not visit.session.logged_in:
        raise Unauthenticated("Log in first.")
    api, now = visit.api, datetime.now(UTC)
    seen, recent, returns, low, dead, unknown, days, wrong = await asyncio.gather(
        store.maybe(api, "/api/v1/reports/overview"),
        store.maybe(api, "/api/v1/orders", limit=8),
        store.maybe(api, "/api/v1/returns", status="requested", limit=COUNTED_MAX),
        store.maybe(api, "/api/v1/stock", low=True, limit=COUNTED_MAX),
        store.maybe(api, "/api/v1/dead-letters", limit=COUNTED_MAX),
        store.maybe(api, "/api/v1/payments", state="unknown", limit=COUNTED_MAX),
        _days(visit, now),
        store.health(api),
    )
    seen = seen or {}
    today = f"{now:%Y-%m-%d}"
    revenue = [one for one in days if one["key"] == today and one["currency"] == pages.currency]
    net = revenue[0]["net_minor"] if revenue else 0
    cards = [
        ("Orders in 24 hours", _say(seen, "orders"), "/admin/t/orders"),
        (
            "Sales today, less credits",
            money(net, pages.currency) if seen else "–",
            "/admin/t/reports",
        ),
        (
            "Carts ordered, 24 hours",
            desk.per_cart(seen.get("carts_ordered", 0), seen.get("carts", 0)),
            "/admin/t/reports",
        ),
        ("To be shipped", _say(seen, "to_ship"), f"/admin/t/orders?{domain.TO_SHIP}"),
        ("Waiting for payment", _say(seen, "unpaid"), "/admin/t/orders?status=placed"),
        ("Returns to look at", _count(returns), "/admin/t/returns?status=requested"),
        ("Low on stock", _count(low), "/admin/t/stock?low=true"),
        ("Payments unknown", _count(unknown), "/admin/t/payments?state=unknown"),
        ("Dead letters", _count(dead), "/admin/t/dead-letters"),
    ]
    return pages.draw(
        visit, "dashboard.html", cards=cards, recent=(recent or {}).get("items", []),
        services=_health(wrong), at=now.isoformat(), hourly=_hourly(seen),
        daily=_daily(days, now, pages.currency), top=_top(seen), speeds=desk.speeds(ANSWERS),
    )  # fmt: skip


def _say(seen: dict[str, Any], name: str) -> str:
    return str(seen.get(name, "–"))


def _count(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    more = "+" if found.get("next_cursor") else ""
    return f"{len(found['items'])}{more}"


def _health(wrong: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """List every service with what is the matter with it: nothing, most of the time."""
    return [
        (name, [f"{what.partition('.')[2]}: {why}" for what, why in wrong.items()
                if what.partition(".")[0] == name])
        for name in SERVICES
    ]  # fmt: skip


def _hourly(seen: dict[str, Any]) -> list[desk.Bar]:
    rows = seen.get("hourly") or []
    return desk.bars((row["hour"][11:16], row["orders"], str(row["orders"])) for row in rows)


def _daily(days: list[dict[str, Any]], now: datetime, currency: str) -> list[desk.Bar]:
    """Give sales less credits of the last days in the shop's currency, days without any too."""
    sold = {row["key"]: row["net_minor"] for row in days if row["currency"] == currency}
    wanted = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(DAYS - 1, -1, -1)]
    return desk.bars(
        (day[5:], sold.get(day, 0), money(sold.get(day, 0), currency)) for day in wanted
    )


def _top(seen: dict[str, Any]) -> list[desk.Bar]:
    return desk.bars(
        (row["title"], row["sales_minor"],
         f"{money(row['sales_minor'], row['currency'])}, {row['units']} sold")
        for row in seen.get("top") or []
    )  # fmt: skip


async def _days(visit: Visit, now: datetime) -> list[dict[str, Any]]:
    """Give the sales of the last days, where this person may see reports."""
    first = f"{now - timedelta(days=DAYS - 1):%Y-%m-%d}"
    query = {"from": first, "to": f"{now:%Y-%m-%d}", "by": "day"}
    found = await store.maybe(visit.api, "/api/v1/reports/sales", **query)
    rows: list[dict[str, Any]] = (found or {}).get("items", [])
    return rows


ROUTES = (dashboard,)
