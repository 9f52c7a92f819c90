"""Statements that list and show messages."""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx

Place = tuple[datetime, UUID]

INBOX = """
select id, template, locale, data, created_at, read_at, erased_at from messages
 where customer_id = $1 and channel = 'inbox'
   and ($2::timestamptz is null or (created_at, id) < ($2, $3))
 order by created_at desc, id desc limit $4
"""


async def inbox(tx: Tx, user_id: UUID, after: Place | None, limit: int) -> list[Row]:
    """List a user's inbox, newest first, from after a place in it."""
    return await tx.fetch(INBOX, user_id, *(after or (None, None)), limit)


UNREAD = """
select count(*) from messages where customer_id = $1 and channel = 'inbox' and read_at is null
"""


async def unread(tx: Tx, user_id: UUID) -> int:
    """Count what a user has not read."""
    return int(await tx.fetchval(UNREAD, user_id))


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages staff look for; None: all."""

    state: str | None = None
    template: str | None = None
    channel: str | None = None
    kind: str | None = None
    recipient: str | None = None
    customer_id: UUID | None = None
    bounced: bool = False


# One statement per index that may serve what is looked for.
EVERY = """
select * from messages
 where true
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""
FAILED = """
select * from messages
 where failed_at is not null
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""
BOUNCED = """
select * from messages
 where bounced_at is not null
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""
TO = """
select * from messages
 where recipient = $8
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""
OF = """
select * from messages
 where customer_id = $8
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""
TO_AND_OF = """
select * from messages
 where recipient = $8 and customer_id = $9
   and ($1::text is null or state = $1) and ($2::text is null or template = $2)
   and ($3::text is null or channel = $3) and ($4::text is null or kind = $4)
   and ($5::timestamptz is null or (created_at, id) < ($5, $6))
 order by created_at desc, id desc limit $7
"""


async def find_all(tx: Tx, wanted: Wanted, after: Place | None, limit: int) -> list[Row]:
    """List messages, newest first, by the statement whose index serves what is wanted."""
    rest = (wanted.state, wanted.template, wanted.channel, wanted.kind)
    values = (*rest, *(after or (None, None)), limit)
    if wanted.recipient is not None and wanted.customer_id is not None:
        return await tx.fetch(TO_AND_OF, *values, wanted.recipient, wanted.customer_id)
    if wanted.recipient is not None:
        return await tx.fetch(TO, *values, wanted.recipient)
    if wanted.customer_id is not None:
        return await tx.fetch(OF, *values, wanted.customer_id)
    if wanted.bounced:
        return await tx.fetch(BOUNCED, *values)
    return await tx.fetch(FAILED if wanted.state == "failed" else EVERY, *values)


OF_PERSON = """
select id, channel, kind, template, locale, recipient, data, state, created_at, sent_at, read_at
  from messages
 where customer_id = $1 and erased_at is null
   and ($2::timestamptz is null or (created_at, id) > ($2, $3))
 order by created_at, id limit $4
"""


async def of_person(tx: Tx, user_id: UUID, after: Place | None, limit: int) -> list[Row]:
    """List all that a person was told, oldest first."""
    return await tx.fetch(OF_PERSON, user_id, *(after or (None, None)), limit)


FIND = "select * from messages where id = $1"


async def find(tx: Tx, id: UUID) -> Row | None:
    """Find a message."""
    return await tx.fetchrow(FIND, id)
