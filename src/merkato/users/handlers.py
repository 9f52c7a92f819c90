"""What users does on hearing: it keeps the audit trail of all services."""

from collections.abc import Sequence

from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.trail import NOTED, ActionNoted
from merkato.users.domain.trail import chained
from merkato.users.store import trail as store


async def on_noted(tx: Tx, heard: Sequence[Heard[ActionNoted]]) -> None:
    """Append what was done anywhere to the trail, in the order in which it was heard."""
    n, last_hash = await store.lock_head(tx)
    await store.add(tx, chained(n, last_hash, [one.event for one in heard]))


HEARS: Hears = {kind: on_noted for kind in NOTED.values()}
