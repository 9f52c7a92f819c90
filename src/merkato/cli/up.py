"""`merkato up`: engines, stand-ins and services, in the foreground until told to stop."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from merkato import config
from merkato.chassis import supervisor
from merkato.chassis.engines import ports
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import start
from merkato.chassis.supervisor import AlreadyRunning, CannotStart, Child, Supervisor
from merkato.cli import plan
from merkato.config import Config

console = Console(highlight=False, soft_wrap=True)


def up(
    *, port: int | None = None, each: bool = False, detach: bool = False, demo: bool = True
) -> int:
    """Start the shop, and stay until Ctrl-C or `merkato down`.

    PostgreSQL and NATS are started too, unless DATABASE_URL and NATS_URL name others. A second
    `up` says where the shop runs already.

    Parameters
    ----------
    port
        Port of the shop on this machine; 8000 unless the configuration says otherwise.
    each
        Run every service as a process of its own.
    detach
        Return as soon as the shop is ready; it goes on in the background.
    demo
        In development, put the demo goods into a new shop.

    """
    home = Home(config.home())
    asked = plan.wanted(home.path, port)
    if detach:
        return _detached(home, asked.port, each, demo)
    try:
        asyncio.run(_until_stopped(home, asked, each, demo))
    except AlreadyRunning:
        _tell_where(home)
    return 0


async def _until_stopped(home: Home, asked: Config, each: bool, demo: bool) -> None:
    task = asyncio.current_task()
    assert task is not None  # we run inside of one
    loop, stopping = asyncio.get_running_loop(), False

    def stop() -> None:
        nonlocal stopping
        if not stopping:  # once: stopping itself is not to be cut short
            stopping = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    home.open()
    with suppress(asyncio.CancelledError):
        async with Supervisor(home.run, asked.public_url) as running:
            settings = await _start(running, home, asked, each)
            if demo and settings.environment == "development":
                await _seed_once(home)
            _welcome(home, settings)
            running.say_ready()  # last: `up --detach` prints what was said until now
            try:
                await asyncio.Event().wait()
            finally:
                console.print("Stopping …")
    console.print("Stopped; the data stay in", str(home.path))


async def _start(running: Supervisor, home: Home, asked: Config, each: bool) -> Config:
    begun = time.monotonic()
    ports.claim(asked.port, asked.host)
    database_url, nats_url = config.external_engines()
    with console.status("Starting PostgreSQL and NATS …"):
        made = await start(running, home.path, config.SERVICES, database_url, nats_url)
    _done("PostgreSQL", "yours, by DATABASE_URL" if database_url else "ready", begun)
    _done("NATS", "yours, by NATS_URL" if nats_url else "ready", begun)
    settings = plan.furnished(asked, made)
    children: list[Child] = []
    if settings.environment == "development":
        settings, outside = plan.stand_ins(home, settings, made.secrets)
        children.append(outside)
    with console.status("Starting the services …"):
        if each:
            children += plan.process_per_service(home, settings)
        else:
            children.append(plan.one_process(home, settings))
        await asyncio.gather(*(running.start(child) for child in children))
    _done("services", "a process each" if each else "in one process", begun)
    return settings


async def _seed_once(home: Home) -> None:
    """Put the demo goods into a shop that never had them; a failure is told and not fatal."""
    mark = home.run / "seeded"
    if mark.exists():
        return
    with console.status("Putting the demo goods on the shelves …"):
        seeding = await asyncio.create_subprocess_exec(sys.executable, "-m", "merkato", "seed")
        try:
            if await seeding.wait() == 0:
                mark.touch()
        finally:
            if seeding.returncode is None:
                seeding.terminate()


def _welcome(home: Home, settings: Config) -> None:
    console.print()
    console.print(f"The shop is open at [bold]{settings.public_url}[/bold]")
    if settings.environment == "development":
        console.print(
            "[bold yellow]DEVELOPMENT: cards and mail are stand-ins. No money moves, and no mail "
            "leaves this machine.[/bold yellow]"
        )
        console.print(f"  every mail sent   http://127.0.0.1:{home.ports()['mailbox']}")
        console.print(f"  every text sent   http://127.0.0.1:{home.ports()['telephones']}")
    console.print(f"  try               curl {settings.public_url}/api/v1/products?q=mug")
    console.print("  what runs where   merkato status")
    console.print("  what it says      merkato logs --follow")
    console.print("  stop              Ctrl-C, or merkato down")


def _done(what: str, how: str, begun: float) -> None:
    console.print(f"[green]✓[/green] {what:<12} {how} ({time.monotonic() - begun:.1f} s)")


def _tell_where(home: Home) -> None:
    found = supervisor.state(home.run)
    if found is None or found.ready_at is None:
        console.print(f"The shop of {home.path} is just starting or stopping; see merkato status.")
    else:
        console.print(f"Already runs at {found.address} since {found.ready_at:%Y-%m-%d %H:%M} UTC.")


def _detached(home: Home, port: int, each: bool, demo: bool) -> int:
    """Start `up` in a session of its own and wait until it is ready, ended, or was there before."""
    home.open()
    if supervisor.state(home.run) is not None:
        _tell_where(home)
        return 0
    log = home.logs / "up.log"
    command = [sys.executable, "-m", "merkato", "up", "--port", str(port)]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command + ["--each"] * each + ["--no-demo"] * (not demo),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with console.status("Starting …"):
        while child.poll() is None:
            found = supervisor.state(home.run)
            if found is not None and found.pid == child.pid and found.ready_at is not None:
                break
            time.sleep(0.05)
    _print_file(log)
    if child.returncode:
        raise CannotStart("the shop did not start; the lines above say why.")
    return 0


def _print_file(file: Path) -> None:
    console.print(file.read_text(), end="", markup=False)
