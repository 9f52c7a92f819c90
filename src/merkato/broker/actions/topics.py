"""Register topics of others, and publish to them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from merkato.broker.domain import topics
from merkato.broker.domain.cloudevents import CloudEvent
from merkato.broker.domain.topics import IncompatibleSchema
from merkato.broker.store import topics as store
from merkato.chassis.db import Row, Tx
from merkato.chassis.outbox import say
from merkato.contracts.broker import EventPublished
from merkato.contracts.problem import StateConflict


async def register(
    tx: Tx, name: str, version: int, description: str, schema: Mapping[str, Any], by: str
) -> bool:
    """Add a version of a topic, or change it compatibly. Tells whether it is new.

    Raises IncompatibleSchema with the differences, and StateConflict for a version out of turn.
    The same again changes nothing.
    """
    await store.lock(tx, name)
    versions = {row["version"]: row for row in await store.of(tx, name)}
    known = versions.get(version)
    if known is None:
        if version != len(versions) + 1:
            raise StateConflict(f"The next version of {name} is {len(versions) + 1}.")
        await store.insert(tx, name, version, description, schema, by)
        return True
    if found := topics.differences(known["schema"], schema):
        raise IncompatibleSchema(
            "Publishers or readers would break; register it as the next version.",
            differences=found[:100],
        )
    revised = int(not topics.alike(known["schema"], schema))
    if revised or known["description"] != description:
        await store.change(tx, name, version, description, schema, revised)
    return False


async def publish(
    tx: Tx, versions: Sequence[Row], events: Sequence[CloudEvent], now: datetime
) -> int:
    """Say events of others, in order, each of the version beside it. Gives how many were known."""
    new = await store.claim(tx, [(one.source, one.id) for one in events])
    duplicates = 0
    for topic, one in zip(versions, events, strict=True):
        if (one.source, one.id) not in new:
            duplicates += 1
            continue
        new.discard((one.source, one.id))
        said = EventPublished(
            topic=topic["name"],
            version=topic["version"],
            id=one.id,
            source=one.source,
            time=one.time or now,
            subject=one.subject,
            extensions=one.extensions,
            data=one.data,
            dataschema=one.dataschema,
        )
        say(tx, said)
    return duplicates
