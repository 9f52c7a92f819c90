"""`merkato replay`: play a file of real invoice lines into the running shop, as orders."""

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from merkato import config
from merkato.chassis.supervisor import CannotStart
from merkato.cli import places
from merkato.cli.api_key import api_key
from merkato.client import NoAnswer, Refused
from merkato.contracts.values import digits
from merkato.replay import files
from merkato.replay.plan import Plan, plan
from merkato.replay.report import Report, report
from merkato.replay.rows import Unfit
from merkato.replay.running import Counts, Runner, credits_of, limited, orders_of, sales_of
from merkato.replay.shop import SCOPES, patient

T = TypeVar("T")

SAID_EVERY_S = 15.0  # where there is no terminal to draw a bar on

console = Console(highlight=False, width=None if sys.stdout.isatty() else 180)
notes = Console(highlight=False, stderr=True)


def replay(
    file: Path,
    *,
    limit: int | None = None,
    speed: float | None = None,
    at_once: int = 16,
    currency: str = "GBP",
    url: str | None = None,
    key: str | None = None,
    json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Play a file of invoice lines into a running shop; a repeat goes on where it stopped.

    docs/replay.md has the rules. Exit status: 0 the shop says what the file says, 1 it does not, or
    something was refused.

    Parameters
    ----------
    file
        CSV, CSV compressed by gzip, or a workbook, with the columns of the Online Retail file.
    limit
        Play the first so many documents only.
    speed
        Seconds of the file per second; as fast as it goes without.
    at_once
        Requests under way at the same time.
    currency
        What the file's money is; ISO 4217.
    url
        The shop; the one that runs from MERKATO_HOME without.
    key
        An API key; MERKATO_API_KEY without, and beside a shop of ours one is made for this run.
    json
        Print the report as one line of JSON.

    """
    if at_once < 1 or (limit is not None and limit < 1) or (speed is not None and speed <= 0):
        raise CannotStart("--at-once, --limit and --speed are above zero.")
    decimals = digits(currency)
    try:
        with notes.status(f"Reading {file.name} …"):
            made = plan(files.read(file), file.name, decimals)
        door = url or places.front_door()
        with api_key(door, key or config.api_key(), SCOPES, f"replay of {file.name}") as secret:
            work = _play(door, secret, made, currency, limit, speed, at_once, decimals)
            counts, said = asyncio.run(_until_stopped(work))
    except (Unfit, OSError) as error:
        raise CannotStart(f"{file}: {error}") from error
    except (NoAnswer, Refused) as error:
        raise CannotStart(f"{error}. The same command goes on from there.") from error
    except KeyboardInterrupt:
        notes.print("Stopped. The same command goes on from there.")
        return 130
    _print(said, counts, as_json=json)
    return int(not said.exact or bool(said.refused))


class _Bar(Progress):
    """Shows how far it is, how fast it goes, how long it will take; in a log a line at times."""

    def __init__(self, total: int) -> None:
        super().__init__(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(),
            TimeRemainingColumn(), console=notes, disable=not notes.is_terminal,
        )  # fmt: skip
        self.task = self.add_task("Filling the shelves", total=total)
        self.begun: tuple[int, float] | None = None
        self.said_at = time.monotonic()

    def show(self, done: int, total: int, what: str) -> None:
        """Note that so many steps are done, the last on a day of the file."""
        now = time.monotonic()
        if self.begun is None:
            self.begun = done - 1, now
            self.reset(self.task, completed=done - 1)  # what was there says nothing of the rate
        self.update(self.task, completed=done, description=what)
        if notes.is_terminal or now < self.said_at + SAID_EVERY_S:
            return
        self.said_at = now
        rate = max(done - self.begun[0], 1) / max(now - self.begun[1], 0.001)
        minutes = (total - done) / rate / 60
        notes.print(f"{what}: {done:,} of {total:,}, {rate:.0f}/s, {minutes:.0f} minutes left")


class _Rate(ProgressColumn):
    """How many steps a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        return Text(f"{task.speed:.0f}/s" if task.speed else "")


async def _until_stopped(work: Coroutine[None, None, T]) -> T:
    """Let Ctrl-C and SIGTERM end the work in order."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _play(
    url: str, key: str, made: Plan, currency: str, limit: int | None, speed: float | None,
    at_once: int, decimals: int,
) -> tuple[Counts, Report]:  # fmt: skip
    steps = limited(made, limit)
    async with patient(url, key, at_once=at_once) as shop:
        with _Bar(len(steps)) as bar:
            runner = Runner(shop, made, currency, bar.show, at_once=at_once, speed=speed)
            counts = await runner.run(steps)
        with notes.status("Comparing with what the shop says …"):
            orders = await orders_of(shop, made.prefix)
            credited = await credits_of(shop, made.prefix)
            sales = await sales_of(shop, made, currency)
    return counts, report(made, steps, orders, credited, counts.refused, sales, decimals)


def _print(said: Report, counts: Counts, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"counts": counts, **msgspec.to_builtins(said)}).decode())
        return
    console.print(_fates(said))
    console.print(_figures(said))
    for line in [*said.differing, *(f"refused: {r}: {why}" for r, why in said.refused.items())]:
        console.print(line)
    for row in said.unreadable[:10]:
        console.print(f"row {row.number} of {row.invoice or 'no invoice'}: {row.why}")
    console.print(_done(counts))
    console.print("The shop says what the file says." if said.exact else "They differ.")


def _fates(said: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("kind")
    for name in ("rows", "booked", "in part", "left", "skipped", "units", "booked", "money",
                 "booked", "left", "skipped"):  # fmt: skip
        table.add_column(name, justify="right")
    for one in said.fates:
        if one.rows:
            table.add_row(
                one.kind, f"{one.rows:,}", f"{one.booked_rows:,}", f"{one.in_part_rows:,}",
                f"{one.left_rows:,}", f"{one.skipped_rows:,}", f"{one.units:,}",
                f"{one.booked_units:,}", f"{one.money:,}", f"{one.booked_money:,}",
                f"{one.left_money:,}", f"{one.skipped_money:,}",
            )  # fmt: skip
    return table


def _figures(said: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("minor units of")
    for name in ("by the file", "by the shop", ""):
        table.add_column(name, justify="right")
    for one in said.figures:
        same = "=" if one.file_minor == one.shop_minor else "differs"
        table.add_row(one.name, f"{one.file_minor:,}", f"{one.shop_minor:,}", same)
    return table


def _done(counts: Counts) -> str:
    if not (counts.goods_made or counts.stocked_up or counts.orders_placed or counts.taken_back):
        return (
            f"Nothing was changed: {counts.orders_found:,} orders and "
            f"{counts.taken_back_before:,} credits were there."
        )
    return (
        f"{counts.orders_placed:,} orders placed ({counts.orders_found:,} were there), "
        f"{counts.taken_back:,} taken back ({counts.taken_back_before:,} before), "
        f"{counts.goods_made:,} goods made, {counts.prices_set:,} list prices changed."
    )
