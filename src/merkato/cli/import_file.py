"""`merkato import FILE`: products from a CSV or JSON Lines file, put into a running shop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
from cyclopts import Parameter
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from merkato import config
from merkato.chassis.supervisor import CannotStart
from merkato.cli import places
from merkato.cli.api_key import api_key

console = Console(highlight=False, soft_wrap=True)

PIECE_BYTES = 256 * 1024
POLL_S = 0.3
SHOWN = 20  # errors printed; the rest is one request away
TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
SCOPES = ("catalog:write",)
PATIENCE = aiohttp.ClientTimeout(total=None, connect=10, sock_read=60)
ENDED = {"done", "cancelled", "failed"}


def import_file(
    file: Path,
    *,
    format_: Annotated[Literal["csv", "jsonl"] | None, Parameter(name="--format")] = None,
    dry_run: bool = False,
    url: str | None = None,
    key: str | None = None,
) -> int:
    """Import products from a file and watch it; exit status 1 when a row could not be imported.

    A repeat changes nothing. Ctrl-C stops watching; the shop goes on importing.

    Parameters
    ----------
    file
        The file; docs/catalogue.md says what it may hold.
    format_
        What it is; by its name when not given: .csv, .jsonl or .ndjson.
    dry_run
        Find the errors and change nothing.
    url
        The shop; the one that runs from MERKATO_HOME without.
    key
        An API key; MERKATO_API_KEY without, and beside a shop of ours one is made for this run.

    """
    if not file.is_file():
        raise CannotStart(f"{file} is not a file.")
    suffix = file.suffix.lower().removeprefix(".").replace("ndjson", "jsonl")
    kind = format_ or suffix
    if kind not in TYPES:
        raise CannotStart(f"Say what {file.name} is: --format csv or --format jsonl.")
    door = url or places.front_door()
    with api_key(door, key or config.api_key(), SCOPES, f"import of {file.name}"[:100]) as secret:
        work = _import(door, secret, file, file.stat().st_size, TYPES[kind], dry_run=dry_run)
        try:
            return asyncio.run(work)
        except aiohttp.ClientError as error:
            raise CannotStart(f"The shop at {door} does not answer: {error}") from error


async def _import(
    door: str, secret: str, file: Path, size: int, media_type: str, *, dry_run: bool
) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        async with aiohttp.ClientSession(
            door.rstrip("/") + "/", headers={"Authorization": f"Bearer {secret}"}, timeout=PATIENCE
        ) as session:
            task = bar.add_task("Sending", total=size)
            params = {"name": file.name[:200], "dry_run": str(dry_run).lower()}
            one = await _answer(
                session.post(
                    "api/v1/imports", data=_pieces(file, bar, task), params=params,
                    headers={"Content-Type": media_type},
                )
            )  # fmt: skip
            task = bar.add_task("Trying out" if dry_run else "Importing", total=one["rows_total"])
            while True:
                bar.update(task, completed=one["rows_done"])
                if one["state"] in ENDED:
                    break
                await asyncio.sleep(POLL_S)
                one = await _answer(session.get(f"api/v1/imports/{one['id']}"))
            path = f"api/v1/imports/{one['id']}/errors"
            errors = (await _answer(session.get(path, params={"limit": SHOWN})))["items"]
    _report(one, errors, f"/{path}.csv")
    return int(one["state"] != "done" or one["failed"] > 0)


async def _pieces(file: Path, bar: Progress, task: TaskID) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
            yield piece
            bar.advance(task, len(piece))


async def _answer(sent: Any) -> dict[str, Any]:
    async with sent as response:
        body: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 400:
            mistakes = [f"{one['pointer']} {one['detail']}" for one in body.get("errors", [])]
            raise CannotStart("; ".join([f"{body['title']}: {body['detail']}", *mistakes]))
        return body


def _report(one: dict[str, Any], errors: list[dict[str, Any]], rest: str) -> None:
    counted = ", ".join(
        f"{one[name]} {name}" for name in ("created", "changed", "unchanged", "failed")
    )
    tried = " (nothing was changed: a dry run)" if one["dry_run"] else ""
    console.print(f"The import is {one['state']}: of {one['rows_total']} rows {counted}{tried}.")
    for error in errors:
        where = f"line {error['line']} {error['subject']} {error['pointer']}"
        console.print(f"  {where}: {error['detail']}", markup=False)
    if one["failed"] > len({error["line"] for error in errors}):
        console.print(f"  All of them: {rest}")
