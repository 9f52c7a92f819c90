"""Mails that came back: noted at the message; an address that is no more is suppressed."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound
from merkato.contracts.values import VISIBLE
from merkato.notifications.domain.messages import Message, Verdict, message_id, of_message_id
from merkato.notifications.store import suppressed as store


async def lift(tx: Tx, caller: Caller, id: UUID) -> None:
    """Let an address have everything again. Raises NotFound."""
    if not await store.lift(tx, id):
        raise NotFound("There is no such suppression.")
    note(tx, caller, "notifications.suppression_lifted", f"suppression:{id}")


class Bounce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail came back: for good (`hard`), for now (`soft`), or its reader wants no more of it."""

    message_id: Annotated[str, msgspec.Meta(min_length=5, max_length=998)]  # as we sent it
    type: Literal["hard", "soft", "complaint"]
    reason: Annotated[str, msgspec.Meta(max_length=200, pattern=VISIBLE)] = "unknown"


async def refused(tx: Tx, verdicts: Sequence[Verdict]) -> None:
    """Note that mail servers refused locked messages at their addresses, and suppress these."""
    for one in verdicts:
        await store.note_bounce(tx, one.message.id, one.reason)
    if verdicts:
        rows = [(new_id(), one.message.recipient, one.reason, one.message.id) for one in verdicts]
        await store.suppress(tx, rows)


async def take(tx: Tx, told: Sequence[Bounce], domain: str) -> int:
    """Note bounces of our mails; others' are passed over. Gives how many were ours.

    Telling the same again is harmless.
    """
    known = 0
    for bounce in told:
        found = of_message_id(bounce.message_id)
        rows = await store.between(tx, found[1], found[2]) if found else []
        for row in rows:
            first = msgspec.structs.replace(Message(**dict(row)), edition=1)
            if found and message_id(first, domain) == found[0]:
                known += await _note(tx, first.id, bounce)
    return known


async def _note(tx: Tx, id: UUID, bounce: Bounce) -> bool:
    why = f"{bounce.type}: {bounce.reason}"
    address = await store.note_bounce(tx, id, why)
    if address is not None and bounce.type != "soft":
        await store.suppress(tx, [(new_id(), address, why, id)])
    return address is not None
