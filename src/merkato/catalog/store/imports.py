"""Statements that keep imports: the files in parts, how far they are, and what was wrong."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import ALWAYS, PriceRow
from merkato.chassis.db import Row, Tx


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """An import and how far it is; rows are counted without the first one of a CSV file."""

    id: UUID
    state: Literal["receiving", "waiting", "running", "done", "cancelled", "failed"]
    format: Literal["csv", "jsonl"]
    name: str | None
    dry_run: bool
    size_bytes: int
    rows_total: int
    rows_done: int
    created: int
    changed: int
    unchanged: int
    failed: int
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The next part to work off; None: all are done."""

    id: UUID
    format: str
    dry_run: bool
    columns: list[str] | None
    delimiter: str | None
    n: int
    first_line: int | None
    content: bytes | None


class RowError(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with a row; `line` is where it begins in the file, counted from 1."""

    line: int
    n: int = 0
    subject: str  # slug or sku, as far as it could be read
    pointer: str  # the column, or the place in the JSON
    detail: str


class Counts(msgspec.Struct, kw_only=True):
    """How rows ended."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    failed: int = 0


BEGIN = """
insert into imports (id, format, name, dry_run, principal, key) values ($1, $2, $3, $4, $5, $6)
"""


async def begin(
    tx: Tx, import_id: UUID, kind: str, name: str | None, dry_run: bool, principal: str,
    key: str | None,
) -> None:  # fmt: skip
    """Keep that a file is being received."""
    await tx.execute(BEGIN, import_id, kind, name, dry_run, principal, key)


ADD_PARTS = """
insert into import_parts (import_id, n, first_line, content)
select $1, $2 + nth - 1, first_line, content
  from unnest($3::int[], $4::bytea[]) with ordinality p(first_line, content, nth)
"""


async def add_parts(
    tx: Tx, import_id: UUID, first: int, parts: Sequence[tuple[int, bytes]]
) -> None:
    """Keep parts from number `first` on: the line that each begins at, and its rows."""
    await tx.execute(
        ADD_PARTS, import_id, first, [line for line, _ in parts], [rows for _, rows in parts]
    )


RECEIVED = """
update imports set state = 'waiting', columns = $2, delimiter = $3, digest = $4, size_bytes = $5,
       rows_total = $6, parts_total = $7
 where id = $1 and state = 'receiving'
"""


async def received(tx: Tx, import_id: UUID, *whole: Any) -> None:
    """Keep that a file is here: columns, delimiter, digest, bytes, rows, parts."""
    await tx.execute(RECEIVED, import_id, *whole)


KNOWN_KEY = """
select id, digest, dry_run from imports
 where principal = $1 and key = $2 and state not in ('receiving', 'failed')
"""


async def known_key(tx: Tx, principal: str, key: str) -> Row | None:
    """Give the import that somebody sent with an Idempotency-Key."""
    return await tx.fetchrow(KNOWN_KEY, principal, key)


FORGET = "delete from imports where id = $1 and state = 'receiving'"


async def forget(tx: Tx, import_id: UUID) -> None:
    """Forget a file that did not arrive as a whole."""
    await tx.execute(FORGET, import_id)


FORGET_LOST = """
delete from imports
 where state = 'receiving' and created_at < clock_timestamp() - make_interval(secs => $1)
"""


async def forget_lost(tx: Tx, after_s: float) -> None:
    """Forget files whose receiver was killed."""
    await tx.execute(FORGET_LOST, after_s)


NEXT = """
select i.id, i.format, i.dry_run, i.columns, i.delimiter, i.parts_done as n, p.first_line, p.content
  from imports i left join import_parts p on p.import_id = i.id and p.n = i.parts_done
 where i.state in ('waiting', 'running') order by i.created_at, i.id limit 1
"""


async def next_task(tx: Tx) -> Task | None:
    """Give the next part of the oldest import that is not done."""
    row = await tx.fetchrow(NEXT)
    return row and Task(**dict(row))


TAKE = """
update imports set state = 'running', parts_done = parts_done + 1,
       started_at = coalesce(started_at, clock_timestamp())
 where id = $1 and parts_done = $2 and state in ('waiting', 'running')
"""


async def take(tx: Tx, import_id: UUID, n: int) -> bool:
    """Take a part, once; False when the import was cancelled or the part is done."""
    return await tx.execute(TAKE, import_id, n) == 1


COUNT = """
update imports set created = created + $2, changed = changed + $3, unchanged = unchanged + $4,
       failed = failed + $5, rows_done = rows_done + $2 + $3 + $4 + $5
 where id = $1
"""


async def count(tx: Tx, import_id: UUID, counts: Counts) -> None:
    """Keep how rows of a part ended."""
    await tx.execute(
        COUNT, import_id, counts.created, counts.changed, counts.unchanged, counts.failed
    )


ADD_ERRORS = """
insert into import_errors (import_id, line, n, subject, pointer, detail)
select $1, * from unnest($2::int[], $3::int[], $4::text[], $5::text[], $6::text[])
"""


async def add_errors(tx: Tx, import_id: UUID, errors: Sequence[RowError]) -> None:
    """Keep what was wrong with rows of a part."""
    await tx.execute(
        ADD_ERRORS, import_id, [e.line for e in errors], [e.n for e in errors],
        [e.subject for e in errors], [e.pointer for e in errors], [e.detail for e in errors],
    )  # fmt: skip


END = """
update imports set state = $2, reason = $3, ended_at = clock_timestamp()
 where id = $1 and state in ('waiting', 'running') returning id
"""


async def end(tx: Tx, import_id: UUID, state: str, reason: str | None = None) -> bool:
    """End an import that is not; its file is forgotten, its counts and errors stay."""
    if await tx.fetchval(END, import_id, state, reason) is None:
        return False
    await _drop_parts(tx, import_id)
    return True


DROP_PARTS = "delete from import_parts where import_id = $1"


async def _drop_parts(tx: Tx, import_id: UUID) -> None:
    await tx.execute(DROP_PARTS, import_id)


PUBLIC = """
select id, state, format, name, dry_run, size_bytes, rows_total, rows_done, created, changed,
       unchanged, failed, reason, created_at, started_at, ended_at
  from imports where id = $1
"""


async def read(tx: Tx, import_id: UUID) -> Import | None:
    """Give an import."""
    row = await tx.fetchrow(PUBLIC, import_id)
    return row and Import(**dict(row))


PAGE = """
select id, state, format, name, dry_run, size_bytes, rows_total, rows_done, created, changed,
       unchanged, failed, reason, created_at, started_at, ended_at
  from imports where $1::timestamptz is null or (created_at, id) < ($1, $2::uuid)
 order by created_at desc, id desc limit $3
"""


async def page(tx: Tx, after: tuple[datetime, UUID] | None, limit: int) -> list[Import]:
    """List imports, newest first."""
    rows = await tx.fetch(PAGE, *(after or (None, None)), limit)
    return [Import(**dict(row)) for row in rows]


ERRORS = """
select line, n, subject, pointer, detail from import_errors
 where import_id = $1 and (line, n) > ($2, $3) order by line, n limit $4
"""


async def errors(tx: Tx, import_id: UUID, after: tuple[int, int], limit: int) -> list[RowError]:
    """List what was wrong, in the order of the file."""
    return [RowError(**dict(row)) for row in await tx.fetch(ERRORS, import_id, *after, limit)]


BY_SLUG = """
select slug, product_id from product_texts where locale = $1 and slug = any($2) and living
"""


async def by_slug(tx: Tx, locale: str, slugs: Sequence[str]) -> dict[str, UUID]:
    """Map slugs to the living products that have them."""
    rows = await tx.fetch(BY_SLUG, locale, list(slugs))
    return {row["slug"]: row["product_id"] for row in rows}


BY_SKU = "select lower(sku) as sku_key, product_id from variants where lower(sku) = any($1)"


async def by_sku(tx: Tx, sku_keys: Sequence[str]) -> dict[str, UUID]:
    """Map lower-case skus to their products."""
    rows = await tx.fetch(BY_SKU, list(sku_keys))
    return {row["sku_key"]: row["product_id"] for row in rows}


PRICE_ROWS = """
select sku, price_list, currency, from_quantity, valid_from, amount_minor from prices
 where sku = any($1) order by sku, price_list, currency, from_quantity, valid_from
"""


async def price_rows(tx: Tx, skus: Sequence[str]) -> dict[str, list[PriceRow]]:
    """Map skus to all their prices, past and future ones as well."""
    found: dict[str, list[PriceRow]] = {sku: [] for sku in skus}
    for row in await tx.fetch(PRICE_ROWS, list(skus)):
        valid_from = None if row["valid_from"] == ALWAYS else row["valid_from"]
        found[row["sku"]].append(
            PriceRow(
                price_list=row["price_list"], currency=row["currency"], valid_from=valid_from,
                from_quantity=row["from_quantity"], amount_minor=row["amount_minor"],
            )
        )  # fmt: skip
    return found


CATEGORY_SLUGS = "select slug, category_id from category_texts where locale = $1"


async def category_slugs(tx: Tx, locale: str) -> dict[str, UUID]:
    """Map the slugs of all categories in a locale to their ids."""
    rows = await tx.fetch(CATEGORY_SLUGS, locale)
    return {row["slug"]: row["category_id"] for row in rows}


NOW = "select clock_timestamp()"


async def now(tx: Tx) -> datetime:
    """Give the time of the database."""
    moment: datetime = await tx.fetchval(NOW)
    return moment
