"""Where a Python process spends its time, by py-spy if it is installed."""

import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

GROUPS = {
    *("shop", "gateway", "users", "catalog", "inventory", "orders", "payments", "notifications"),
}
HOW = "No profile: py-spy is not installed (install it into .venv and run again)."
IDLE = "_worker (concurrent/futures"  # a thread of a pool that waits
MOST = 25  # functions listed
RATE = 200  # samples per second
TREE_SHARE = 0.015  # of all samples; smaller branches are left out


async def take(pids: list[int], seconds: float) -> str:
    """Sample processes for some seconds; gives the functions that use most, own and in all."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which(
        "py-spy"
    )
    if program is None:
        return HOW
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{pid}.txt" for pid in pids]
        await asyncio.gather(
            *(_record(program, pid, seconds, file) for pid, file in zip(pids, files, strict=True))
        )
        return "\n".join(_told(file.read_text()) for file in files if file.exists())


async def _record(program: str, pid: int, seconds: float, file: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(program, "record", "--pid", str(pid), "--duration", str(max(1, int(seconds)))),
        *("--rate", str(RATE), "--format", "raw", "--output", str(file), "--function"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()


def _told(folded: str) -> str:
    """Sum folded stacks (`outer;inner count` a line) by function, and as a tree."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    paths: Counter[tuple[str, ...]] = Counter()
    total = 0
    for line in folded.splitlines():
        stack, _, number = line.rpartition(" ")
        frames, count = tuple(stack.split(";")), int(number)
        if frames[-1].startswith(IDLE):
            continue
        own[frames[-1]] += count
        within.update(dict.fromkeys(frames, count))
        paths.update(dict.fromkeys((frames[: n + 1] for n in range(len(frames))), count))
        total += count
    lines = [f"{total} samples while busy"]
    for name, counter in (("own time", own), ("with what it calls", within)):
        lines += ["", name]
        lines += [f"  {n / total:6.1%}  {frame}" for frame, n in counter.most_common(MOST)]
    lines += ["", f"the tree of what takes {TREE_SHARE:.0%} or more"]
    for path in sorted(paths, key=lambda path: _place(path, paths)):
        if paths[path] >= TREE_SHARE * total:
            lines.append(f"  {paths[path] / total:6.1%} {' ' * len(path)}{path[-1]}")
    return "\n".join(lines)


def _place(path: tuple[str, ...], paths: Counter[tuple[str, ...]]) -> list[tuple[int, str]]:
    """Sort a tree: the heaviest branch first, a parent before its children."""
    return [(-paths[path[: n + 1]], path[n]) for n in range(len(path))]
