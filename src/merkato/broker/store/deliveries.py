"""Deliveries: what is due, what became of it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from merkato.broker.domain.webhooks import Outgoing, Verdict
from merkato.chassis.db import Row, Tx

LEASE = timedelta(seconds=30)  # of a try that has begun; above what one may take

# Pings, and what is urgent, have an index of their own: of an endpoint that is held back or paused
# nothing else is looked at.
READY = """
select s.id, s.url, s.ordered, s.failures,
       case when s.old_secret is null then array[s.secret]
            else array(select o.secret
                         from unnest(array[s.secret, s.old_secret] || s.older_secrets,
                                     array['infinity', s.old_secret_until] || s.older_until)
                              o(secret, until)
                        where o.until > now()) end as secrets
  from subscriptions s
 where case when s.state = 'active'
             and (s.open_until is null or s.open_until <= clock_timestamp())
            then exists (select from deliveries d where d.subscription_id = s.id
                            and d.state = 'pending' and d.due_at <= clock_timestamp())
            else exists (select from deliveries d where d.subscription_id = s.id
                            and d.state = 'pending' and d.due_at <= clock_timestamp()
                            and (d.urgent or d.position < 0)
                            and (s.state = 'active' or d.position < 0)) end
"""


async def ready(tx: Tx) -> list[Row]:
    """List endpoints to which something is due.

    To one that is left alone only what people asked for is due, to one that is not active only a
    ping; the rest waits.
    """
    return await tx.fetch(READY)


# What is written about deliveries does not wait for the disk: lost in a crash of the database, they
# are made, tried and settled once more, under the same ids. For an ordered endpoint a claim does
# wait, and with it all before it: what was sent is on disk before the next of its key is.
# A try whose end nobody saw, its process having died, is begun again; it makes no pause longer.
CLAIM = """
with chosen as (
    select d.id from unnest($1::uuid[], $2::int[], $3::bool[]) e(id, slots, ordered)
      join subscriptions s on s.id = e.id
     cross join lateral (
        select d.id from deliveries d
         where d.subscription_id = e.id and d.state = 'pending' and d.due_at <= clock_timestamp()
           and (s.state = 'active' or d.position < 0)
           and (s.open_until is null or s.open_until <= clock_timestamp()
                or d.urgent or d.position < 0)
           and not (e.ordered and exists (
                select from deliveries b
                 where b.subscription_id = e.id and b.state = 'pending' and b.key = d.key
                   and b.position < d.position))
         order by d.due_at, d.position limit e.slots for update of d skip locked) d
), leased as (
    update deliveries d
       set due_at = clock_timestamp() + $4, attempts = d.attempts + 1, urgent = false,
           tries = greatest(1, d.tries + (d.attempts = 0 or exists (
               select from attempts a where a.delivery_id = d.id and a.n = d.attempts))::int)
      from chosen, set_config('synchronous_commit',
           case when true = any($3) then current_setting('synchronous_commit') else 'off' end, true)
     where d.id = chosen.id
    returning d.id, d.subscription_id, d.position, d.event_id, d.tries, d.attempts, d.ping
)
select * from leased order by position
"""
EVENTS = "select position, event from log where position = any($1)"  # see webhooks.BEHIND


async def claim(
    tx: Tx, endpoints: Sequence[UUID], slots: Sequence[int], ordered: Sequence[bool]
) -> list[Outgoing]:
    """Begin a try of what is due, so many per endpoint; nobody else begins one within LEASE.

    For an ordered endpoint, events of a key wait for those before them.
    """
    rows = await tx.fetch(CLAIM, endpoints, slots, ordered, LEASE)
    logged = await tx.fetch(EVENTS, [row["position"] for row in rows]) if rows else []
    events = {row["position"]: row["event"] for row in logged}
    claimed = []
    for row in rows:
        fields = dict(row)
        event = fields.pop("ping") or events.get(row["position"])
        claimed.append(Outgoing(**fields, event=event))
    return claimed


NOTE = """
insert into attempts (delivery_id, n, at, status, error, duration_ms)
select t.* from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::text[], $6::int[])
       t(delivery_id, n, at, status, error, duration_ms)
 where exists (select from deliveries d where d.id = t.delivery_id)
    on conflict do nothing
"""
# A try whose lease ran out may come to its end beside the next one: only a success counts then.
SETTLE = """
update deliveries d
   set state = v.state, reason = v.reason,
       due_at = clock_timestamp() + make_interval(secs => v.pause_s),
       ended_at = case when v.state <> 'pending' then clock_timestamp() end
  from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::float8[])
       v(id, n, state, reason, pause_s),
       set_config('synchronous_commit', case when 'delivered' = all($3) then 'off'
                                             else current_setting('synchronous_commit') end, true)
 where d.id = v.id and d.state = 'pending' and (d.attempts = v.n or v.state = 'delivered')
"""


async def settle(tx: Tx, verdicts: Sequence[Verdict]) -> None:
    """Write down tries and what follows from them."""
    ids = [one.outgoing.id for one in verdicts]
    numbers = [one.outgoing.attempts for one in verdicts]
    await tx.execute(
        NOTE,
        ids,
        numbers,
        [one.answer.at for one in verdicts],
        [one.answer.status for one in verdicts],
        [one.answer.error for one in verdicts],
        [one.answer.duration_ms for one in verdicts],
    )
    await tx.execute(
        SETTLE,
        ids,
        numbers,
        [one.state for one in verdicts],
        [one.reason for one in verdicts],
        [float(one.pause_s) for one in verdicts],
    )


LIST = """
select d.*, last.status as last_status, last.duration_ms as last_duration_ms
  from deliveries d left join attempts last on last.delivery_id = d.id and last.n = d.attempts
 where ($1::uuid is null or d.subscription_id = $1) and ($2::text is null or d.state = $2)
   and ($3::text[] is null or d.type = any($3))
   and ($4::bigint is null or d.position > $4) and ($5::bigint is null or d.position <= $5)
   and ($6::bigint is null or (d.position, d.id) < ($6, $7))
 order by d.position desc, d.id desc limit $8
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries; None: all."""

    state: str | None = None
    types: Sequence[str] | None = None
    since: int | None = None  # of events behind this position of the log
    until: int | None = None  # and up to this one


async def every(
    tx: Tx, subscription_id: UUID | None, wanted: Wanted, after: tuple[int, UUID] | None,
    limit: int,
) -> list[Row]:  # fmt: skip
    """List deliveries of one endpoint or of all, newest events first."""
    filters = msgspec.structs.astuple(wanted)
    return await tx.fetch(LIST, subscription_id, *filters, *(after or (None, None)), limit)


FIND = """
select d.*, last.status as last_status, last.duration_ms as last_duration_ms
  from deliveries d left join attempts last on last.delivery_id = d.id and last.n = d.attempts
 where d.id = $1
"""
ATTEMPTS = (
    "select n, at, status, error, duration_ms from attempts where delivery_id = $1 order by n"
)


async def find(tx: Tx, id: UUID) -> Row | None:
    """Find a delivery."""
    return await tx.fetchrow(FIND, id)


async def attempts(tx: Tx, id: UUID) -> list[Row]:
    """List the tries of a delivery."""
    return await tx.fetch(ATTEMPTS, id)


AGAIN = """
update deliveries
   set state = 'pending', tries = 0, due_at = clock_timestamp(), reason = null, ended_at = null,
       urgent = true
 where id = $1
"""


async def again(tx: Tx, id: UUID) -> None:
    """Send one again, now, under its old id, even while its endpoint is left alone."""
    await tx.execute(AGAIN, id)


ALL_AGAIN = """
with chosen as (
    select id, position from deliveries
     where subscription_id = $1 and position > 0
       and case when $2::text is null then state <> 'pending' else state = $2 end
       and ($3::bigint is null or position > $3) and ($4::bigint is null or position <= $4)
     order by position limit $5 for update skip locked
)
update deliveries
   set state = 'pending', tries = 0, due_at = clock_timestamp(), reason = null, ended_at = null,
       urgent = position = (select min(position) from chosen)
 where id in (select id from chosen)
"""


async def all_again(
    tx: Tx, subscription_id: UUID, state: str | None, since: int | None, until: int | None,
    limit: int,
) -> int:  # fmt: skip
    """Send those of a state, or of a span of positions, again. Gives how many.

    The first is sent even while its endpoint is left alone; if it arrives, that ends.
    """
    return await tx.execute(ALL_AGAIN, subscription_id, state, since, until, limit)


PING = """
insert into deliveries (subscription_id, position, event_id, type, key, ping)
values ($1::uuid, -(extract(epoch from clock_timestamp()) * 1000000)::bigint, $2, $3,
        $1::uuid::text, $4)
returning id
"""


async def ping(tx: Tx, subscription_id: UUID, event_id: UUID, type_: str, body: str) -> UUID:
    """Queue a ping, which is tried once. Gives the delivery."""
    made: UUID = await tx.fetchval(PING, subscription_id, event_id, type_, body)
    return made


FORGET = """
delete from deliveries where id in (
    select id from deliveries
     where state in ('delivered', 'failed') and ended_at < now() - make_interval(days => $1)
     limit 2000)
"""


async def forget(tx: Tx, days: int) -> int:
    """Forget what ended so long ago."""
    return await tx.execute(FORGET, days)
