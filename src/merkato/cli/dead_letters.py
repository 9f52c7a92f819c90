"""`merkato dead-letters`: events that a service could not handle or say; looked at and decided."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from cyclopts import App
from rich.console import Console

from merkato.chassis import db, letters
from merkato.chassis.db import Tx
from merkato.chassis.supervisor import CannotStart
from merkato.chassis.trail import COMMAND_LINE, note
from merkato.cli import places
from merkato.contracts.letters import Action, Filter

app = App(
    name="dead-letters",
    help="Events that a service could not handle or say. Later ones of their keys wait for them.",
)
console = Console(highlight=False, soft_wrap=True)

_MOST = 1_000  # shown or named at once, for each service


@app.command(name="list")
def list_all(*, service: str | None = None) -> None:
    """List them, oldest first, with the reason; contents are not shown.

    Parameters
    ----------
    service
        Those of one service only.

    """
    found = asyncio.run(_in_each(service, lambda _, tx: letters.oldest(tx, _MOST)))
    rows = [(name, row) for name, of_one in found.items() for row in of_one]
    if not rows:
        console.print("There are none.")
        return
    for name, row in rows:
        console.print(
            f"[bold]{name}[/bold]  {row['event_id']}  {row['type']}  key {row['key']}  "
            f"{row['state']}, {row['tries']} tries, since {row['set_aside_at']:%Y-%m-%d %H:%M:%S}"
        )
        console.print(f"    {row['reason']}", markup=False)


@app.command
def retry(*event_ids: UUID, every: bool = False, service: str | None = None) -> None:
    """Have events tried again now; harmless for those that are done.

    Parameters
    ----------
    event_ids
        Which, by id.
    every
        All of them.
    service
        In one service only.

    """
    count = asyncio.run(_touch(event_ids, every, service, "retry"))
    console.print(f"{count} will be tried again.")


@app.command
def discard(*event_ids: UUID, every: bool = False, service: str | None = None) -> None:
    """Give events up for good; those behind them go on.

    Parameters
    ----------
    event_ids
        Which, by id.
    every
        All of them.
    service
        In one service only.

    """
    count = asyncio.run(_touch(event_ids, every, service, "discard"))
    console.print(f"{count} discarded.")


async def _touch(
    event_ids: Sequence[UUID],
    every: bool,
    service: str | None,
    action: Action,
) -> int:
    if bool(event_ids) == every:
        raise CannotStart("Name events by id (merkato dead-letters list), or say --every.")

    async def work(name: str, tx: Tx) -> int:
        wanted = Filter(ids=None if every else [*event_ids])
        ids = await letters.decide(tx, action, wanted, COMMAND_LINE.principal)
        if ids:
            about = {"count": len(ids), "events": ids[:_MOST]}
            done = "retried" if action == "retry" else "discarded"
            note(tx, COMMAND_LINE, f"{name}.dead_letters_{done}", "dead_letters", after=about)
        return len(ids)

    return sum((await _in_each(service, work)).values())


async def _in_each(
    service: str | None, work: Callable[[str, Tx], Awaitable[Any]]
) -> dict[str, Any]:
    """Do `work` in a transaction of each service's database."""
    urls = places.database_urls()
    if service is not None and service not in urls:
        raise CannotStart(f"There is no service {service!r}; there are: {', '.join(urls)}.")
    done = {}
    for name in [service] if service else urls:
        try:
            async with (
                db.connected(urls[name], pool_max=1) as database,
                database.transaction() as tx,
            ):
                done[name] = await work(name, tx)
        except OSError as error:
            raise CannotStart(f"The database of {name} does not answer; see merkato status.") from (
                error
            )
    return done
