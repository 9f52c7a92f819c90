"""Queueing messages, writing down what became of them, sending again, forgetting."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Row, Tx
from merkato.chassis.ids import derived_id
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.contracts.problem import NotFound, StateConflict
from merkato.notifications.actions import bounces
from merkato.notifications.domain.messages import Notice, State, Verdict, pause_s
from merkato.notifications.domain.preferences import TELEPHONE
from merkato.notifications.store import messages as store
from merkato.notifications.store import preferences, suppressed

MAIL = "mail"  # the job that sends mails …
GATEWAYS = "gateways"  # … and the one for telephones


def id_of(notice: Notice) -> UUID:
    """Derive a message's id, so that a fact is told to somebody in one message only."""
    identity = f"{notice.fact}\0{notice.template}\0{notice.recipient}"
    return derived_id(hashlib.sha256(identity.encode()).digest())


async def tell(tx: Tx, notices: Sequence[Notice]) -> None:
    """Queue messages. What was queued before is left as it is."""
    messages = {id_of(notice): notice for notice in notices}
    if messages and await store.insert(tx, list(messages.items())):
        tx.wake(MAIL)
        if any(notice.channel in TELEPHONE for notice in notices):
            tx.wake(GATEWAYS)


async def settle(tx: Tx, verdicts: Sequence[Verdict]) -> None:
    """Write down what became of claimed messages, in six statements at most, and say it."""
    queued = await store.lock_queued(tx, [one.message.id for one in verdicts])
    open_ = [one for one in verdicts if one.message.id in queued]
    sent = [one.message for one in open_ if one.sent]
    failed = [one for one in open_ if one.failed]
    waiting = [one for one in open_ if not one.sent and not one.failed]
    if sent:
        await store.mark_sent(tx, sent)
    if failed:
        reasons = [one.reason for one in failed]
        await store.mark_failed(tx, [one.message for one in failed], reasons)
        await bounces.refused(tx, [one for one in failed if one.bounced])
    if waiting:
        waits = [(one.message.id, _wait_s(one), one.tried) for one in waiting]
        await store.postpone(tx, waits)
    for message in sent:
        id, channel, template = message.id, message.channel, message.template
        say(tx, NotificationSent(notification_id=id, channel=channel, template=template))
    for one in failed:
        message = one.message
        _say_failed(tx, message.id, message.channel, message.template, one.reason)


def _wait_s(one: Verdict) -> int:
    if not one.tried:
        return 0
    return max(pause_s(one.message.tries), one.wait_s or 0)


def _say_failed(tx: Tx, id: UUID, channel: str, template: str, reason: str) -> None:
    said = NotificationFailed(notification_id=id, channel=channel, template=template, reason=reason)
    say(tx, said)


async def forget(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[UUID]:
    """Forget whom messages went to and what they said; see chassis.forgetting.

    By order, the messages about it that went to its buyer's address.
    """
    rows = await store.lock_of_people(tx, users, orders)
    await suppressed.forget(tx, [row["id"] for row in rows])
    await preferences.forget(tx, users)
    await store.erase(tx, [row["id"] for row in rows])
    order_ids = await store.erase_orders(tx, users, orders)
    for row in rows:
        if row["state"] == State.QUEUED:
            _say_failed(tx, row["id"], row["channel"], row["template"], "erased")
    return [*order_ids, *(row["id"] for row in rows)]


async def read(tx: Tx, id: UUID, user_id: UUID) -> Row:
    """Mark a message of the user's own inbox as read. Raises NotFound."""
    row = await store.mark_read(tx, id, user_id)
    if row is None:
        raise NotFound("There is no such message in your inbox.")
    return row


async def resend(tx: Tx, caller: Caller, id: UUID) -> Row:
    """Have a message sent (again). Raises NotFound and StateConflict.

    One that waits or is being sent is left to it. One that was sent gets a new Message-ID, for mail
    servers drop what they know.
    """
    row = await store.lock(tx, id)
    if row is None:
        raise NotFound("There is no such message.")
    if row["channel"] == "inbox":
        raise StateConflict("What lies in an inbox needs not be sent again.")
    if row["erased_at"] is not None:
        raise StateConflict("This message was erased with its recipient.")
    if row["state"] == State.QUEUED:
        return row
    row = await store.queue_again(tx, id)
    note(tx, caller, "notifications.message_sent_again", f"notification:{id}")
    await store.make_due(tx, id, row["channel"])
    tx.wake(GATEWAYS if row["channel"] in TELEPHONE else MAIL)
    return row
