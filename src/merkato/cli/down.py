"""`merkato down`: stops a running shop."""

import asyncio

from merkato import config
from merkato.chassis import supervisor
from merkato.chassis.engines.home import Home
from merkato.chassis.supervisor import CannotStart


def down() -> None:
    """Stop the shop; its data stay. A repeat is harmless."""
    home = Home(config.home())
    try:
        stopped = asyncio.run(supervisor.stop(home.run))
    except TimeoutError as error:
        raise CannotStart(f"The shop does not stop: {error}; see {home.logs}.") from error
    print(f"Stopped; the data stay in {home.path}" if stopped else f"Nothing runs in {home.path}")
