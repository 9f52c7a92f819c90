"""Statements that queue messages, send them and forget them."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.notifications.domain.facts import Seen
from merkato.notifications.domain.messages import GIVE_UP_AFTER, Message, Notice

LEASE = timedelta(seconds=40)  # of a claimed mail, which a crash delays; see jobs.DEADLINE_S

REMEMBER = """
insert into orders_seen (order_id, number, customer_id, locale, currency, grand_minor, email, name,
                         phone)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                     $7::text[], $8::text[], $9::text[])
    on conflict (order_id) do nothing
"""


async def remember(tx: Tx, orders: Sequence[Seen]) -> None:
    """Note whom to tell about orders; what is known already stays."""
    await tx.execute(
        REMEMBER,
        [order.order_id for order in orders],
        [order.number for order in orders],
        [order.customer_id for order in orders],
        [order.locale for order in orders],
        [order.currency for order in orders],
        [order.grand_minor for order in orders],
        [order.email for order in orders],
        [order.name for order in orders],
        [order.phone for order in orders],
    )


SEEN = """
select order_id, number, customer_id, locale, currency, grand_minor, email, name, phone
  from orders_seen where order_id = any($1)
"""


async def seen(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Seen]:
    """Find orders by id; those never heard of are missing."""
    rows = await tx.fetch(SEEN, order_ids)
    return {row["order_id"]: Seen(**dict(row)) for row in rows}


INSERT = """
with given as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                         $7::text[], $8::uuid[], $9::text[])
        n(id, channel, kind, fact, template, locale, recipient, customer_id, data)
     order by id
), added as (
    insert into messages (id, channel, kind, fact, template, locale, recipient, customer_id, data,
                          state, sent_at)
    select id, channel, kind, fact, template, locale, recipient, customer_id, data::jsonb,
           case channel when 'inbox' then 'sent' else 'queued' end,
           case channel when 'inbox' then now() end
      from given
        on conflict (id) do nothing returning id, channel, state
)
insert into due (message_id, channel) select id, channel from added where state = 'queued'
"""


async def insert(tx: Tx, messages: Sequence[tuple[UUID, Notice]]) -> int:
    """Add messages, each once; those for an inbox lie there at once. Gives those now due."""
    notices = [notice for _, notice in messages]
    return await tx.execute(
        INSERT,
        [id for id, _ in messages],
        [notice.channel for notice in notices],
        [notice.kind for notice in notices],
        [notice.fact for notice in notices],
        [notice.template for notice in notices],
        [notice.locale for notice in notices],
        [notice.recipient for notice in notices],
        [notice.customer_id for notice in notices],
        [msgspec.json.encode(notice.data).decode() for notice in notices],
    )


CLAIM = """
with picked as (
    select message_id from due where channel = $4 and due_at <= clock_timestamp()
     order by due_at limit $1 for update skip locked
), leased as (
    update due set due_at = clock_timestamp() + $2, tries = due.tries + 1
      from picked where due.message_id = picked.message_id
    returning due.message_id, due.tries, due.since
)
select m.id, m.channel, m.kind, m.fact, m.template, m.locale, m.recipient, m.customer_id, m.data,
       m.edition, leased.tries, leased.since < clock_timestamp() - $3::interval as last_try
  from leased join messages m on m.id = leased.message_id
"""


async def claim(tx: Tx, channel: str, limit: int) -> list[Message]:
    """Lease messages that are due, longest waiting first; nobody else gets them within LEASE."""
    rows = await tx.fetch(CLAIM, limit, LEASE, GIVE_UP_AFTER, channel)
    return [Message(**dict(row)) for row in rows]


LOCK = """
select id from messages where id = any($1) and state = 'queued' order by id for no key update
"""


async def lock_queued(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Lock those messages that are queued, in the order of their ids."""
    return {row["id"] for row in await tx.fetch(LOCK, ids)}


SENT = """
with done as (
    update messages m set state = 'sent', sent_at = clock_timestamp(), tries = t.tries
      from unnest($1::uuid[], $2::int[]) t(id, tries) where m.id = t.id returning m.id
)
delete from due where message_id in (select id from done)
"""


async def mark_sent(tx: Tx, messages: Sequence[Message]) -> None:
    """Note that the mail server took locked messages."""
    await tx.execute(SENT, [one.id for one in messages], [one.tries for one in messages])


FAILED = """
with done as (
    update messages m
       set state = 'failed', failed_at = clock_timestamp(), tries = t.tries, reason = t.reason
      from unnest($1::uuid[], $2::int[], $3::text[]) t(id, tries, reason) where m.id = t.id
    returning m.id
)
delete from due where message_id in (select id from done)
"""


async def mark_failed(tx: Tx, messages: Sequence[Message], reasons: Sequence[str]) -> None:
    """Note that locked messages are given up, and why."""
    ids, tries = [one.id for one in messages], [one.tries for one in messages]
    await tx.execute(FAILED, ids, tries, reasons)


POSTPONE = """
update due set due_at = clock_timestamp() + make_interval(secs => t.pause_s),
               tries = greatest(due.tries - t.untried, 0)
  from unnest($1::uuid[], $2::int[], $3::int[]) t(id, pause_s, untried) where due.message_id = t.id
"""


async def postpone(tx: Tx, waits: Sequence[tuple[UUID, int, bool]]) -> None:
    """End the lease of locked messages: (id, seconds until the next try, whether it was tried)."""
    ids, pauses = [id for id, _, _ in waits], [pause for _, pause, _ in waits]
    await tx.execute(POSTPONE, ids, pauses, [int(not tried) for _, _, tried in waits])


ERASE_ORDERS = """
update orders_seen set email = null, name = null, phone = null
 where customer_id = any($1) or order_id = any($2) returning order_id
"""


async def erase_orders(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[UUID]:
    """Forget how to reach people about their orders; gives these orders."""
    rows = await tx.fetch(ERASE_ORDERS, list(users), list(orders))
    return [row["order_id"] for row in rows]


LOCK_OF_PEOPLE = """
select id, channel, template, state from messages
 where customer_id = any($1)
    or id in (select m.id from orders_seen s join messages m on m.recipient = s.email
               where s.order_id = any($2) and m.data ->> 'order_id' = s.order_id::text)
    or id in (select m.id from orders_seen s join messages m on m.recipient = s.email
               where s.customer_id = any($1) and m.customer_id is null
                 and m.template = 'message')
 order by id for no key update
"""


async def lock_of_people(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[Row]:
    """Lock all messages that concern users, or went to the buyers of orders, by id.

    What staff wrote to an address by hand goes with the user who orders under it.
    """
    return await tx.fetch(LOCK_OF_PEOPLE, list(users), list(orders))


ERASE = """
with unsent as (delete from due where message_id = any($1) returning message_id)
update messages m
   set recipient = 'erased:' || m.id, data = '{}', erased_at = coalesce(erased_at, now()),
       state = case state when 'queued' then 'failed' else state end,
       failed_at = case state when 'queued' then now() else failed_at end, bounce = null,
       reason = case state when 'queued' then 'erased' else reason end
 where id = any($1)
"""


async def erase(tx: Tx, ids: Sequence[UUID]) -> None:
    """Blank locked messages: whom they went to and what they said. What was due is given up."""
    await tx.execute(ERASE, ids)


FIND = "select * from messages where id = $1"


async def find(tx: Tx, id: UUID) -> Row | None:
    """Find a message."""
    return await tx.fetchrow(FIND, id)


UNSENT = """
update messages set state = 'failed', failed_at = now(), sent_at = null, reason = $2
 where id = $1 and state <> 'failed' returning *
"""


async def give_up(tx: Tx, id: UUID, reason: str) -> Row | None:
    """Note that a new message will not be sent, and why."""
    return await tx.fetchrow(UNSENT, id, reason)


UNSENT_DUE = "delete from due where message_id = $1"


async def no_longer_due(tx: Tx, id: UUID) -> None:
    """Take a message that was given up out of the queue."""
    await tx.execute(UNSENT_DUE, id)


READ = """
update messages set read_at = coalesce(read_at, now())
 where id = $1 and customer_id = $2 and channel = 'inbox' returning *
"""


async def mark_read(tx: Tx, id: UUID, user_id: UUID) -> Row | None:
    """Note that a user has read a message of the own inbox; the first time counts."""
    return await tx.fetchrow(READ, id, user_id)


LOCK_ONE = "select * from messages where id = $1 for no key update"


async def lock(tx: Tx, id: UUID) -> Row | None:
    """Lock a message."""
    return await tx.fetchrow(LOCK_ONE, id)


QUEUE_AGAIN = """
update messages
   set edition = edition + (state = 'sent')::int, state = 'queued', sent_at = null,
       failed_at = null, reason = null
 where id = $1 returning *
"""


async def queue_again(tx: Tx, id: UUID) -> Row:
    """Take a locked message back into the queue; one that was sent gets a new edition."""
    return await tx.fetchrow(QUEUE_AGAIN, id)


DUE_NOW = """
insert into due (message_id, channel) values ($1, $2)
    on conflict (message_id) do nothing
"""


async def make_due(tx: Tx, id: UUID, channel: str) -> None:
    """Have a queued message sent now."""
    await tx.execute(DUE_NOW, id, channel)
