"""What endpoints and deliveries can be asked to become."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.broker.actions.log import FAN_OUT
from merkato.broker.domain import webhooks
from merkato.broker.domain.webhooks import Verdict
from merkato.broker.store import deliveries as delivery_store
from merkato.broker.store import log
from merkato.broker.store import webhooks as store
from merkato.chassis import trail
from merkato.chassis.db import Row, Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.vault import Vault
from merkato.contracts.broker import SubscriptionDisabled
from merkato.contracts.problem import NotFound, PreconditionFailed, StateConflict

WEBHOOKS = "webhooks"  # the bell of the job that sends
SECRET_BYTES = 32
AGAIN_MAX = 10_000  # deliveries sent again by one request
NOTED = ("url", "description", "topics", "ordered", "state")  # of an endpoint, in the trail


async def subscribe(
    tx: Tx,
    vault: Vault,
    caller: Caller,
    *,
    url: str,
    description: str,
    topics: Sequence[str],
    ordered: bool,
    position: int | None,
) -> tuple[Row, str]:
    """Add an endpoint that is owed all behind `position`, or what comes. Gives it and its secret.

    Raises StateConflict when there are too many.
    """
    secret = secrets.token_bytes(SECRET_BYTES)
    begin = await log.head(tx) if position is None else position
    row = await store.insert(
        tx, new_id(), url, description, topics, ordered, vault.seal(secret), begin, caller.principal
    )
    if row is None:
        raise StateConflict(f"A shop has at most {store.MOST} webhooks.")
    trail.note(tx, caller, "broker.webhook_created", f"webhook:{row['id']}", after=_noted(row))
    tx.wake(FAN_OUT)
    return row, webhooks.shown(secret)


def _noted(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in NOTED}


async def change(
    tx: Tx, caller: Caller, id: UUID, wanted: Mapping[str, Any], version: int | None
) -> Row:
    """Change an endpoint. One that was disabled is owed only what comes from now on.

    Raises NotFound and PreconditionFailed.
    """
    before = await _locked(tx, id)
    if version is not None and version != before["version"]:
        raise PreconditionFailed("It was changed meanwhile; read it again.")
    after = {**_noted(before), **wanted}
    position, began = before["position"], before["began"]
    if after["topics"] != before["topics"]:
        began = position  # of what was before, nothing more is owed
    if before["state"] == "disabled":
        if after["state"] == "disabled":
            raise StateConflict("It is disabled; set its state to active, or delete it.")
        position = began = await log.head(tx)
    row = await store.change(tx, id, **after, position=position, began=began)
    trail.note(tx, caller, "broker.webhook_changed", f"webhook:{id}", _noted(before), _noted(row))
    tx.wake(FAN_OUT)
    tx.wake(WEBHOOKS)
    return row


async def _locked(tx: Tx, id: UUID) -> Row:
    row = await store.lock(tx, id)
    if row is None:
        raise NotFound("There is no such webhook.")
    return row


async def delete(tx: Tx, caller: Caller, id: UUID) -> None:
    """Remove an endpoint and its deliveries. Raises NotFound."""
    row = await _locked(tx, id)
    await store.delete(tx, id)
    trail.note(tx, caller, "broker.webhook_deleted", f"webhook:{id}", before=_noted(row))


async def rotate(tx: Tx, vault: Vault, caller: Caller, id: UUID, overlap_s: int) -> tuple[Row, str]:
    """Give an endpoint a new secret; both sign for `overlap_s`, with 0 only the new one.

    Raises NotFound, and StateConflict when too many sign already.
    """
    await _locked(tx, id)
    secret = secrets.token_bytes(SECRET_BYTES)
    row = await store.rotate(tx, id, vault.seal(secret), overlap_s, webhooks.SECRETS_MAX)
    if row is None:
        raise StateConflict(
            f"{webhooks.SECRETS_MAX} secrets sign already; wait until one ends, or end all of them"
            " with an overlap_s of 0."
        )
    after = {"overlap_s": overlap_s}
    trail.note(tx, caller, "broker.webhook_secret_rotated", f"webhook:{id}", after=after)
    return row, webhooks.shown(secret)


async def _enabled(tx: Tx, id: UUID) -> None:
    """Lock an endpoint that may be sent to again. Raises NotFound, StateConflict."""
    row = await _locked(tx, id)
    if row["state"] == "disabled":
        raise StateConflict("It is disabled; set its state to active first.")


async def replay(tx: Tx, caller: Caller, id: UUID, position: int) -> None:
    """Send an endpoint all it wants behind a position again. Raises NotFound, StateConflict."""
    await _enabled(tx, id)
    await store.rewind(tx, id, position)
    trail.note(tx, caller, "broker.webhook_replayed", f"webhook:{id}", after={"after": position})
    tx.wake(FAN_OUT)


async def ping(tx: Tx, caller: Caller, id: UUID) -> UUID:
    """Queue a ping to an endpoint. Gives the delivery. Raises NotFound."""
    await _locked(tx, id)
    event_id = new_id()
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/merkato/broker",
        "type": "broker.ping.v1",
        "time": datetime.now(UTC),
        "subject": id,
        "datacontenttype": "application/json",
        "data": {"subscription_id": id},
    }
    body = msgspec.json.encode(event).decode()
    made = await delivery_store.ping(tx, id, event_id, "broker.ping.v1", body)
    tx.wake(WEBHOOKS)
    return made


async def redeliver(tx: Tx, caller: Caller, id: UUID) -> None:
    """Send one delivery again, under its old id. Raises NotFound, StateConflict."""
    found = await delivery_store.find(tx, id)
    if found is None:
        raise NotFound("There is no such delivery.")
    await _enabled(tx, found["subscription_id"])
    await delivery_store.again(tx, id)
    trail.note(tx, caller, "broker.delivery_repeated", f"delivery:{id}")
    tx.wake(WEBHOOKS)


async def redeliver_all(
    tx: Tx, caller: Caller, id: UUID, state: str | None, since: int | None, until: int | None
) -> int:
    """Send deliveries of an endpoint again: those that failed, or of a span. Gives how many.

    Raises NotFound, StateConflict.
    """
    await _enabled(tx, id)
    count = await delivery_store.all_again(tx, id, state, since, until, AGAIN_MAX)
    after = {"state": state, "count": count}
    trail.note(tx, caller, "broker.deliveries_repeated", f"webhook:{id}", after=after)
    tx.wake(WEBHOOKS)
    return count


async def settle(tx: Tx, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Write down tries, how their endpoints fared, and disable those that are gone or failing."""
    delivered = {one.outgoing.subscription_id for one in verdicts if one.delivered}
    failing_now = {one.outgoing.subscription_id for one in verdicts if not one.delivered}
    failures = await store.lock_unwell(tx, sorted(failing_now), sorted(delivered))
    await delivery_store.settle(tx, verdicts)
    well, failed, alone = [], [], []
    known = sorted(failures)
    for id in known:
        own = [one for one in verdicts if one.outgoing.subscription_id == id]
        failing = sum(not one.delivered for one in own)
        asked = max((one.answer.retry_after_s or 0 for one in own), default=0)
        well.append(any(one.delivered for one in own))
        failed.append(failing)
        alone.append(max(webhooks.break_s(failures[id] + failing), asked))
    rows = await store.fared(tx, known, well, failed, alone)
    gone = {one.outgoing.subscription_id for one in verdicts if one.answer.status == webhooks.GONE}
    for row in rows:
        since = row["failing_since"]
        if row["id"] in gone:
            await disable(tx, row["id"], "gone")
        elif since is not None and now - since > webhooks.FAILING_MAX:
            await disable(tx, row["id"], "failing")


async def disable(tx: Tx, id: UUID, reason: str) -> None:
    """Send nothing more to a locked endpoint, and say so."""
    if await store.disable(tx, id, reason):
        say(tx, SubscriptionDisabled(subscription_id=id, reason=reason))
