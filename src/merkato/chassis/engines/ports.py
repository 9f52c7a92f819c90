"""Finds free loopback ports, and says who holds a taken one."""

import errno
import random
import socket
from pathlib import Path

from merkato.chassis.supervisor import CannotStart, command_of

_RANGE = range(15_000, 30_000)  # below what systems hand out to outgoing connections


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether `port` can be listened on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def pick(remembered: int | None = None) -> int:
    """Give the remembered port when it is free, else another free one."""
    if remembered and is_free(remembered):
        return remembered
    for port in random.sample(_RANGE, 200):
        if is_free(port):
            return port
    raise CannotStart("No free port was found on 127.0.0.1; stop something that listens there.")


def claim(port: int, host: str = "127.0.0.1", remedy: str = "choose another with --port") -> None:
    """Check that `port` is free. Raises CannotStart naming the holder, where it can be known."""
    if port < 1024 and not is_free(port, host) and not (who := holder(port)):
        raise CannotStart(f"Port {port} needs rights this account does not have; {remedy}.")
    if not is_free(port, host):
        who = holder(port)
        by = f" by {who}" if who else ""
        raise CannotStart(f"Port {port} is taken{by}; stop that, or {remedy}.")


def holder(port: int) -> str | None:
    """Tell who listens on `port`, as 'python (process 4711)'; None where that is not told."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:  # 0A: listening
                inodes.add(f"socket:[{words[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir()):
                command = command_of(int(process.name)) or ["a process"]
                return f"{Path(command[0]).name} (process {process.name})"
        except OSError:  # ended meanwhile, or not ours to look into
            continue
    return None
