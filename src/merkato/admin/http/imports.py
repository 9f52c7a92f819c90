"""Files of products: in, with progress and what was wrong with which row; and out."""

import asyncio
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.response import Stream

from merkato.admin.http.pages import Pages
from merkato.chassis.allowance import Allowance
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other, uploads
from merkato.contracts.problem import NotFound

LIST = "/admin/t/imports"
IMPORTS = "/api/v1/imports"
FILE_MAX_BYTES = 32 * 1024 * 1024  # through a form; the command line and the API take more
STREAMED = Allowance(streamed=True)
KINDS = {"csv": "text/csv", "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson"}
UNDER_WAY = ("receiving", "waiting", "running")
ERRORS_SHOWN = 100


@get(LIST, policy=ANYONE)
async def show_imports(
    request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show the forms, and all imports there were, newest first."""
    cursor = request.query_params.get("cursor")
    found = await visit.api.get(IMPORTS, limit=20, cursor=cursor)
    more = found.get("next_cursor")
    return pages.draw(
        visit, "imports.html", items=found["items"], most_mib=FILE_MAX_BYTES // 2**20,
        more=f"{LIST}?{urlencode({'cursor': more})}" if more else None, first=cursor is None,
    )  # fmt: skip


@post(LIST, policy=ANYONE, allowance=uploads(FILE_MAX_BYTES))
async def begin(visit: Visit, pages: Pages) -> Response[str]:
    """Send a file to be worked off, and go to where its progress is shown."""
    file = visit.files.get("file")
    kind = KINDS.get(file.name.rpartition(".")[2].lower()) if file else None
    if file is None or not file.content or kind is None:
        visit.notice("Choose a file that ends in .csv or .jsonl.", "bad")
        return see_other(LIST)
    name = "".join(char for char in file.name if char.isprintable())[-200:]
    dry_run = visit.form.get("dry_run") == "yes"
    query = urlencode({"name": name, "dry_run": "true" if dry_run else "false"})
    try:
        begun, _ = await visit.api.upload(
            f"{IMPORTS}?{query}", file.content, kind, key=visit.form.get("key")
        )  # fmt: skip
    except Refusal as refusal:
        pages.tell(visit, refusal)
        return see_other(LIST)
    return see_other(f"/admin/imports/{begun['id']}")


@get("/admin/imports/{import_id:uuid}", policy=ANYONE)
async def show_import(
    import_id: UUID, request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """Show how far an import is, and what was wrong; the page asks again by itself."""
    cursor = request.query_params.get("cursor")
    path = f"{IMPORTS}/{import_id}"
    found, errors = await asyncio.gather(
        visit.api.get(path), visit.api.get(f"{path}/errors", limit=ERRORS_SHOWN, cursor=cursor)
    )  # fmt: skip
    more = errors.get("next_cursor")
    return pages.draw(
        visit, "import.html", one=found, under_way=found["state"] in UNDER_WAY,
        errors=errors["items"], first=cursor is None,
        more=f"/admin/imports/{import_id}?{urlencode({'cursor': more})}" if more else None,
    )  # fmt: skip


@post("/admin/imports/{import_id:uuid}/cancellation", policy=ANYONE)
async def cancel(import_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Stop an import; what is done stays done."""
    doing = visit.api.send("POST", f"{IMPORTS}/{import_id}/cancellation")
    return await pages.done(visit, f"/admin/imports/{import_id}", "Stopped.", doing)


@get("/admin/imports/{import_id:uuid}/errors.csv", policy=ANYONE, allowance=STREAMED)
async def download_errors(import_id: UUID, visit: Visit) -> Stream:
    """Give all that was wrong with rows, as a file."""
    return await _passed_on(visit, f"{IMPORTS}/{import_id}/errors.csv")


@get("/admin/exports/{name:str}", policy=ANYONE, allowance=STREAMED)
async def export(name: str, visit: Visit) -> Stream:
    """Give all products that are not archived, as a file that can be imported again."""
    if name not in ("products.csv", "products.jsonl"):
        raise NotFound("There is no such file.")
    return await _passed_on(visit, f"/api/v1/exports/{name}")


async def _passed_on(visit: Visit, path: str) -> Stream:
    headers, parts = await visit.api.download(path)
    kept = {"Content-Disposition": headers["content-disposition"]}
    return Stream(parts, media_type=headers["content-type"], headers=kept)


ROUTES = (show_imports, begin, show_import, cancel, download_errors, export)
