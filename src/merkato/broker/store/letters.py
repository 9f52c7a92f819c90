"""Dead letters of which was said already that they are there."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.contracts.letters import Letter

NOTE = """
insert into letters_noticed as n (service, event_id, died_at)
select $1, * from unnest($2::uuid[], $3::timestamptz[])
    on conflict (service, event_id) do update set died_at = excluded.died_at, noticed_at = now()
 where coalesce(n.died_at, n.noticed_at) < excluded.died_at
returning event_id
"""


async def note(tx: Tx, service: str, found: Sequence[Letter]) -> set[UUID]:
    """Note dead letters of a service; gives those that were not noticed before, or died again."""
    ordered = sorted(found, key=lambda one: one.event_id)
    ids, deaths = [one.event_id for one in ordered], [one.died_at for one in ordered]
    return {row["event_id"] for row in await tx.fetch(NOTE, service, ids, deaths)}


FORGET = """
delete from letters_noticed where ctid in (
    select ctid from letters_noticed where noticed_at < now() - interval '1 year' limit 5000)
"""


async def forget(tx: Tx) -> int:
    """Forget what was noticed a year ago."""
    return await tx.execute(FORGET)
