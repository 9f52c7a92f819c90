"""Places where a test may kill, stop or delay the process. Nothing happens unless one is set."""

import os
import signal
import time
from collections.abc import Mapping

_set: dict[str, str] = {}


class Failed(Exception):
    """Raised at a failpoint set to `raise`."""


def arm(failpoints: Mapping[str, str]) -> None:
    """Set what happens where: ``kill``, ``raise`` or ``sleep:SECONDS``."""
    _set.clear()
    _set.update(failpoints)


def reach(place: str) -> None:
    """Pass a place; do there what was set for it."""
    if not _set or place not in _set:
        return
    what = _set[place]
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "raise":
        raise Failed(place)
    elif what.startswith("sleep:"):
        time.sleep(float(what.removeprefix("sleep:")))
    else:
        raise ValueError(f"failpoint {place}: {what!r} is neither kill, raise nor sleep:SECONDS")
