"""Routes of imports: a file is sent, worked off by a job, and watched."""

import csv
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import Parameter
from litestar.response import Stream

from merkato.catalog.domain.columns import guarded, read_header
from merkato.catalog.domain.records import Cutter, Part
from merkato.catalog.http.pages import Shop
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import imports as store
from merkato.catalog.store.imports import Import, RowError
from merkato.chassis.allowance import Allowance
from merkato.chassis.db import Database
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
)
from merkato.chassis.idempotency import answer, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import KeyReused, NotFound, StateConflict, Validation

IMPORTS = "/api/v1/imports"
FILE_MAX_BYTES = 512 * 1024 * 1024
ROWS_MAX = 2_000_000
FORMATS = {
    "text/csv": "csv", "application/x-ndjson": "jsonl", "application/jsonl": "jsonl",
}  # fmt: skip
UPLOAD = Allowance(body_max_bytes=FILE_MAX_BYTES, media_types=tuple(FORMATS), streamed=True)
STREAMED = Allowance(streamed=True)
BELL = "import"
ERRORS_AT_ONCE = 1_000
FileName = Annotated[str | None, Parameter(max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


@post(IMPORTS, policy=MAY_WRITE, allowance=UPLOAD, status_code=202, answers=Import)
async def begin_import(
    request: Request[Any, Any, Any], caller: Caller, db: Database, shop: Shop,
    dry_run: bool = False, name: FileName = None, idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:  # fmt: skip
    """Import products from the body, a file of at most 512 MiB and two million rows.

    CSV (`text/csv`) or JSON Lines (`application/x-ndjson`); docs/catalogue.md has the columns. The
    file is taken as it comes and worked off by a job: 202 with the import, to be watched. A file
    whose columns are not known is refused at once. A dry run changes nothing and finds the same
    errors.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORMATS:
        raise Validation("The body is the file to import; there is none.")
    key = parse_key(idempotency_key, required=False)
    import_id = new_id()
    async with db.transaction() as tx:
        kind = FORMATS[media_type]
        await store.begin(tx, import_id, kind, name, dry_run, caller.principal, key)
    try:
        found = await _receive(request, db, shop, caller, (import_id, key, dry_run))
    except BaseException:
        async with db.transaction() as tx:
            await store.forget(tx, import_id)
        raise
    headers = {"location": f"{IMPORTS}/{found.id}"}
    if found.id != import_id:
        async with db.transaction() as tx:
            await store.forget(tx, import_id)
        headers["idempotent_replayed"] = "true"
    return respond(answer(202, found, **headers))


async def _receive(
    request: Request[Any, Any, Any], db: Database, shop: Shop, caller: Caller,
    asked: tuple[UUID, str | None, bool],
) -> Import:  # fmt: skip
    """Keep a file as it comes, in parts; gives the import, or that of before with this key."""
    import_id, key, dry_run = asked
    cutter = Cutter(is_csv=request.headers["content-type"].startswith("text/csv"))
    digest, size, rows, parts = hashlib.sha256(), 0, 0, 0
    checked = False
    async for piece in _pieces(request):
        digest.update(piece)
        size += len(piece)
        made = cutter.feed(piece) if piece else cutter.end()
        if cutter.header is not None and not checked:
            read_header(cutter.header, shop.default_locale)
            checked = True
        rows += sum(part.rows for part in made)
        if rows > ROWS_MAX:
            raise Validation(f"A file has at most {ROWS_MAX} rows.")
        parts += await _keep(db, import_id, parts, made)
    if rows == 0:
        raise Validation("There are no rows in the file.")
    async with db.transaction() as tx:
        if key and (known := await store.known_key(tx, caller.principal, key)):
            if (known["digest"], known["dry_run"]) != (digest.hexdigest(), dry_run):
                raise KeyReused("This key belongs to another request; use a new key.")
            import_id = known["id"]
        else:
            whole = (cutter.header, cutter.delimiter, digest.hexdigest(), size, rows, parts)
            await store.received(tx, import_id, *whole)
            tx.wake(BELL)
            sent = {"digest": digest.hexdigest(), "rows": rows, "dry_run": dry_run}
            note(tx, caller, "catalog.import_sent", f"import:{import_id}", after=sent)
        return await _found(tx, import_id)


async def _pieces(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """Give the parts of the body, and an empty one at its end."""
    async for piece in request.stream():
        if piece:
            yield piece
    yield b""


async def _keep(db: Database, import_id: UUID, first: int, parts: list[Part]) -> int:
    if parts:
        async with db.transaction() as tx:
            rows = [(part.first_line, part.content) for part in parts]
            await store.add_parts(tx, import_id, first, rows)
    return len(parts)


async def _found(tx: Any, import_id: UUID) -> Import:
    found = await store.read(tx, import_id)
    if found is None:
        raise NotFound("There is no such import.")
    return found


@get(IMPORTS, policy=MAY_WRITE)
async def list_imports(db: Database, limit: Limit = 20, cursor: Cursor = None) -> Page[Import]:
    """List imports, newest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        found = await store.page(tx, after, limit + 1)
    more = found[limit - 1] if len(found) > limit else None
    return Page(
        items=found[:limit], next_cursor=encode_cursor(more.created_at, more.id) if more else None
    )


@get(f"{IMPORTS}/{{import_id:uuid}}", policy=MAY_WRITE)
async def read_import(import_id: UUID, db: Database) -> Import:
    """Give an import: its state, and how many of its rows are done."""
    async with db.reading() as tx:
        return await _found(tx, import_id)


@post(
    f"{IMPORTS}/{{import_id:uuid}}/cancellation", policy=MAY_WRITE, status_code=200, answers=Import
)
async def cancel_import(import_id: UUID, caller: Caller, db: Database) -> Response[bytes]:
    """Stop an import; rows that are done stay done. 409 when it has ended otherwise."""
    async with db.transaction() as tx:
        if await store.end(tx, import_id, "cancelled"):
            note(tx, caller, "catalog.import_cancelled", f"import:{import_id}")
        found = await _found(tx, import_id)
    if found.state != "cancelled":
        raise StateConflict(f"The import is {found.state}.")
    return respond(answer(200, found))


@get(f"{IMPORTS}/{{import_id:uuid}}/errors", policy=MAY_WRITE)
async def list_errors(
    import_id: UUID, db: Database, limit: Limit = 20, cursor: Cursor = None
) -> Page[RowError]:
    """List what was wrong with rows, in the order of the file."""
    after = decode_cursor(cursor, tuple[int, int]) or (0, -1)
    async with db.reading() as tx:
        await _found(tx, import_id)
        found = await store.errors(tx, import_id, after, limit + 1)
    more = found[limit - 1] if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=encode_cursor(more.line, more.n) if more else None)


@get(
    f"{IMPORTS}/{{import_id:uuid}}/errors.csv", policy=MAY_WRITE, allowance=STREAMED,
    produces=("text/csv",),
)  # fmt: skip
async def errors_as_csv(import_id: UUID, db: Database) -> Stream:
    """Give all that was wrong with rows as CSV, to be worked through beside the file."""
    async with db.reading() as tx:
        await _found(tx, import_id)
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-errors.csv"'}
    return Stream(_error_lines(db, import_id), media_type="text/csv", headers=headers)


async def _error_lines(db: Database, import_id: UUID) -> AsyncIterator[bytes]:
    yield as_csv([["line", "subject", "column", "detail"]])
    after = (0, -1)
    while True:
        async with db.reading() as tx:
            found = await store.errors(tx, import_id, after, ERRORS_AT_ONCE)
        if not found:
            return
        after = (found[-1].line, found[-1].n)
        yield as_csv(
            [
                [str(e.line), guarded(e.subject), e.pointer.removeprefix("/"), guarded(e.detail)]
                for e in found
            ]
        )


class _Lines(list[str]):
    """A file, as far as the csv module needs one."""

    write = list.append


def as_csv(rows: list[list[str]]) -> bytes:
    """Write rows after RFC 4180."""
    lines = _Lines()
    csv.writer(lines).writerows(rows)
    return "".join(lines).encode()


ROUTES = (
    begin_import, list_imports, read_import, cancel_import, list_errors, errors_as_csv,
)  # fmt: skip
