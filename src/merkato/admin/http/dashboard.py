"""The first page: what there is to do, how it goes, and whether the house is well."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, get

from merkato.admin import domain, store
from merkato.admin.http.pages import Pages
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit
from merkato.contracts.problem import Unauthenticated

HOURS = 24
ORDERS_MAX = 100


@get(["/admin", "/admin/"], policy=ANYONE)
async def dashboard(visit: Visit, pages: Pages) -> Response[str]:
    """Show the state of the shop."""
    if not visit.session.logged_in:
        raise Unauthenticated("Log in first.")
    now = datetime.now(UTC)
    since = (now - timedelta(hours=HOURS)).isoformat()
    api = visit.api
    orders, waiting, returns, low, dead, unknown, sales, wrong = await asyncio.gather(
        store.maybe(api, "/api/v1/orders", since=since, limit=ORDERS_MAX),
        store.maybe(api, "/api/v1/orders", status="placed", limit=ORDERS_MAX),
        store.maybe(api, "/api/v1/returns", status="requested", limit=ORDERS_MAX),
        store.maybe(api, "/api/v1/stock", low=True, limit=ORDERS_MAX),
        store.maybe(api, "/api/v1/dead-letters", limit=ORDERS_MAX),
        store.maybe(api, "/api/v1/payments", state="unknown", limit=ORDERS_MAX),
        _sales(visit, now),
        store.health(api),
    )
    recent = (orders or {}).get("items", [])
    to_ship = [o for o in recent if o["status"] == "confirmed" and _is_open(o)]
    cards = [
        ("Orders in 24 hours", _count(orders), "/admin/t/orders"),
        ("To be shipped", str(len(to_ship)), "/admin/t/orders?status=confirmed"),
        ("Waiting for payment", _count(waiting), "/admin/t/orders?status=placed"),
        ("Returns to look at", _count(returns), "/admin/t/returns?status=requested"),
        ("Low on stock", _count(low), "/admin/t/stock?low=true"),
        ("Payments unknown", _count(unknown), "/admin/t/payments?state=unknown"),
        ("Dead letters", _count(dead), "/admin/t/dead-letters"),
    ]
    return pages.draw(
        visit, "dashboard.html", cards=cards, recent=recent[:10], wrong=wrong,
        hourly=domain.bars(_hourly(recent, now)), daily=domain.bars(sales or []),
        complete=len(recent) < ORDERS_MAX,
    )  # fmt: skip


def _is_open(order: dict[str, Any]) -> bool:
    return order["fulfilment_status"] in ("unfulfilled", "partial")


def _count(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    more = "+" if found.get("next_cursor") else ""
    return f"{len(found['items'])}{more}"


def _hourly(orders: list[dict[str, Any]], now: datetime) -> list[tuple[str, int]]:
    """Count orders by hour, oldest first."""
    counted = Counter(order["placed_at"][:13] for order in orders)
    hours = [now - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    return [(f"{hour:%H}:00", counted[f"{hour:%Y-%m-%dT%H}"]) for hour in hours]


async def _sales(visit: Visit, now: datetime) -> list[tuple[str, int]] | None:
    """Give the net sales of the last days in the shop's currency, where reports exist."""
    first = (now - timedelta(days=13)).date().isoformat()
    last = (now + timedelta(days=1)).date().isoformat()
    query = {"from": first, "to": last, "tz": "UTC", "by": "day"}
    found = await store.maybe(visit.api, "/api/v1/reports/sales", **query)
    if not found:
        return None
    rows = found.get("rows") or found.get("items") or []
    return [(str(row.get("key") or row.get("day")), _net(row)) for row in rows]


def _net(row: dict[str, Any]) -> int:
    for name in ("net_minor", "net_sales_minor", "gross_minor"):
        if name in row:
            return int(row[name])
    return 0


ROUTES = (dashboard,)
