"""Routes of exports: the whole catalogue as a file that can be imported again."""

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias
from uuid import UUID

import msgspec
from litestar import get
from litestar.response import Stream

from merkato.catalog.domain import columns as csv
from merkato.catalog.domain.entries import Known, Stand, entry_of
from merkato.catalog.http.imports import STREAMED, as_csv
from merkato.catalog.http.pages import Shop
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import exports as store
from merkato.catalog.store import imports
from merkato.chassis.db import Database

EXPORTS = "/api/v1/exports"
AT_ONCE = 200  # products read by one statement
Slugs: TypeAlias = dict[UUID, str]
Writer: TypeAlias = Callable[[list[Stand], Slugs, Known], bytes]


@get(f"{EXPORTS}/products.csv", policy=MAY_WRITE, allowance=STREAMED, produces=("text/csv",))
async def export_csv(db: Database, shop: Shop) -> Stream:
    """Give all products that are not archived as CSV; importing it changes nothing.

    Cells that a spreadsheet would run as a formula begin with a quote, which an import takes off.
    Prices are those in force.
    """
    async with db.reading() as tx:
        columns = csv.header(await store.names(tx, shop.default_locale), shop.default_locale)

    def lines(stands: list[Stand], slugs: Slugs, known: Known) -> bytes:
        return as_csv([row for one in stands for row in csv.write_rows(one, columns, slugs, known)])

    first = as_csv([[column.title for column in columns]])
    return _download(_written(db, shop, lines, first), "products.csv", "text/csv; charset=utf-8")


@get(
    f"{EXPORTS}/products.jsonl", policy=MAY_WRITE, allowance=STREAMED,
    produces=("application/x-ndjson",),
)  # fmt: skip
async def export_json_lines(db: Database, shop: Shop) -> Stream:
    """Give all products that are not archived as JSON Lines; importing it changes nothing.

    Has what CSV has no columns for as well: prices of the future, and what was never chosen.
    """

    def lines(stands: list[Stand], slugs: Slugs, known: Known) -> bytes:
        entries = [entry_of(one, slugs, known.default_locale) for one in stands]
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)

    return _download(_written(db, shop, lines), "products.jsonl", "application/x-ndjson")


def _download(lines: AsyncIterator[bytes], name: str, media_type: str) -> Stream:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(lines, media_type=media_type, headers=headers)


async def _written(
    db: Database, shop: Shop, write: Writer, first: bytes = b""
) -> AsyncIterator[bytes]:
    """Read and write so many products at a time; no transaction waits for whoever reads."""
    if first:
        yield first
    after = UUID(int=0)
    while True:
        async with db.transaction(snapshot=True) as tx:
            stands = await store.after(tx, after, AT_ONCE)
            ids = await imports.category_slugs(tx, shop.default_locale)
            known = Known(shop.default_locale, ids, frozenset(), await imports.now(tx))
        if not stands:
            return
        after = stands[-1].product.id
        yield write(stands, {one: slug for slug, one in ids.items()}, known)


ROUTES = (export_csv, export_json_lines)
