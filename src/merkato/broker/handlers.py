"""What the broker does on hearing events: append what may be seen to the log."""

from collections.abc import Sequence
from typing import Any

from merkato.broker.actions import log
from merkato.broker.domain import projection, topics
from merkato.broker.store.log import Entry
from merkato.chassis import forgetting
from merkato.chassis.db import Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.broker import DeadLetterAppeared, EventPublished, SubscriptionDisabled
from merkato.contracts.orders import OrderErased
from merkato.contracts.users import UserErased


async def on_public(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """Append a batch to the log, in the order it was heard."""
    await log.append(tx, [_entry(one) for one in heard])


def _entry(one: Heard[Any]) -> Entry:
    event = one.event
    if isinstance(event, EventPublished):
        type_ = topics.type_of(event.topic, event.version)
        key = event.subject or event.source
        return Entry(one.id, type_, key, projection.published(event))
    return Entry(one.id, event.type, one.key, projection.shown(one.message))


PUBLIC: Hears = dict.fromkeys((*projection.PUBLIC.values(), EventPublished), on_public)


async def on_erased(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
    """Append it, and blank what was set aside about the person; the log has nothing of them."""
    await on_public(tx, heard)
    await _FORGET(tx, heard)


SAYS = (EventPublished, SubscriptionDisabled, DeadLetterAppeared)
_FORGET = forgetting.hears(forgetting.nothing, SAYS, tuple(PUBLIC))[UserErased]
HEARS: Hears = {**PUBLIC, UserErased: on_erased, OrderErased: on_erased}
