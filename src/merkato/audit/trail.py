"""T1 across databases: whatever a service noted stands in the trail, word for word.

A service's own outbox keeps what it noted, in a database that whoever keeps the trail cannot write.
"""

from collections.abc import Mapping
from datetime import datetime

from merkato.audit.laws.trail import MISSING
from merkato.audit.laws.trail import NOTED as NOTED_SQL
from merkato.audit.reading import Stream
from merkato.audit.result import Tally
from merkato.chassis.db import Tx
from merkato.contracts.trail import NOTED


async def check_noted(snapshots: Mapping[str, Tx], until: datetime, tally: Tally) -> None:
    """Compare every outbox with the trail; what was said after `until` may still be under way."""
    if "users" not in snapshots:
        tally.notes.append("not checked: users has no tables")
        return
    for service in sorted(NOTED.keys() & snapshots.keys()):
        noted = Stream(snapshots[service], "audit_noted", NOTED_SQL, NOTED[service].type, until)
        await noted.refill()
        while noted.rows:
            piece = noted.take(None)
            sums = [row["sum"] for row in piece.values()]
            tally.checked += len(piece)
            for row in await snapshots["users"].fetch(MISSING, list(piece), sums):
                wrong = "has other words in the trail" if row["differs"] else "is not in the trail"
                tally.blame(row["id"], f"what {service} noted {wrong}")
            await noted.refill()
