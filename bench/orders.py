"""Confirmed orders per second over real HTTP, with the load generator on the same machine.

`make bench ARGS="--seconds 20"`; docs/benchmarks.md says how to read what it prints. Exit status:
0 every floor is reached and the laws hold, 1 not, 2 nothing could be measured.
"""

import argparse
import asyncio
import os
import platform
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import durability
import msgspec
import report
import rivals
import samples
from gauges import Gauges
from ledger import Ledger
from report import console
from shop import Customers, Refused, Shop, running, stock_up
from trial import Bench, Trial
from ways import WAYS

from merkato import __version__

WARM_UP_S = 3.0  # before the runs of a way: caches and pools fill
OFFERS_S = 60.0  # the longest wait for orders to know the goods
PROBE_S = 20.0  # and for the first confirmation


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=15.0, help="length of each run (default 15)")
    add("--connections", type=int, default=64, help="clients that buy at once (default 64)")
    add("--json", type=Path, help="also write everything to this file")
    add("--ways", default="direct,whole,hot,card,read", help="which of " + ", ".join(WAYS))
    add("--runs", type=int, default=3, help="runs of each way; the median counts (default 3)")
    add("--skus", type=int, default=1_000, help="products on the shelves (default 1000)")
    add("--customers", type=int, default=1_000, help="people who log in first (default 1000)")
    add("--pgbench-seconds", type=int, default=10, help="length of each of its two runs")
    add("--each", action="store_true", help="a process per service")
    add("--url", help="measure the shop that runs here, in the folder MERKATO_HOME")
    add("--profile", action="store_true", help="sample the shop's functions during one more run")
    given = parser.parse_args()
    given.ways = given.ways.split(",")
    if unknown := set(given.ways) - WAYS.keys():
        parser.error(f"unknown ways: {', '.join(sorted(unknown))}")
    return given


async def measure(shop: Shop, given: argparse.Namespace) -> int:
    """Prepare, measure, check, tell. Gives the exit status."""
    told, weak = await durability.read(shop)
    report.settings(told)
    if weak:
        console.print("[red]No result: the servers promise less than docs/promises.md:[/red]")
        console.print("\n".join(weak))
        return 2
    admin = await asyncpg.connect(shop.engines.admin_dsn)
    ledger = await Ledger.open(shop)
    try:
        bench = await prepare(shop, given, admin, ledger)
        trials = await run_all(bench, given)
        pss = bench.gauges.pss_bytes()
        if given.profile:
            await profile(bench, given)
        pgbench = None
        if given.pgbench_seconds > 0:
            console.print("pgbench …")
            pgbench = await rivals.measure(shop.engines.admin_dsn, given.pgbench_seconds)
    finally:
        await ledger.close()
        await admin.close()
    medians = {way: report.median([one for one in trials if one.way == way]) for way in given.ways}
    console.print()
    report.runs(trials)
    console.print("The median run of each way counts.\n")
    report.costs(medians)
    if given.pgbench_seconds > 0:
        report.rivals(pgbench, medians)
    report.memory(pss, "after the runs")
    floors = report.floors(medians, pgbench, bench.confirms)
    report.verdicts(floors)
    laws = await asyncio.to_thread(audit, shop)
    counted = all(one.counted >= one.accepted for one in trials if one.way != "read")
    if not counted:
        console.print("[red]✗ accepted orders were not confirmed or not mailed[/red]")
    if given.json:
        write(given, told, trials, pgbench, pss, floors, laws)
    return 0 if laws and counted and all(floor.holds for floor in floors) else 1


async def prepare(
    shop: Shop, given: argparse.Namespace, admin: asyncpg.Connection, ledger: Ledger
) -> Bench:
    """Fill the shelves, open the accounts, see whether orders are confirmed at all."""
    began = time.monotonic()
    customers = Customers(shop.url)
    known = await ledger.offers()
    goods = await stock_up(shop, await customers.administrator(shop), given.skus)
    console.print(f"{given.skus} skus on the shelves ({time.monotonic() - began:.0f} s)")
    began = time.monotonic()
    joined = await customers.register(shop, given.customers)
    console.print(f"{joined} customers registered and logged in ({time.monotonic() - began:.0f} s)")
    if joined < given.customers:
        console.print(
            f"{given.customers - joined} more have tokens signed with the shop's own key: "
            "their logins would have taken too long (nothing of the shop was weakened)"
        )
    began = time.monotonic()
    while await ledger.offers() < known + given.skus:
        if time.monotonic() - began > OFFERS_S:
            raise Refused("orders does not hear of the goods")
        await asyncio.sleep(0.2)
    bench = Bench(shop, goods, customers, ledger, Gauges(shop), admin, confirms=False)
    bench.confirms = await probe(bench)
    if not bench.confirms:
        console.print("[red]Orders are not confirmed by this shop: acceptance alone counts.[/red]")
    return bench


async def probe(bench: Bench) -> bool:
    """Buy for a moment and see whether that is confirmed and mailed."""
    plan = await bench.plan("direct", new_run(), 0.2, 1)
    trial = await bench.trial(plan)
    if not trial.accepted:
        raise Refused(f"no order was accepted: {trial.statuses}")
    return trial.counted == trial.accepted


async def run_all(bench: Bench, given: argparse.Namespace) -> list[Trial]:
    """Run every way as often as asked."""
    trials = []
    for way in given.ways:
        await bench.trial(await bench.plan(way, new_run(), WARM_UP_S, given.connections))
        for number in range(given.runs):
            plan = await bench.plan(way, new_run(), given.seconds, given.connections)
            trial = await bench.trial(plan)
            trials.append(trial)
            console.print(
                f"{way} {number + 1}: {trial.rate:,.0f}/s "
                f"(accepted {trial.accepted_rate:,.0f}/s, p99 {trial.latency.p99:.0f} ms)"
            )
    return trials


async def profile(bench: Bench, given: argparse.Namespace) -> None:
    """Run the first way once more, and say where the shop's process spends its time."""
    plan = await bench.plan(given.ways[0], new_run(), given.seconds, given.connections)
    pids = [pid for pid, group in bench.gauges.pids().items() if group in samples.GROUPS]
    sampling = asyncio.create_task(samples.take(pids, given.seconds))
    await bench.trial(plan)
    console.print(await sampling)


def audit(shop: Shop) -> bool:
    """Check the laws with `merkato audit`; tells what it says."""
    done = shop.merkato("audit", "--json")
    try:
        msgspec.json.decode(done.stdout)
    except msgspec.DecodeError:
        console.print("[red]✗ not audited: merkato audit gives no result[/red]")
        return False
    if done.returncode == 0:
        console.print("[green]✓[/green] the laws hold (merkato audit)")
    else:
        console.print(f"[red]✗ merkato audit found broken laws:[/red]\n{done.stdout[:4_000]}")
    return done.returncode == 0


def write(
    given: argparse.Namespace, told: dict[str, str], trials: list[Trial],
    pgbench: dict[str, float] | None, pss: dict[str, int], floors: list[report.Floor], laws: bool,
) -> None:  # fmt: skip
    """Write everything as JSON."""
    content: dict[str, Any] = {
        "merkato": __version__,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": {name: str(value) for name, value in vars(given).items()},
        "durability": told,
        "runs": trials,
        "pgbench_tps": pgbench,
        "pss_bytes": pss,
        "floors": [one._asdict() for one in floors],
        "laws_hold": laws,
    }
    given.json.write_bytes(msgspec.json.format(msgspec.json.encode(content)))


def new_run() -> str:
    """Make the beginning of a run's keys, never used before."""
    return f"bench-{secrets.token_hex(8)}"


def main() -> int:
    """Measure."""
    given = arguments()
    try:
        with running(given.url, each=given.each) as shop:
            return asyncio.run(measure(shop, given))
    except Refused as refusal:
        console.print(f"[red]No result: {refusal}[/red]")
        return 2


if __name__ == "__main__":
    sys.exit(main())
