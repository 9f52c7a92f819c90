"""The dependency rule holds, and every contract of it bites.

The contracts stand in pyproject.toml and are checked over the real package by `make check` and
here. That they bite is shown on a model of the house: empty rooms which use what they may, into
which one forbidden import is planted at a time.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
ROOMS = ("domain", "store", "actions", "handlers", "jobs", "http", "service", "providers")
MODEL = {
    "__init__": "",
    "__main__": "import merkato.cli",
    "config": "import msgspec",
    "topology": "import merkato.orders.service, merkato.gateway.service",
    "contracts/__init__": "import msgspec",
    "client/__init__": "",
    "client/wire": "import msgspec, aiohttp",
    "chassis/__init__": "import asyncpg, litestar, nats, merkato.contracts",
    "chassis/remote": "import aiohttp",
    "audit/__init__": "import merkato.orders.store",
    "demo/__init__": "import aiohttp",
    "replay/__init__": "import aiohttp",
    "outside/__init__": "",
    "outside/mailbox": "import litestar, aiohttp",
    "cli/__init__": "import merkato.topology, merkato.outside.mailbox, merkato.demo, merkato.audit",
    "cli/replay": "import merkato.replay, aiohttp",
    "gateway/__init__": "",
    "gateway/service": "import merkato.gateway.http",
    "gateway/http": "import litestar",
    "orders/__init__": "",
    "orders/domain": "import merkato.contracts",
    "orders/store": "import merkato.orders.domain, merkato.chassis",
    "orders/providers": "import aiohttp, stripe, aiosmtplib, merkato.orders.domain",
    "orders/actions": "import merkato.orders.store",
    "orders/handlers": "import merkato.orders.actions",
    "orders/jobs": "import merkato.orders.actions, merkato.orders.providers",
    "orders/http/__init__": "import merkato.orders.http.carts",
    "orders/http/carts": "import litestar, merkato.orders.actions",
    "orders/service": "import merkato.orders.http, merkato.orders.providers, merkato.config",
}
OFFENCES = [
    ("floors", "client/wire", "merkato.contracts"),
    ("floors", "gateway/http", "merkato.orders.store"),
    ("floors", "orders/jobs", "merkato.gateway.service"),
    ("floors", "chassis/remote", "merkato.config"),
    ("floors", "contracts/__init__", "merkato.chassis"),
    ("floors", "orders/service", "merkato.topology"),
    ("floors", "shelf/__init__", "merkato.contracts"),
    ("rooms", "orders/store", "merkato.orders.actions"),
    ("rooms", "orders/http/carts", "merkato.orders.jobs"),
    ("rooms", "orders/domain", "merkato.orders.store"),
    ("pure", "orders/domain", "random"),
    ("pure", "orders/domain", "merkato.chassis"),
    ("pure", "contracts/__init__", "os"),
    ("outside", "orders/providers", "merkato.outside.mailbox"),
    ("outside-knows-nothing", "outside/mailbox", "merkato.contracts"),
    ("outside-knows-nothing", "outside/mailbox", "merkato.orders.domain"),
    ("door-sql", "orders/store", "asyncpg"),
    ("door-web", "orders/actions", "litestar"),
    ("door-broker", "orders/handlers", "nats"),
    ("door-client", "orders/jobs", "aiohttp"),
    ("door-outside", "orders/jobs", "stripe"),
    ("door-outside", "orders/http/carts", "aiosmtplib"),
    ("providers", "orders/http/carts", "merkato.orders.providers"),
    ("providers", "orders/actions", "merkato.orders.providers"),
]


def lint(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the linter with our contracts over the package `merkato` under `sources`."""
    return subprocess.run(
        [LINT, "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml", *arguments],
        cwd=sources,
        env={"PYTHONPATH": str(sources), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def write(sources: Path, modules: dict[str, str]) -> None:
    """Write a package `merkato` of the given modules."""
    for name, text in modules.items():
        file = sources / "merkato" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


def test_the_house_keeps_the_rule() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_model_keeps_the_rule(tmp_path: Path) -> None:
    write(tmp_path, MODEL)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "room", "forbidden"), OFFENCES)
def test_each_contract_bites(tmp_path: Path, contract: str, room: str, forbidden: str) -> None:
    write(tmp_path, MODEL)
    write(tmp_path, {room: MODEL.get(room, "") + f"\nimport {forbidden}"})
    done = lint(tmp_path, "--contract", contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout, done.stdout + done.stderr


def test_every_contract_is_shown_an_offence() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    declared = {line.split('"')[1] for line in text.splitlines() if line.startswith("id = ")}
    assert declared == {contract for contract, _, _ in OFFENCES}
