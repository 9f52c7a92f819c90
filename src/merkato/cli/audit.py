"""`merkato audit`: check every law over all databases, once or for ever."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from merkato import audit as laws
from merkato.audit import Result
from merkato.cli import places
from merkato.config import Config, home

console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
SHOWN = 5  # offences of one law that are told in the table


def audit(
    *,
    watch: bool = False,
    json: bool = False,
    settle: float = 10.0,
    client_log: Path | None = None,
) -> int:
    """Check the laws of docs/laws.md. Exit status: 0 all hold, 1 one is broken.

    Parameters
    ----------
    watch
        Go on until interrupted; after the first time only what changed is looked at.
    json
        Print one line of JSON for each audit, with every offending id.
    settle
        Seconds; what was written within them is left alone, for it has not come to rest.
    client_log
        What a client sent and was told (JSON Lines), for the law of durability.

    """
    try:
        return asyncio.run(_audit(watch, json, settle, client_log))
    except KeyboardInterrupt:
        return 0


async def _audit(watch: bool, as_json: bool, settle_s: float, client_log: Path | None) -> int:
    settings = places.settings()
    dsns = dict(settings.database_urls) or places.engines().audit_urls
    processor_url = _processor_url(settings)
    if not watch:
        found = await laws.audit(
            dsns, settle_s=settle_s, client_log=client_log, processor_url=processor_url
        )
        _print(found, as_json)
        return int(any(one.broken for one in found))
    async for found in laws.watch(
        dsns, settle_s=settle_s, client_log=client_log, processor_url=processor_url
    ):
        _print(found, as_json)
    return 0


def _processor_url(settings: Config) -> str | None:
    """Give where the stand-in processor of `up` listens, in development."""
    file = home() / "run" / "outside.json"
    if settings.payments.stripe_url is not None or not file.exists():
        return settings.payments.stripe_url
    port = msgspec.json.decode(file.read_bytes(), type=dict[str, object])["processor_port"]
    return f"http://127.0.0.1:{port}"


def _print(found: Sequence[Result], as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(found).decode(), flush=True)
    elif console.is_terminal:
        console.print(_table(found))
    else:
        for one in found:
            note = f" ({one.note})" if one.note else ""
            numbers = f"{one.checked} checked, {one.count} broken"
            print(f"{one.law} {_verdict(one)}: {numbers}. {one.says}{note}")
    if not as_json:
        _tell(found)


def _table(found: Sequence[Result]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("law", "", "it says"):
        table.add_column(name)
    table.add_column("checked", justify="right")
    table.add_column("broken", justify="right")
    for one in found:
        colour = {"holds": "green", "broken": "red", "look": "yellow"}.get(_verdict(one), "dim")
        says = one.says + (f" [dim]({one.note})[/dim]" if one.note else "")
        table.add_row(
            one.law, f"[{colour}]{_verdict(one)}[/]", says, f"{one.checked:,}", f"{one.count:,}"
        )
    return table


def _verdict(one: Result) -> str:
    if one.broken:
        return "broken"
    if one.count:
        return "look"
    return "unknown" if one.note.startswith("not checked") else "holds"


def _tell(found: Sequence[Result]) -> None:
    """Name what breaks a law, or is to be looked at, and why."""
    for one in found:
        for offence in one.offences[:SHOWN]:
            print(f"{one.law} {offence.id}: {offence.why}")
        if one.count > SHOWN:
            print(f"{one.law} … and {one.count - SHOWN} more; --json names them")
    broken = [one.law for one in found if one.broken]
    print(f"Broken: {', '.join(broken)}." if broken else "Every law that was checked holds.")
