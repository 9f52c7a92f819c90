"""`merkato logs`: the latest lines of what runs here."""

import time
from pathlib import Path

from merkato import config
from merkato.chassis.engines.home import Home
from merkato.chassis.supervisor import CannotStart

_LINES = 40
_TAIL_BYTES = 32_768


def logs(name: str | None = None, /, *, follow: bool = False) -> None:
    """Print the latest lines of the logs.

    Parameters
    ----------
    name
        One of what `merkato status` lists; all when not given.
    follow
        Go on with new lines until Ctrl-C.

    """
    folder = Home(config.home()).logs
    files = sorted(folder.glob("*.log"))
    chosen = [file for file in files if name in {None, file.stem}]
    if not chosen:
        there = ", ".join(file.stem for file in files) or "none yet"
        raise CannotStart(f"There is no log {name or ''} in {folder}; there are: {there}.")
    width = max(len(file.stem) for file in chosen) if name is None else 0
    places = {file: _show_end(file, width) for file in chosen}
    try:
        while follow:
            time.sleep(0.2)
            places = {file: _show_from(file, place, width) for file, place in places.items()}
    except KeyboardInterrupt:
        return


def _show_end(file: Path, width: int) -> int:
    size = file.stat().st_size
    with file.open("rb") as handle:
        handle.seek(max(0, size - _TAIL_BYTES))
        content = handle.read(size)
    for line in content.decode(errors="replace").splitlines()[-_LINES:]:
        _print(file, line, width)
    return size


def _show_from(file: Path, place: int, width: int) -> int:
    """Print the whole lines after `place`, and give the place after them."""
    if not file.exists() or file.stat().st_size == place:
        return place
    if file.stat().st_size < place:  # begun anew
        place = 0
    with file.open("rb") as handle:
        handle.seek(place)
        content = handle.read()
    whole = content[: content.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        _print(file, line, width)
    return place + len(whole)


def _print(file: Path, line: str, width: int) -> None:
    print(f"{file.stem:<{width}} | {line}" if width else line, flush=True)
