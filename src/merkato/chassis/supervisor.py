"""Runs child processes: starts them in order, starts the dead again, stops them in reverse order.

One supervisor per run folder, held by a lock that dies with the process, so that a killed
supervisor never stands in the way of the next. What runs is told in `<run>/state.json`.
"""

import asyncio
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, NamedTuple, Self

import msgspec

_LOG_BYTES_MAX = 10 * 1024 * 1024
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0  # a child that lived this long starts again without a growing pause
_REMAINS_S = 15.0  # how long what a killed predecessor ran may still hold its locks and ports
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class CannotStart(Exception):
    """Something needed did not start; the message says what, and what to do about it."""


class AlreadyRunning(Exception):
    """Another supervisor holds this run folder."""


class Account(NamedTuple):
    """The account a child runs as, when it is not ours."""

    name: str
    uid: int
    gid: int


async def _at_once() -> bool:
    return True


def _last_line(tail: str) -> str:
    return tail.rstrip().rpartition("\n")[2] or "it said nothing"


@dataclass(frozen=True, kw_only=True)
class Child:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    log: Path  # standard output and error are appended here
    address: str = ""  # where it listens, for people
    environment: Mapping[str, str] | None = None  # the whole of it; None: ours
    account: Account | None = None  # None: ours
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 15.0  # then it is killed
    ready: Callable[[], Awaitable[bool]] = _at_once  # asked again and again until it says yes
    ready_within_s: float = 60.0
    reason: Callable[[str], str] = _last_line  # the end of its log -> why it ended, in a sentence
    yields: bool = False  # it waits for a processor instead of taking one from a service (Linux)


class ChildState(msgspec.Struct, kw_only=True):
    """What is known of one child; `pid` is 0 while it is not running."""

    name: str
    pid: int
    state: Literal["starting", "running", "dead", "stopped"]
    started_at: datetime
    restarts: int
    address: str
    log: str
    command: list[str]
    stop_signal: int


class State(msgspec.Struct, kw_only=True):
    """What is known of a supervisor; `ready_at` is None until everything was started."""

    pid: int
    started_at: datetime
    address: str = ""  # where what it runs is to be found, for people
    ready_at: datetime | None = None
    children: list[ChildState] = []


@dataclass
class _Running:
    child: Child
    state: ChildState
    process: asyncio.subprocess.Process
    watch: "asyncio.Task[None] | None" = None
    born: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps children running for as long as it is entered.

    Entering raises AlreadyRunning when another process holds the folder, and ends what a killed
    predecessor left behind. Leaving stops the children in reverse order of their start.
    """

    def __init__(self, run: Path, address: str = "") -> None:
        self._run = run
        self._children: list[_Running] = []
        self._state = State(pid=os.getpid(), started_at=datetime.now(UTC), address=address)
        self._lock: IO[str] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._run.mkdir(parents=True, exist_ok=True)
        self._lock = await _locked(self._run)
        left = _read(self._run)
        for child in reversed(left.children if left else []):
            await _end_leftover(child)
        self._remains_until = time.monotonic() + (_REMAINS_S if left else 0.0)
        self._write()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        for one in reversed(list(self._children)):
            if one.watch is not None:
                one.watch.cancel()
            await _end(one)
            self._write()
        (self._run / "state.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def say_ready(self) -> None:
        """Note that everything was started."""
        self._state.ready_at = datetime.now(UTC)
        self._write()

    async def start(self, child: Child) -> None:
        """Start a child and wait until it is ready; from then on it is started again if it dies.

        Raises CannotStart when it ends or is not ready in time; it is not running then.
        """
        _rotate(child.log)
        process = await _spawn(child)
        state = ChildState(
            name=child.name,
            pid=process.pid,
            state="starting",
            started_at=datetime.now(UTC),
            restarts=0,
            address=child.address,
            log=str(child.log),
            command=list(child.command),
            stop_signal=child.stop_signal,
        )
        one = _Running(child, state, process)
        self._children.append(one)
        self._write()
        try:
            await self._until_first_ready(one)
        except CannotStart:
            await _end(one)
            self._children.remove(one)
            self._write()
            raise
        one.watch = asyncio.create_task(self._watch(one), name=f"watch {child.name}")

    async def _until_first_ready(self, one: _Running) -> None:
        """Wait until a child is ready; start it again while a predecessor's remains may hinder."""
        while True:
            try:
                return await self._until_ready(one)
            except CannotStart:
                if one.process.returncode is None or time.monotonic() > self._remains_until:
                    raise
            await asyncio.sleep(_FIRST_PAUSE_S)
            one.process = await _spawn(one.child)
            one.state.pid = one.process.pid
            self._write()

    async def _until_ready(self, one: _Running) -> None:
        child, deadline = one.child, time.monotonic() + one.child.ready_within_s
        while not await child.ready():
            if one.process.returncode is not None:
                why = child.reason(_tail(child.log))
                raise CannotStart(f"{child.name} ended while starting: {why} (log: {child.log})")
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{child.name} was not ready within {child.ready_within_s:.0f} s; "
                    f"its log says why: {child.log}"
                )
            await asyncio.sleep(0.03)
        one.state.state = "running"
        self._write_if_it_can()

    async def _watch(self, one: _Running) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping:
            await one.process.wait()
            if time.monotonic() - one.born > _STEADY_S:
                pause = _FIRST_PAUSE_S
            one.state.state, one.state.pid = "dead", 0
            self._write_if_it_can()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            _note(
                one.child.log, f"{one.child.name} died ({one.process.returncode}), starting again"
            )
            try:
                await self._start_again(one)
            except Exception as error:  # whatever it is, it is tried again
                _note(one.child.log, str(error))
                await _end(one)

    async def _start_again(self, one: _Running) -> None:
        one.process = await _spawn(one.child)
        one.born = time.monotonic()
        one.state.pid, one.state.state = one.process.pid, "starting"
        one.state.started_at = datetime.now(UTC)
        one.state.restarts += 1
        self._write_if_it_can()
        await self._until_ready(one)

    def _write_if_it_can(self) -> None:
        """Write the state; on a full disk, where children die too, do without."""
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        self._state.children = [one.state for one in self._children]
        new = self._run / "state.json.new"
        new.write_bytes(msgspec.json.encode(self._state))
        new.replace(self._run / "state.json")


def state(run: Path) -> State | None:
    """Tell what the supervisor of this folder runs; None when there is none."""
    return _read(run) if _held(run) else None


async def stop(run: Path, within_s: float = 90.0) -> bool:
    """Ask the supervisor of this folder to stop, and wait; False when there is none.

    Raises TimeoutError when it is still there after `within_s`.
    """
    found = state(run)
    if found is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    for _ in range(int(within_s / 0.05)):
        if not _held(run):
            return True
        await asyncio.sleep(0.05)
    raise TimeoutError(f"process {found.pid} is still there after {within_s:.0f} s")


def _read(run: Path) -> State | None:
    try:
        return msgspec.json.decode((run / "state.json").read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _locked(run: Path) -> IO[str]:
    lock = (run / "lock").open("w")
    for _ in range(20):  # somebody who only looks holds the lock for an instant
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.02)
        else:
            return lock
    lock.close()
    raise AlreadyRunning(str(run))


def _held(run: Path) -> bool:
    with suppress(FileNotFoundError), (run / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _preparation(child: Child) -> Callable[[], None] | None:
    """Give what the child does before it becomes its program (Linux): yield, die with us."""
    if _LIBC is None:
        return None
    libc, parent, number = _LIBC, os.getpid(), int(child.stop_signal)

    def prepare() -> None:
        if child.yields:  # sched(7): waking up, it cuts nobody short who is at work
            with suppress(OSError):  # a sandbox may forbid it
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(1)

    return prepare


async def _spawn(child: Child) -> asyncio.subprocess.Process:
    child.log.parent.mkdir(parents=True, exist_ok=True)
    with child.log.open("ab") as log:
        try:
            return await asyncio.create_subprocess_exec(
                *child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/" if child.account else None,
                env=child.environment,
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
                preexec_fn=_preparation(child),
                user=child.account.uid if child.account else None,
                group=child.account.gid if child.account else None,
                extra_groups=[] if child.account else None,
            )
        except OSError as error:
            raise CannotStart(f"{child.name} cannot be run: {error}.") from error


async def _end(one: _Running) -> None:
    if one.process.returncode is None:
        with suppress(ProcessLookupError):
            one.process.send_signal(one.child.stop_signal)
        try:
            async with asyncio.timeout(one.child.stop_within_s):
                await one.process.wait()
        except TimeoutError:
            _note(one.child.log, f"{one.child.name} did not stop in time and is killed")
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            await one.process.wait()
    one.state.state, one.state.pid = "stopped", 0


async def _end_leftover(child: ChildState) -> None:
    """End a child of a killed supervisor; only if that process still runs that very command."""
    for number, within_s in ((child.stop_signal, 30.0), (signal.SIGKILL, 5.0)):
        if child.pid == 0 or command_of(child.pid) != child.command:
            return
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)
        for _ in range(int(within_s / 0.02)):
            if _is_gone(child):
                return
            await asyncio.sleep(0.02)


def _is_gone(child: ChildState) -> bool:
    command = command_of(child.pid)
    if command:
        return command != child.command
    status = Path(f"/proc/{child.pid}/stat")  # a dying process has no command line any more
    try:
        return status.read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


def command_of(pid: int) -> list[str]:
    """Give the command line of a process; empty when there is no such process."""
    if Path("/proc/self/cmdline").exists():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return []
        return line.removesuffix("\0").split("\0") if line else []
    asked = ["ps", "-o", "command=", "-p", str(pid)]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return told.stdout.split()


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))


def _note(log: Path, sentence: str) -> None:
    with suppress(OSError), log.open("a") as file:  # a full disk is no reason to give up
        file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} merkato: {sentence}\n")


def _tail(log: Path, size_bytes: int = 4000) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size_bytes))
        return file.read().decode(errors="replace")
