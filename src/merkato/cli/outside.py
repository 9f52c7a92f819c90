"""`merkato outside`: the stand-ins for a card processor and for mail, as one process."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from merkato.outside import running
from merkato.outside.running import Outside


def outside(*, config_file: Annotated[Path, Parameter(name="--config")]) -> None:
    """Run the stand-ins until SIGTERM; `up` calls this in development.

    Parameters
    ----------
    config_file
        Their settings (JSON).

    """
    asyncio.run(running.serve(msgspec.json.decode(config_file.read_bytes(), type=Outside)))
