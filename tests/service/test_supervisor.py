"""The supervisor keeps children running, stops them in order and survives its own death."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from merkato.chassis import supervisor
from merkato.chassis.supervisor import AlreadyRunning, CannotStart, Child, Supervisor

SLEEPER = "import time; print('here', flush=True); time.sleep(600)"
FORKING = (
    "import os, time; child = os.fork(); os.write(1, b'here %d\\n' % os.sched_getscheduler(0));"
    "time.sleep(600 if child else 0)"
)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('here', flush=True); time.sleep(600)"
)


def child(folder, name="sleeper", program=SLEEPER, **more):
    log = folder / "logs" / f"{name}.log"

    async def ready():
        return "here" in log.read_text()

    return Child(
        name=name,
        command=(sys.executable, "-c", program),
        log=log,
        **{"ready": ready, "ready_within_s": 20} | more,
    )


def pid_of(folder, name="sleeper"):
    found = supervisor.state(folder / "run")
    return next(one.pid for one in found.children if one.name == name)


async def until(condition, within_s=15.0):
    for _ in range(int(within_s / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


def is_alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


async def test_a_child_that_dies_is_started_again_and_counted(tmp_path):
    async with Supervisor(tmp_path / "run") as running:
        await running.start(child(tmp_path))
        first = pid_of(tmp_path)
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(tmp_path) not in {0, first})
        (one,) = supervisor.state(tmp_path / "run").children
        assert one.restarts == 1
        assert is_alive(one.pid)
    assert not is_alive(one.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SCHED_BATCH")
async def test_a_child_that_yields_and_its_children_cut_nobody_short(tmp_path):
    async with Supervisor(tmp_path / "run") as running:
        for name, yields in (("engine", True), ("service", False)):
            await running.start(child(tmp_path, name, FORKING, yields=yields))
            log = tmp_path / "logs" / f"{name}.log"
            await until(lambda log=log: log.read_text().count("here") == 2)
            policy = os.SCHED_BATCH if yields else os.sched_getscheduler(0)  # or ours
            assert log.read_text() == f"here {policy}\n" * 2


async def test_a_child_is_started_again_though_nothing_can_be_written_down(tmp_path):
    log = tmp_path / "logs" / "sleeper.log"
    async with Supervisor(tmp_path / "run") as running:
        await running.start(child(tmp_path))
        (tmp_path / "run" / "state.json.new").mkdir()  # as on a full disk: writing fails
        os.kill(pid_of(tmp_path), signal.SIGKILL)
        await until(lambda: log.read_text().count("here") == 2)
        (tmp_path / "run" / "state.json.new").rmdir()


async def test_a_child_is_started_again_though_asking_it_failed(tmp_path):
    log, asked = tmp_path / "logs" / "sleeper.log", []

    async def ready():
        asked.append(1)
        if len(asked) == 2:
            raise ValueError("it hung up")
        return True

    async with Supervisor(tmp_path / "run") as running:
        await running.start(child(tmp_path, ready=ready))
        os.kill(pid_of(tmp_path), signal.SIGKILL)
        await until(lambda: len(asked) == 3 and pid_of(tmp_path) != 0)
        assert "it hung up" in log.read_text()
        await until(lambda: supervisor.state(tmp_path / "run").children[0].state == "running")


async def test_the_pause_before_a_restart_grows(tmp_path):
    async with Supervisor(tmp_path / "run") as running:
        begun = asyncio.get_running_loop().time()
        await running.start(child(tmp_path))
        for count in (1, 2, 3):
            await until(lambda: pid_of(tmp_path) != 0)
            os.kill(pid_of(tmp_path), signal.SIGKILL)
            await until(
                lambda count=count: supervisor.state(tmp_path / "run").children[0].restarts == count
            )
        assert asyncio.get_running_loop().time() - begun >= 0.2 + 0.4 + 0.8


async def test_children_stop_in_reverse_order(tmp_path):
    order = tmp_path / "order"
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write('NAME ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('here', flush=True)\n"
        "time.sleep(600)\n"
    )
    async with Supervisor(tmp_path / "run") as running:
        for name in ("first", "second", "third"):
            await running.start(child(tmp_path, name, program.replace("NAME", name)))
    assert order.read_text().split() == ["third", "second", "first"]


async def test_a_child_that_does_not_stop_is_killed(tmp_path):
    async with Supervisor(tmp_path / "run") as running:
        await running.start(child(tmp_path, program=STUBBORN, stop_within_s=0.3))
        pid = pid_of(tmp_path)
    assert not is_alive(pid)
    assert "killed" in (tmp_path / "logs/sleeper.log").read_text()


async def test_a_child_that_ends_while_starting_is_told_with_its_last_words(tmp_path):
    async def never():
        return False

    async with Supervisor(tmp_path / "run") as running:
        with pytest.raises(CannotStart, match=r"ended while starting: no bread today"):
            await running.start(child(tmp_path, program="print('no bread today')", ready=never))
        assert supervisor.state(tmp_path / "run").children == []


async def test_a_child_that_is_never_ready_is_ended(tmp_path):
    async def never():
        return False

    async with Supervisor(tmp_path / "run") as running:
        with pytest.raises(CannotStart, match="not ready within"):
            await running.start(child(tmp_path, ready=never, ready_within_s=0.2))
        assert supervisor.state(tmp_path / "run").children == []


async def test_there_is_one_supervisor_per_folder(tmp_path):
    async with Supervisor(tmp_path / "run"):
        with pytest.raises(AlreadyRunning):
            await Supervisor(tmp_path / "run").__aenter__()
    assert supervisor.state(tmp_path / "run") is None
    async with Supervisor(tmp_path / "run"):
        assert supervisor.state(tmp_path / "run").pid == os.getpid()


async def test_a_long_log_is_put_aside(tmp_path):
    log = tmp_path / "logs/sleeper.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (11 * 1024 * 1024))
    async with Supervisor(tmp_path / "run") as running:
        await running.start(child(tmp_path))
    assert log.stat().st_size < 1024
    assert log.with_name("sleeper.log.1").stat().st_size > 10 * 1024 * 1024


OWN_PROCESS = """
import asyncio, sys
from pathlib import Path
from merkato.chassis.supervisor import Child, Supervisor

async def main(folder):
    async with Supervisor(folder / "run") as running:
        await running.start(Child(
            name="sleeper",
            command=(sys.executable, "-c", {program!r}),
            log=folder / "logs/sleeper.log",
        ))
        running.say_ready()
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""


async def supervised(folder, program):
    """Run a supervisor as a process of its own; wait until it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWN_PROCESS.format(program=program), str(folder)
    )
    log = folder / "logs/sleeper.log"
    await until(lambda: log.exists() and "here" in log.read_text())
    await until(lambda: supervisor.state(folder / "run").ready_at is not None)
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_children_end_with_a_killed_supervisor(tmp_path):
    process = await supervised(tmp_path, SLEEPER)
    pid = pid_of(tmp_path)
    process.kill()
    await process.wait()
    await until(lambda: not is_alive(pid))
    assert supervisor.state(tmp_path / "run") is None


async def test_what_a_killed_supervisor_left_is_ended_by_the_next(tmp_path):
    process = await supervised(tmp_path, STUBBORN)
    pid = pid_of(tmp_path)
    process.kill()
    await process.wait()
    assert is_alive(pid)
    left = supervisor._read(tmp_path / "run")
    left.children[0].stop_signal = signal.SIGKILL  # it would be asked in vain for 30 s
    (tmp_path / "run/state.json").write_bytes(supervisor.msgspec.json.encode(left))
    async with Supervisor(tmp_path / "run"):
        assert not is_alive(pid)


async def test_a_stranger_with_the_pid_of_a_leftover_is_left_alone(tmp_path):
    process = await supervised(tmp_path, SLEEPER)
    process.kill()
    await process.wait()
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(60)"
    )
    left = supervisor._read(tmp_path / "run")
    left.children[0].pid = stranger.pid
    (tmp_path / "run/state.json").write_bytes(supervisor.msgspec.json.encode(left))
    try:
        async with Supervisor(tmp_path / "run"):
            await asyncio.sleep(0.1)
        assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        await stranger.wait()


async def test_stop_reaches_a_supervisor_in_another_process(tmp_path):
    process = await supervised(tmp_path, SLEEPER)
    pid = pid_of(tmp_path)
    assert await supervisor.stop(tmp_path / "run")
    await process.wait()
    await until(lambda: not is_alive(pid))
    assert not await supervisor.stop(tmp_path / "run")


async def test_what_a_killed_predecessor_still_holds_is_waited_for(tmp_path):
    process = await supervised(tmp_path, SLEEPER)
    process.kill()
    await process.wait()
    held = tmp_path / "held"
    held.touch()
    program = f"import os; assert not os.path.exists({str(held)!r});{SLEEPER}"
    async with Supervisor(tmp_path / "run") as running:
        starting = asyncio.create_task(running.start(child(tmp_path, "later", program)))
        log = tmp_path / "logs/later.log"
        await until(lambda: log.exists() and "AssertionError" in log.read_text())
        held.unlink()
        await starting
