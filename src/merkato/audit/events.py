"""E1 across databases: whatever was said and is heard by a service is in its inbox, once.

Events are compared by minute, as counts and sums over their ids; only minutes that differ are
looked at one by one. So the answer is exact and memory stays flat.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from merkato.audit.laws.events import HEARD, HEARD_IDS, SAID, SAID_IDS
from merkato.audit.result import Tally
from merkato.broker import handlers as broker
from merkato.catalog import handlers as catalog
from merkato.chassis.db import Tx
from merkato.chassis.ids import first_id
from merkato.contracts.event import Event
from merkato.contracts.users import AccessChanged, RoleChanged
from merkato.inventory import handlers as inventory
from merkato.notifications import handlers as notifications
from merkato.orders import handlers as orders
from merkato.payments import handlers as payments
from merkato.users import handlers as users

_HEARS: Mapping[str, Iterable[type[Event]]] = {
    "broker": broker.HEARS,
    "catalog": catalog.hears(0),
    "inventory": inventory.HEARS,
    "notifications": notifications.TOLD,
    "orders": orders.HEARS,
    "payments": payments.HEARS,
    "users": users.HEARS,
}
HEARD_WITHIN_S = 30.0  # as long as an event may wait to be published
KEPT = timedelta(days=6)  # the broker keeps events for 7 days: what is older cannot be heard now


async def check_heard(
    snapshots: Mapping[str, Tx], since: datetime | None, until: datetime, tally: Tally
) -> None:
    """Compare every inbox with the outboxes of the others, from `since` to `until`."""
    oldest = max(since or datetime.min.replace(tzinfo=UTC), until - KEPT)
    span = first_id(oldest), first_id(until)
    for name, heard in _HEARS.items():
        if name in snapshots:
            hears: list[type[Event]] = [AccessChanged, RoleChanged, *heard]
            types = sorted({event.type for event in hears})
            await _compare(snapshots, name, types, span, tally)


async def _compare(
    snapshots: Mapping[str, Tx],
    service: str,
    types: Sequence[str],
    span: tuple[UUID, UUID],
    tally: Tally,
) -> None:
    said: Counter[tuple[int, str]] = Counter()
    for speaker in {kind.partition(".")[0] for kind in types} & snapshots.keys():
        for row in await snapshots[speaker].fetch(SAID, *span, types):
            said[row["minute"], "n"] += row["n"]
            said[row["minute"], "sum"] += row["sum"]
    heard: Counter[tuple[int, str]] = Counter()
    for row in await snapshots[service].fetch(HEARD, *span):
        heard[row["minute"], "n"] += row["n"]
        heard[row["minute"], "sum"] += row["sum"]
    tally.checked += sum(n for (_, what), n in said.items() if what == "n")
    for minute in sorted({key[0] for key in said.keys() | heard.keys() if said[key] != heard[key]}):
        begin = datetime.fromtimestamp(minute * 60, UTC)
        low = max(span[0], first_id(begin))
        high = min(span[1], first_id(begin + timedelta(minutes=1)))
        await _name(snapshots, service, types, (low, high), tally)


async def _name(
    snapshots: Mapping[str, Tx],
    service: str,
    types: Sequence[str],
    span: tuple[UUID, UUID],
    tally: Tally,
) -> None:
    """Name the events of a short span that were not heard."""
    heard = {row["id"] for row in await snapshots[service].fetch(HEARD_IDS, *span)}
    for speaker in {kind.partition(".")[0] for kind in types} & snapshots.keys():
        for row in await snapshots[speaker].fetch(SAID_IDS, *span, types):
            if row["id"] not in heard:
                tally.blame(str(row["id"]), f"{row['type']} was not heard by {service}")
