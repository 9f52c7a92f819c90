"""Reports of sales, with a chart and a file; and the trail of what staff did."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.response import Stream

from merkato.admin import store
from merkato.admin.domain import desk
from merkato.admin.http.pages import Pages
from merkato.admin.templates import money
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit

SALES, TRAIL = "/api/v1/reports/sales", "/api/v1/audit-trail"
BY = ("day", "month", "country", "product", "sku", "category", "currency")
DAYS = 30
BARS_MAX = 31
ROWS_MAX = 1_000

HTTPRequest = Request[Any, Any, Any]


def _asked(request: HTTPRequest) -> dict[str, str]:
    now = datetime.now(UTC)
    usual = {"by": "day", "from": f"{now - timedelta(days=DAYS - 1):%Y-%m-%d}",
             "to": f"{now:%Y-%m-%d}", "tz": "UTC"}  # fmt: skip
    given = {name: str(request.query_params.get(name, "")).strip() for name in usual}
    return usual | {name: value for name, value in given.items() if value}


@get("/admin/t/reports", policy=ANYONE)
async def show_sales(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show sales of a time by what is asked for."""
    asked, wrong = _asked(request), ""
    rows: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    more = None
    try:
        found, whole = await asyncio.gather(
            visit.api.get(SALES, limit=ROWS_MAX, **asked),
            visit.api.get(SALES, limit=ROWS_MAX, **{**asked, "by": "currency"}),
        )
        rows, more, sums = found["items"], found["next_cursor"], whole["items"]
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        wrong = pages.why(refusal)
    currencies = sorted({row["currency"] for row in rows})
    shown = pages.currency if pages.currency in currencies or not rows else currencies[0]
    drawn = [row for row in rows if row["currency"] == shown]
    if asked["by"] == "day" and drawn:
        drawn = _every_day(drawn, asked)
    if asked["by"] not in ("day", "month"):
        drawn.sort(key=lambda row: -row["net_minor"])
    bars = desk.bars(
        (
            row["label"] or row["key"] or "not known",
            row["net_minor"],
            money(row["net_minor"], shown),
        )
        for row in drawn[:BARS_MAX]
    )
    return pages.draw(
        visit, "reports.html", rows=rows, asked=asked, by=BY, bars=bars, wrong=wrong, shown=shown,
        cut=bool(more), most=ROWS_MAX, sums=sums,
        file=f"/admin/reports/sales.csv?{urlencode(asked)}",
    )  # fmt: skip


def _every_day(rows: list[dict[str, Any]], asked: dict[str, str]) -> list[dict[str, Any]]:
    """Fill in days on which nothing was sold, as many as are drawn."""
    known = {row["key"]: row for row in rows}
    last = date.fromisoformat(asked["to"])
    days = (last - date.fromisoformat(asked["from"])).days + 1
    wanted = [f"{last - timedelta(days=back)}" for back in range(min(days, BARS_MAX) - 1, -1, -1)]
    return [known.get(day, {"label": day, "net_minor": 0}) for day in wanted]


@get("/admin/reports/sales.csv", policy=ANYONE)
async def download_sales(request: HTTPRequest, visit: Visit) -> Stream:
    """Give the same as a file."""
    asked = urlencode({**_asked(request), "format": "csv"})
    found, parts = await visit.api.download(f"{SALES}?{asked}")
    headers = {"Content-Disposition": found.get("content-disposition", "attachment")}
    return Stream(parts, media_type="text/csv; charset=utf-8", headers=headers)


@get("/admin/t/audit-trail", policy=ANYONE)
async def show_trail(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show who did what, and what it changed."""
    names = ("actor", "action", "subject", "service", "since", "until", "cursor")
    asked = {name: str(request.query_params.get(name, "")).strip() for name in names}
    query = {name: value for name, value in asked.items() if value}
    for day in ("since", "until"):
        if day in query:
            query[day] += "T00:00:00Z"
    entries, more, wrong = [], None, ""
    try:
        found = await visit.api.get(TRAIL, limit=50, **query)
        entries, more = found["items"], found["next_cursor"]
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        wrong = pages.why(refusal)
    kept = [(name, value) for name, value in asked.items() if value and name != "cursor"]
    here = "/admin/t/audit-trail?"
    people = await store.people(visit.api, (one["actor"] for one in entries))
    return pages.draw(
        visit, "trail.html", people=people, wrong=wrong, asked=asked, here=here + urlencode(kept),
        entries=[(one, desk.differences(one), *desk.page_of(one["subject"])) for one in entries],
        more=here + urlencode([*kept, ("cursor", more)]) if more else None,
    )  # fmt: skip


ROUTES = (show_sales, download_sales, show_trail)
