"""Topics of others, and which of their events were published already."""

from collections.abc import Mapping, Sequence
from typing import Any

from merkato.chassis.db import Row, Tx

ALL = """
select name, version, description, schema, revision, registered_by from topics
 order by name, version
"""


async def every(tx: Tx) -> list[Row]:
    """List all versions of all topics."""
    return await tx.fetch(ALL)


OF = """
select name, version, description, schema, revision, registered_by from topics
 where name = $1 order by version
"""


async def of(tx: Tx, name: str) -> list[Row]:
    """List the versions of a topic; none when there is no such topic."""
    return await tx.fetch(OF, name)


LOCK = "select pg_advisory_xact_lock(hashtextextended('topic ' || $1, 0))"


async def lock(tx: Tx, name: str) -> None:
    """Wait until nobody else changes the topic, which may not be there yet."""
    await tx.execute(LOCK, name)


INSERT = """
insert into topics (name, version, description, schema, registered_by) values ($1, $2, $3, $4, $5)
"""


async def insert(
    tx: Tx, name: str, version: int, description: str, schema: Mapping[str, Any], by: str
) -> None:
    """Add a version of a topic."""
    await tx.execute(INSERT, name, version, description, schema, by)


CHANGE = """
update topics set description = $3, schema = $4, revision = revision + $5, changed_at = now()
 where name = $1 and version = $2
"""


async def change(
    tx: Tx, name: str, version: int, description: str, schema: Mapping[str, Any], revised: int
) -> None:
    """Give a version of a topic other words, and with `revised` 1 another schema."""
    await tx.execute(CHANGE, name, version, description, schema, revised)


CLAIM = """
insert into published (source, id) select * from unnest($1::text[], $2::text[])
on conflict do nothing returning source, id
"""


async def claim(tx: Tx, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Note that events are published now; gives those that never were."""
    ordered = sorted(set(pairs))
    rows = await tx.fetch(CLAIM, [source for source, _ in ordered], [id for _, id in ordered])
    return {(row["source"], row["id"]) for row in rows}


FORGET = """
delete from published where ctid in (
    select ctid from published where published_at < now() - make_interval(days => $1) limit 5000)
"""


async def forget(tx: Tx, days: int) -> int:
    """Forget what was published so long ago."""
    return await tx.execute(FORGET, days)
