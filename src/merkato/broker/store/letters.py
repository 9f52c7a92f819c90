"""Dead letters of which was said already that they are there."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx

NOTE = """
insert into letters_noticed (service, event_id) select $1, unnest($2::uuid[])
on conflict do nothing returning event_id
"""


async def note(tx: Tx, service: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Note dead letters of a service; gives those that were not noticed before."""
    return {row["event_id"] for row in await tx.fetch(NOTE, service, sorted(event_ids))}


FORGET = """
delete from letters_noticed where ctid in (
    select ctid from letters_noticed where noticed_at < now() - interval '1 year' limit 5000)
"""


async def forget(tx: Tx) -> int:
    """Forget what was noticed a year ago."""
    return await tx.execute(FORGET)
