"""What the machine and the engines spend: CPU by process, memory, transactions, WAL."""

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg
from shop import Shop

from merkato.chassis import supervisor

_TICKS = os.sysconf("SC_CLK_TCK")
_TITLE = re.compile(r"postgres: (?:[\w-]+: )?(\w+) (\w+) 127\.")
_SQL = """
select sum(xact_commit)::bigint, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
  from pg_stat_database where datname like 'merkato\\_%'
"""


class Process(NamedTuple):
    """A process of the shop: its group in reports, and the CPU it used so far (s)."""

    group: str
    cpu_s: float


class Gauges:
    """Reads the processes of one shop; keeps what those that end had used."""

    def __init__(self, shop: Shop) -> None:
        found = supervisor.state(shop.home.run)
        if found is None:
            raise SystemExit(f"No shop runs in {shop.home.path}; give its folder as MERKATO_HOME.")
        self._roots = {found.pid: "supervisor"} | {one.pid: one.name for one in found.children}
        self._seen: dict[int, Process] = {}

    def pids(self) -> dict[int, str]:
        """Give every process of the shop with its group."""
        parents: dict[int, list[int]] = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with suppress(OSError):
                parents.setdefault(int(_stat(pid)[1]), []).append(pid)
        found: dict[int, str] = {}
        waiting = list(self._roots.items())
        while waiting:
            pid, group = waiting.pop()
            if pid in found:
                continue
            found[pid] = self._roots.get(pid, group)
            waiting += [(child, found[pid]) for child in parents.get(pid, [])]
        return {pid: _group(pid, group) for pid, group in found.items()}

    def cpu(self) -> dict[str, float]:
        """Give the CPU seconds of each group since the shop was started."""
        for pid, group in self.pids().items():
            with suppress(OSError):
                fields = _stat(pid)
                used = (int(fields[11]) + int(fields[12])) / _TICKS
                self._seen[pid] = Process(group, used)
        total: dict[str, float] = {}
        for process in self._seen.values():
            total[process.group] = total.get(process.group, 0.0) + process.cpu_s
        return total

    async def watch(self) -> None:
        """Look every second, so that little of a process that ends is missed."""
        while True:
            self.cpu()
            await asyncio.sleep(1)

    def pss_bytes(self) -> dict[str, int]:
        """Give the proportional set size of each group. Needs the right to look into them."""
        total: dict[str, int] = {}
        for pid, group in self.pids().items():
            with suppress(FileNotFoundError, ProcessLookupError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                kib = int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
                kind = "postgres" if group.startswith("postgres") else group
                total[kind] = total.get(kind, 0) + kib * 1024
        return total


def machine_cpu_s() -> float:
    """Give the CPU seconds that everything on this machine used since it was switched on."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS


class Spent(NamedTuple):
    """Counters of the server, over all databases of the shop."""

    transactions: int
    wal_bytes: int


async def spent(admin: asyncpg.Connection) -> Spent:
    """Read the server's counters; backends report theirs up to a second late."""
    return Spent(*await admin.fetchrow(_SQL))


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/<pid>/stat that follow the name, the state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _group(pid: int, group: str) -> str:
    """Tell backends apart by role, and the server's own processes from them."""
    if group != "postgres":
        return group
    with suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if found := _TITLE.search(title):
            return f"postgres {found[1].removeprefix('merkato_')}"
    return "postgres itself"
