"""Reports of sales, for staff: as JSON, or as CSV for a spreadsheet."""

import csv
import io
from datetime import date, timedelta
from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from merkato.chassis.http import Cursor, Page, decode_cursor, encode_cursor, staff
from merkato.contracts.problem import Validation
from merkato.orders.http.desk import Desk
from merkato.orders.store import reports as store
from merkato.orders.store.reports import Query

DAYS = 30  # how far a report reaches back when nobody says
ROWS_MAX = 1_000_000  # of a CSV
OF_LINES = {"product", "sku", "category"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute

By = Literal["day", "month", "product", "sku", "category", "country", "currency"]
Rows = Annotated[int, Parameter(ge=1, le=1_000)]


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold and given back, in minor units with tax. net = sales - the three credits."""

    key: str  # the day, month, id, sku or code; empty: not known
    label: str | None  # a product's title
    currency: str
    orders: int
    units: int
    items_minor: int  # goods, less discounts
    shipping_minor: int  # 0 by product, sku and category
    sales_minor: int  # items and shipping
    tax_minor: int  # of these
    cancelled_minor: int
    returned_minor: int
    goodwill_minor: int
    net_minor: int


@get(
    "/api/v1/reports/sales", policy=staff("reports:read"), answers=Page[Sales],
    produces=("application/json", "text/csv"),
)  # fmt: skip
async def sales(
    desk: Desk,
    first: Annotated[date | None, Parameter(query="from")] = None,
    last: Annotated[date | None, Parameter(query="to")] = None,
    tz: Annotated[str, Parameter(max_length=64)] = "UTC",
    by: By = "day",
    reference_prefix: Annotated[str | None, Parameter(max_length=100)] = None,
    form: Annotated[Literal["json", "csv"], Parameter(query="format")] = "json",
    limit: Rows = 100,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Sum up sales of the days `from` to `to` (both are in it; by default the last 30) in `tz`.

    Confirmed orders count at their `reference_time`, or where they have none when they were
    placed; credits at their own time, apart from what they take back. A product of several
    categories counts in each. One moment of the database, in the order of `key`; amounts with tax.
    """
    after = decode_cursor(cursor, tuple[str, str])
    if after is not None and "\0" in "".join(after):
        raise Validation.at("/cursor", "Not a cursor of this list.")
    most = ROWS_MAX if form == "csv" else limit
    async with desk.db.transaction(snapshot=True) as tx:
        today = await store.today(tx, tz)
        if today is None:
            raise Validation.at("/tz", "A time zone is named like Europe/Berlin.")
        last = last or max(today, first or today)
        first = first or last - timedelta(days=DAYS)
        if not date(1900, 1, 1) <= first <= last <= date(2200, 1, 1):
            raise Validation.at("/from", "Days between 1900 and 2200, and `from` not after `to`.")
        query = Query(by=by, zone=tz, first=first, last=last, reference_prefix=reference_prefix)
        read = store.by_line if by in OF_LINES else store.by_order
        rows = [_sales(dict(row)) for row in await read(tx, query, after, most + 1)]
    if form == "csv":
        return _csv(rows, f"sales-by-{by}-{first}-{last}.csv")
    shown = rows[:most]
    more = encode_cursor(shown[-1].key, shown[-1].currency) if len(rows) > most else None
    page = msgspec.json.encode(Page(items=shown, next_cursor=more))
    return Response(page, media_type="application/json")


def _sales(row: dict[str, object]) -> Sales:
    found = msgspec.convert({**row, "sales_minor": 0, "net_minor": 0}, Sales)
    total = found.items_minor + found.shipping_minor
    back = found.cancelled_minor + found.returned_minor + found.goodwill_minor
    return msgspec.structs.replace(found, sales_minor=total, net_minor=total - back)


def _csv(rows: list[Sales], name: str) -> Response[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Sales.__struct_fields__)
    for row in rows:
        writer.writerow(_cell(value) for value in msgspec.structs.astuple(row))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue().encode(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: object) -> object:
    """Give text that a spreadsheet would compute an apostrophe, so that it shows it instead."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


ROUTES = (sales,)
