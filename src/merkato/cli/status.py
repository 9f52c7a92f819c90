"""`merkato status`: what runs where, since when, how full, and whether it is well."""

import asyncio
import shutil
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from merkato import config
from merkato.chassis import supervisor
from merkato.chassis.engines import fullness, nats, postgres, provision
from merkato.chassis.engines.home import Home
from merkato.chassis.supervisor import ChildState
from merkato.cli import probe

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def status() -> int:
    """Print what runs here. Exit status: 0 all is well, 1 something is not, 3 nothing runs."""
    home = Home(config.home())
    found = supervisor.state(home.run)
    if found is None:
        console.print(f"Nothing runs in {home.path}; merkato up starts it.")
        return 3
    where = found.address if found.ready_at else "starting or stopping"
    console.print(f"Merkato in {home.path}: {where} (process {found.pid})")
    return asyncio.run(_report(home, found.children))


async def _report(home: Home, children: list[ChildState]) -> int:
    well = await asyncio.gather(*(_is_well(home, child) for child in children))
    table = Table(
        "what", "state", "well", "process", "address", "since (UTC)", "restarts", box=None
    )
    for child, healthy in zip(children, well, strict=True):
        table.add_row(
            child.name,
            child.state,
            "[green]yes[/green]" if healthy else "[red]no[/red]",
            str(child.pid or "–"),
            child.address,
            f"{child.started_at:%Y-%m-%d %H:%M:%S} ({_age(child.started_at)})",
            str(child.restarts),
        )
    console.print(table)
    await _print_fullness(home)
    return 0 if children and all(well) else 1


async def _is_well(home: Home, child: ChildState) -> bool:
    host, _, port = child.address.rpartition(":")
    if child.pid == 0 or not port.isdigit():
        return child.pid != 0
    if child.name == "postgres":
        return await provision.answers(postgres.admin_dsn(home, home.secrets(())))
    if child.name == "nats":
        return await nats.answers(host, int(port))
    if child.name == "outside":
        return await probe.status_of(host, int(port), "/") is not None
    return await probe.status_of(host, int(port), "/readyz") == 200


async def _print_fullness(home: Home) -> None:
    disk = shutil.disk_usage(home.path)
    console.print(
        f"\ndisk       {_size(_tree_bytes(home))} used by this shop, {_size(disk.free)} free"
    )
    database_url, nats_url = config.external_engines()
    kept = home.secrets(())
    with suppress(*fullness.UNREACHABLE):  # an engine that is down; the table says so
        sizes = await fullness.databases(database_url or postgres.admin_dsn(home, kept))
        told = ", ".join(f"{name.removeprefix('merkato_')} {_size(n)}" for name, n in sizes.items())
        console.print(f"databases  {told}")
    with suppress(*fullness.UNREACHABLE):
        for one in await fullness.streams(nats_url or nats.url(home, kept, "admin")):
            limit = f" of {_size(one.bytes_max)}" if one.bytes_max > 0 else ""
            console.print(
                f"stream     {one.name}: {one.messages} messages, {_size(one.size_bytes)}{limit}"
            )


def _tree_bytes(home: Home) -> int:
    folders: list[Path] = [home.path]
    if home.postgres.is_symlink():
        folders.append(home.postgres.readlink())
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):  # files come and go under running engines
                total += path.lstat().st_size
    return total


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _age(since: datetime) -> str:
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
