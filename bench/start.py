"""How long the shop takes to start, and what memory it needs when idle.

`.venv/bin/python bench/start.py` starts a new shop once (with the demo goods, as `merkato up`
does), then stops and starts it again some times. With --memory it also waits 60 s without any load
and adds up the memory of everything. Exit status: 0 all is within its bounds, 1 not.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import msgspec
import report
from gauges import Gauges
from report import Floor, console
from shop import MERKATO, Shop, remove

from merkato.chassis.engines import ports

FIRST_S = 10.0  # from the command to the first 200 of /readyz
LATER_S = 4.0
MEMORY_MB = 500.0
IDLE_S = 60
PATIENCE_S = 120.0


def start(home: Path, port: int, *, each: bool) -> tuple[subprocess.Popen[bytes], float]:
    """Start a shop in the foreground of its own; gives it and the seconds until it is ready."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*MERKATO, "up", "--port", str(port), *(["--each"] if each else [])],
        env={**os.environ, "MERKATO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while time.monotonic() - began < PATIENCE_S and process.poll() is None:
        with suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:
                return process, time.monotonic() - began
        time.sleep(0.02)
    process.terminate()
    raise SystemExit("the shop did not become ready")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a shop and wait for its end."""
    process.terminate()
    process.wait(timeout=PATIENCE_S)


def idle_memory(home: Path, port: int) -> dict[str, int]:
    """Give the memory of everything after a while without load."""
    seeded = home / "run" / "seeded"
    while not seeded.exists():  # the demo goods are put in after the shop is ready
        time.sleep(0.5)
    time.sleep(IDLE_S)
    return Gauges(Shop(f"http://127.0.0.1:{port}", home)).pss_bytes()


def main() -> int:
    """Start, stop, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--later", type=int, default=3, help="later starts (default 3)")
    parser.add_argument("--each", action="store_true", help="a process per service")
    parser.add_argument("--memory", action="store_true", help=f"also memory, {IDLE_S} s idle")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="merkato-bench-"))
    home.chmod(0o711)
    port, later, pss = ports.pick(), [], {}
    try:
        process, first = start(home, port, each=given.each)
        try:
            for _ in range(given.later):
                stop(process)
                process, seconds = start(home, port, each=given.each)
                later.append(seconds)
            if given.memory:
                pss = idle_memory(home, port)
        finally:
            stop(process)
    finally:
        remove(home)
    floors = [Floor(f"first start < {FIRST_S:.0f} s", f"{first:.1f} s", first < FIRST_S)]
    if later:
        usual = statistics.median(later)
        told = f"{usual:.1f} s of " + ", ".join(f"{one:.1f}" for one in later)
        floors.append(Floor(f"later starts < {LATER_S:.0f} s", told, usual < LATER_S))
    if pss:
        report.memory(pss, f"after {IDLE_S} s idle")
        total = sum(pss.values()) / 1e6
        floors.append(Floor(f"memory < {MEMORY_MB:.0f} MB", f"{total:.0f} MB", total < MEMORY_MB))
    report.verdicts(floors)
    if given.json:
        content = {"first_s": first, "later_s": later, "pss_bytes": pss}
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
    console.print(f"load of the machine meanwhile: {os.getloadavg()[0]:.1f}")
    return 0 if all(floor.holds for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
