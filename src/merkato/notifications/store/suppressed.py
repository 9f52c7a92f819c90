"""Statements over addresses that mail does not reach."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from merkato.chassis.db import Row, Tx

SUPPRESS = """
insert into suppressed (id, address, reason, message_id)
select distinct on (address) id, address, reason, message_id
  from (select id, lower(address) as address, reason, message_id
          from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
               n(id, address, reason, message_id)) n
 order by address
    on conflict (address) do nothing
"""


async def suppress(tx: Tx, bounced: Sequence[tuple[UUID, str, str, UUID]]) -> None:
    """Note addresses that refused mail: (new id, address, reason, message); the first stays."""
    columns = [list(column) for column in zip(*bounced, strict=True)]
    await tx.execute(SUPPRESS, *columns)


IS_SUPPRESSED = "select exists (select from suppressed where address = lower($1))"


async def is_suppressed(tx: Tx, address: str) -> bool:
    """Tell whether an address gets only what it must."""
    return bool(await tx.fetchval(IS_SUPPRESSED, address))


LIST = """
select id, address, reason, message_id, since from suppressed
 where ($1::text is null or address = lower($1))
   and ($2::timestamptz is null or (since, id) < ($2, $3))
 order by since desc, id desc limit $4
"""


async def page(
    tx: Tx, address: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """List suppressed addresses, newest first."""
    return await tx.fetch(LIST, address, *(after or (None, None)), limit)


LIFT = "delete from suppressed where id = $1 returning id"


async def lift(tx: Tx, id: UUID) -> bool:
    """Let an address have everything again; False when it was not suppressed."""
    return await tx.fetchval(LIFT, id) is not None


FORGET = """
delete from suppressed s using messages m
 where m.id = any($1) and s.address = lower(m.recipient)
"""


async def forget(tx: Tx, messages: Sequence[UUID]) -> None:
    """Forget the addresses to which messages went; before the messages are."""
    await tx.execute(FORGET, list(messages))


BOUNCED = """
update messages set bounced_at = coalesce(bounced_at, now()), bounce = $2
 where id = $1 and erased_at is null returning recipient
"""


async def note_bounce(tx: Tx, message_id: UUID, bounce: str) -> str | None:
    """Note that a message came back, the first time counts; gives where it had gone."""
    recipient: str | None = await tx.fetchval(BOUNCED, message_id, bounce)
    return recipient


BETWEEN = """
select id, channel, fact, template, locale, recipient, customer_id, data, edition from messages
 where id between $1 and $2 and channel = 'email'
"""


async def between(tx: Tx, first: UUID, last: UUID) -> list[Row]:
    """List the mails whose ids lie in a range."""
    return await tx.fetch(BETWEEN, first, last)
