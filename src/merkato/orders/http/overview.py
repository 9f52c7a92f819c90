"""How the shop goes, in one answer: for whoever looks at it all day."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import Parameter

from merkato.chassis.http import staff
from merkato.orders.http.desk import Desk
from merkato.orders.store import overview as store

WAITING_DAYS = 90  # orders that wait longer are not counted
TOP_DAYS = 30
TOP_MAX = 8


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders were placed from then to the next full hour."""

    hour: datetime
    orders: int


class TopGoods(msgspec.Struct, frozen=True, kw_only=True):
    """What a sku sold for in the last 30 days, less what was given back; minor units with tax."""

    sku: str
    title: str
    currency: str
    units: int
    sales_minor: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Orders and carts that began since then, orders that wait (of 90 days), and top goods."""

    since: datetime
    orders: int
    carts: int  # with something in them, or ordered
    carts_ordered: int  # of those; other orders came without a cart
    unpaid: int  # placed, and not confirmed yet
    to_ship: int
    hourly: list[Hour]
    top: list[TopGoods]


@get("/api/v1/reports/overview", policy=staff("reports:read"))
async def overview(desk: Desk, hours: Annotated[int, Parameter(ge=1, le=168)] = 24) -> Overview:
    """Count what happened in the last `hours`, and what waits; one moment of the database."""
    now = datetime.now(UTC)
    since = now - timedelta(hours=hours)
    async with desk.db.transaction(snapshot=True) as tx:
        counted = await store.counts(tx, since, now - timedelta(days=WAITING_DAYS))
        hourly = await store.hourly(tx, since, now)
        top = await store.top(tx, now - timedelta(days=TOP_DAYS), TOP_MAX)
    return Overview(
        since=since,
        hourly=[Hour(**row) for row in hourly],
        top=[TopGoods(**row) for row in top],
        **counted,
    )


ROUTES = (overview,)
