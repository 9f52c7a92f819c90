"""What catalog does by the clock."""

import asyncio
from collections.abc import Sequence

import structlog

from merkato.catalog.actions import products as actions
from merkato.catalog.actions.imports import Read, Report, apply, read_rows, refused
from merkato.catalog.store import imports
from merkato.catalog.store import products as store
from merkato.catalog.store.imports import Task
from merkato.chassis import outbox
from merkato.chassis.db import Database, Tx, house_is_down
from merkato.chassis.load import give_way
from merkato.chassis.service import Resources
from merkato.contracts.problem import Problem

log = structlog.get_logger()

DUE_MAX = 100  # products per turn
RECEIVED_WITHIN_S = 3_600.0  # a file that is not here by then will never be
WAITING_MAX = 2_000  # events on their way, from which on an import waits …
WAIT_S = 0.05  # … and looks again


async def tell_prices(resources: Resources) -> int:
    """Say what has a new price since a moment ago, by its `valid_from`. Gives how many products."""
    async with resources.db.reading() as tx:
        due = await store.prices_due(tx, DUE_MAX)
    async with resources.db.transaction() as tx:
        await actions.tell_prices(tx, due)
    return len(due)


class _Undone(Exception):
    """Rolls back what a dry run has done."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


async def import_files(resources: Resources, default_locale: str) -> int:
    """Work off one part of the oldest import. Gives 0 when there is nothing to do.

    A part, its counts and its errors are committed together, so that whoever takes over after a
    crash goes on with the next one.
    """
    async with resources.db.reading() as tx:
        await imports.forget_lost(tx, RECEIVED_WITHIN_S)
        task = await imports.next_task(tx)
    if task is None:
        return 0
    if task.content is None:
        async with resources.db.transaction() as tx:
            await imports.end(tx, task.id, "done")
        return 1
    await _let_others_keep_up(resources.db)
    rows = read_rows(task, default_locale)
    try:
        await _work_off(resources.db, task, rows, default_locale)
    except Exception as error:
        if house_is_down(error):
            raise
        log.info("a part is taken apart", id=str(task.id), part=task.n, error=repr(error))
        await _one_by_one(resources.db, task, rows, default_locale)
    return 1


async def _work_off(db: Database, task: Task, rows: Sequence[Read], default_locale: str) -> None:
    try:
        async with db.transaction() as tx:
            if await imports.take(tx, task.id, task.n):
                report = await apply(tx, rows, default_locale, is_csv=task.format == "csv")
                if task.dry_run:
                    raise _Undone(report)
                await _note(tx, task, report)
    except _Undone as undone:
        async with db.transaction() as tx:
            if await imports.take(tx, task.id, task.n):
                await _note(tx, task, undone.report)


async def _one_by_one(db: Database, task: Task, rows: Sequence[Read], default_locale: str) -> None:
    """Work off rows alone: a bad one stops no other. After a crash those done are unchanged."""
    total = Report(imports.Counts(), [])
    for row in rows:
        try:
            async with db.transaction() as tx:
                report = await apply(tx, [row], default_locale, is_csv=task.format == "csv")
                if task.dry_run:
                    raise _Undone(report)
        except _Undone as undone:
            report = undone.report
        except Exception as error:
            if house_is_down(error):
                raise
            if not isinstance(error, Problem):
                log.error("a row could not be kept", line=row.line, exc_info=error)
            report = refused(row, error)
        for name in ("created", "changed", "unchanged", "failed"):
            setattr(total.counts, name, getattr(total.counts, name) + getattr(report.counts, name))
        total.errors.extend(report.errors)
    async with db.transaction() as tx:
        if await imports.take(tx, task.id, task.n):
            await _note(tx, task, total)


async def _note(tx: Tx, task: Task, report: Report) -> None:
    await imports.count(tx, task.id, report.counts)
    if report.errors:
        await imports.add_errors(tx, task.id, report.errors)


async def _let_others_keep_up(db: Database) -> None:
    """Wait while many events are on their way: whoever hears them has customers, too."""
    await give_way()
    while True:
        async with db.reading() as tx:
            if await outbox.waiting(tx, WAITING_MAX) < WAITING_MAX:
                return
        await asyncio.sleep(WAIT_S)
