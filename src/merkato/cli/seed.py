"""`merkato seed`: the demo shop's goods, put into the running shop over its own API."""

import asyncio
from uuid import UUID

from rich.console import Console
from rich.progress import Progress

from merkato.chassis.supervisor import CannotStart
from merkato.chassis.tokens import AUDIENCE, Tokens
from merkato.cli import places
from merkato.client import NoAnswer, Refused
from merkato.demo import seed as demo
from merkato.demo.seed import Counts

console = Console(highlight=False, soft_wrap=True)

_SEEDER = UUID("00000000-0000-8000-8000-000000000001")  # whom the shop's records will name
_TOKEN_S = 900


def seed(*, url: str | None = None) -> None:
    """Put the demo shop's goods into the running shop; a repeat makes what is missing only.

    Parameters
    ----------
    url
        The shop; the one that runs from MERKATO_HOME without.

    """
    url = url or places.front_door()
    keys = places.engines().secrets.signing
    token = Tokens("users", keys["users"], {}).sign(
        {"sub": str(_SEEDER), "role": "admin"}, audience=AUDIENCE, seconds=_TOKEN_S
    )
    try:
        made = asyncio.run(_seed(url, token))
    except (Refused, NoAnswer) as refusal:
        raise CannotStart(
            f"The demo shop is not complete ({refusal}); merkato seed goes on from there."
        ) from refusal
    console.print(
        f"Demo goods: {made.products_made} products made, {made.products_found} were there."
    )


async def _seed(url: str, token: str) -> Counts:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Putting the demo goods on the shelves …", total=None)
        return await demo.seed(
            url, token, lambda done, total: bar.update(task, completed=done, total=total)
        )
