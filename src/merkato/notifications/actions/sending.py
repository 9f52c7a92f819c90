"""Messages that staff, programs or other services have us send."""

from uuid import UUID

from merkato.chassis.db import Row, Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.notifications.actions import messages
from merkato.notifications.domain.messages import Notice
from merkato.notifications.domain.preferences import wants
from merkato.notifications.store import lists, preferences, suppressed
from merkato.notifications.store import messages as store


async def send(tx: Tx, caller: Caller, notice: Notice) -> Row:
    """Queue a message and give it; one that was queued before is given as it is.

    What its recipient does not want, or what promotes and goes to an address that bounced, is kept
    as failed, with the reason, and not sent.
    """
    id = messages.id_of(notice)
    known = await lists.find(tx, id)
    if known is not None:
        return known
    await messages.tell(tx, [notice])
    if caller.kind != "service":
        told = {name: getattr(notice, name) for name in ("channel", "kind", "template")}
        note(tx, caller, "notifications.message_sent", f"notification:{id}", after=told)
    why = await _obstacle(tx, notice)
    if why is not None:
        await _give_up(tx, id, why)
    row = await lists.find(tx, id)
    assert row is not None, "queued just now"
    return row


async def _obstacle(tx: Tx, notice: Notice) -> str | None:
    if notice.customer_id is not None:
        _, choices = await preferences.read(tx, notice.customer_id)
        if not wants(choices, notice.kind, notice.channel):
            return "not wanted"
    promotes = notice.kind == "marketing"
    if (
        promotes
        and notice.channel == "email"
        and await suppressed.is_suppressed(tx, notice.recipient)
    ):
        return "suppressed: mail to this address came back"
    return None


async def _give_up(tx: Tx, id: UUID, why: str) -> None:
    await store.give_up(tx, id, why)
    await store.no_longer_due(tx, id)
