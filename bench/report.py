"""Tables for people: the runs, the floors, where the CPU goes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from trial import Trial

console = Console(highlight=False, soft_wrap=True, width=150)

FLOOR = {"direct": 500.0, "whole": 150.0, "read": 2_000.0}  # per second
OF_PGBENCH = 0.40  # or that part of pgbench's eleven round trips
OF_DIRECT = 0.70  # what hot must reach of direct
P99_MS = 300.0  # of the POST of the direct way


class Floor(NamedTuple):
    """A promise and what was found."""

    what: str
    found: str
    holds: bool


def median(trials: Sequence[Trial]) -> Trial:
    """Give the run in the middle by its rate; of two, the slower."""
    ordered = sorted(trials, key=lambda trial: trial.rate)
    return ordered[(len(ordered) - 1) // 2]


def settings(told: Mapping[str, str]) -> None:
    """Print what the servers said of durability."""
    console.print("Durability: " + ", ".join(f"{name}={value}" for name, value in told.items()))


def runs(trials: Sequence[Trial]) -> None:
    """Print every run."""
    columns = ["way", "rate/s", "accepted/s", "p50 ms", "p95", "p99", "max"]
    columns += ["accepted", "counted", "drain s", "mails/s", "mails drain s", "others", "not well"]
    table = Table(*columns, box=None)
    for one in trials:
        at = one.latency
        numbers = (one.rate, one.accepted_rate, at.p50, at.p95, at.p99, at.most)
        bought = one.way != "read"
        table.add_row(
            one.way,
            *(f"{number:,.0f}" for number in numbers),
            f"{one.accepted:,}",
            f"{one.counted:,}" if bought else "",
            f"{one.drain_s:.1f}" if bought else "",
            f"{one.mails_per_s:,.0f}" if bought else "",
            f"{one.mail_drain_s:.1f}" if bought else "",
            f"{one.others_busy:.2f}",
            _unwell(one),
        )
    console.print(table)
    console.print(
        "rate: confirmed with a mail row by the end of the window (read: answered); latency: of "
        "the POST (read: GET);\ndrain: until every accepted order counts; others: cores used by "
        "other programs on this machine meanwhile.\n"
    )


def _unwell(one: Trial) -> str:
    good = "200" if one.way == "read" else "202"
    parts = [f"{n}×{status}" for status, n in one.statuses.items() if status != good]
    parts += [f"{n}×{s} beside" for s, n in one.other_statuses.items() if s[0] not in "2"]
    missing = one.accepted - one.counted if one.way != "read" else 0
    parts += [f"{missing} not confirmed or not mailed"] * (missing > 0)
    parts += [f"{n} {state}" for state, n in one.states.items() if state != "confirmed"]
    parts += [f"GET: {n} {s}" for s, n in one.looked.items() if s != "confirmed"]
    return ", ".join(parts) or "–"


def costs(medians: Mapping[str, Trial]) -> None:
    """Print CPU by process, transactions and WAL of the median runs."""
    groups = sorted({group for one in medians.values() for group in one.cpu_ms})
    table = Table("CPU ms each (cores in the window)", *medians, box=None)
    for group in groups:
        cells = [
            f"{one.cpu_ms.get(group, 0):.3f} ({one.busy.get(group, 0):.2f})"
            for one in medians.values()
        ]
        table.add_row(group, *cells)
    table.add_row("[bold]all", *(f"{sum(one.cpu_ms.values()):.3f}" for one in medians.values()))
    table.add_row("SQL transactions", *(f"{one.transactions:.2f}" for one in medians.values()))
    table.add_row("WAL bytes", *(f"{one.wal_bytes:,.0f}" for one in medians.values()))
    console.print(table)
    console.print(
        "each: per accepted order, until its mails are sent (read: per answer); the role `audit` "
        "is this bench, counting.\n"
    )


def rivals(found: Mapping[str, float] | None, medians: Mapping[str, Trial]) -> None:
    """Print pgbench beside it."""
    if found is None:
        console.print("pgbench is not installed: no ratio.\n")
        return
    for name, tps in found.items():
        ratios = ", ".join(
            f"{way} {one.rate / tps:.0%}" for way, one in medians.items() if way != "read"
        )
        console.print(
            f"pgbench, one order per transaction as {name.replace('_', ' ')}, 32 clients: "
            f"{tps:,.0f}/s; of it: {ratios}"
        )
    console.print()


def memory(pss: Mapping[str, int], when: str) -> None:
    """Print the memory of everything."""
    total = sum(pss.values())
    parts = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in sorted(pss.items()))
    console.print(f"Memory (Σ PSS, MB) {when}: {total / 1e6:.0f} ({parts})\n")


def floors(
    medians: Mapping[str, Trial], pgbench: Mapping[str, float] | None, confirms: bool
) -> list[Floor]:
    """Compare with what was promised."""
    found: list[Floor] = []
    part = OF_PGBENCH * pgbench["eleven_round_trips"] if pgbench else None
    if direct := medians.get("direct"):
        floor = min(FLOOR["direct"], part) if part else FLOOR["direct"]
        found.append(_reaches("direct", direct.rate, floor))
        p99, name = direct.latency.p99, f"direct, p99 of the POST at {direct.connections} < 300 ms"
        found.append(Floor(name, f"{p99:.0f} ms", p99 < P99_MS))
        if hot := medians.get("hot"):
            found.append(_reaches("hot", hot.rate, OF_DIRECT * direct.rate))
    for way in ("whole", "read"):
        if one := medians.get(way):
            found.append(_reaches(way, one.rate, FLOOR[way]))
    for way, one in medians.items():
        if bad := sum(n for status, n in one.statuses.items() if status[0] in "05"):
            found.append(Floor(f"{way}, no 5xx", str(bad), False))
    if not confirms:
        found.append(Floor("orders are confirmed", "no", False))
    return found


def _reaches(way: str, rate: float, floor: float) -> Floor:
    return Floor(f"{way} ≥ {floor:,.0f}/s", f"{rate:,.0f}/s", rate >= floor)


def verdicts(found: Sequence[Floor]) -> None:
    """Print the floors."""
    for one in found:
        sign = "[green]✓[/green]" if one.holds else "[red]✗[/red]"
        console.print(f"{sign} {one.what}: {one.found}")
