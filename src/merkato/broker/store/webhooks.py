"""Endpoints: what they want, how they fare."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from merkato.chassis.db import Row, Tx

MOST = 1_000  # endpoints of one shop

INSERT = """
insert into subscriptions
       (id, url, description, topics, ordered, secret, began, position, created_by)
select $1, $2, $3, $4, $5, $6, $7, $7, $8
 where (select count(*) from subscriptions) < $9
returning *
"""


async def insert(
    tx: Tx,
    id: UUID,
    url: str,
    description: str,
    topics: Sequence[str],
    ordered: bool,
    secret: bytes,
    position: int,
    by: str,
) -> Row | None:
    """Add an endpoint; None when there are too many."""
    return await tx.fetchrow(
        INSERT, id, url, description, topics, ordered, secret, position, by, MOST
    )


FIND = "select * from subscriptions where id = $1"
LOCK = "select * from subscriptions where id = $1 for no key update"


async def find(tx: Tx, id: UUID) -> Row | None:
    """Find an endpoint."""
    return await tx.fetchrow(FIND, id)


async def lock(tx: Tx, id: UUID) -> Row | None:
    """Lock an endpoint."""
    return await tx.fetchrow(LOCK, id)


ALL = """
select * from subscriptions where ($1::timestamptz is null or (created_at, id) < ($1, $2))
 order by created_at desc, id desc limit $3
"""


async def every(tx: Tx, after: tuple[datetime, UUID] | None, limit: int) -> list[Row]:
    """List endpoints, newest first, from after a place in the list."""
    return await tx.fetch(ALL, *(after or (None, None)), limit)


CHANGE = """
update subscriptions
   set url = $2, description = $3, topics = $4, ordered = $5, state = $6, reason = null,
       position = $7, began = least(greatest(began, $8), $7), failures = 0, failing_since = null,
       open_until = null, version = version + 1, changed_at = now()
 where id = $1 returning *
"""


async def change(
    tx: Tx,
    id: UUID,
    url: str,
    description: str,
    topics: Sequence[str],
    ordered: bool,
    state: str,
    position: int,
    began: int,
) -> Row:
    """Write a locked endpoint; it starts with a clean slate. It owes nothing before `began`."""
    return await tx.fetchrow(CHANGE, id, url, description, topics, ordered, state, position, began)


DELETE = "delete from subscriptions where id = $1"


async def delete(tx: Tx, id: UUID) -> None:
    """Remove an endpoint with its deliveries."""
    await tx.execute(DELETE, id)


ROTATE = """
with kept as (
    select coalesce(array_agg(o.secret order by o.until desc), '{}') as secrets,
           coalesce(array_agg(o.until order by o.until desc), '{}') as untils
      from subscriptions s
     cross join unnest(s.older_secrets || s.old_secret, s.older_until || s.old_secret_until)
                o(secret, until)
     where s.id = $1 and o.until > now() and $3 > 0
)
update subscriptions s
   set older_secrets = kept.secrets, older_until = kept.untils,
       old_secret = secret, old_secret_until = now() + make_interval(secs => $3), secret = $2,
       version = version + 1, changed_at = now()
  from kept where id = $1 and cardinality(kept.secrets) + 2 <= $4 returning s.*
"""


async def rotate(tx: Tx, id: UUID, secret: bytes, overlap_s: int, most: int) -> Row | None:
    """Give a locked endpoint a new secret; the one before signs on for so long.

    Those that sign still go on to their own end, or end now with `overlap_s` 0. None when more
    than `most` would sign.
    """
    return await tx.fetchrow(ROTATE, id, secret, float(overlap_s), most)


REWIND = """
update subscriptions
   set position = least(position, $2), began = least(began, $2), version = version + 1,
       changed_at = now()
 where id = $1
"""


async def rewind(tx: Tx, id: UUID, position: int) -> None:
    """Have a locked endpoint be sent all it wants behind a position, once more."""
    await tx.execute(REWIND, id, position)


DISABLE = """
update subscriptions set state = 'disabled', reason = $2, version = version + 1, changed_at = now()
 where id = $1 and state <> 'disabled'
"""
GIVE_UP = """
update deliveries set state = 'failed', reason = $2, ended_at = clock_timestamp()
 where subscription_id = $1 and state = 'pending'
"""


async def disable(tx: Tx, id: UUID, reason: str) -> bool:
    """Send nothing more to a locked endpoint and give up what waits. False if it was so before."""
    if not await tx.execute(DISABLE, id, reason):
        return False
    await tx.execute(GIVE_UP, id, f"endpoint disabled: {reason}")
    return True


IS_BEHIND = "select exists (select from subscriptions where state = 'active' and position < $1)"


async def is_behind(tx: Tx, head: int) -> bool:
    """Tell whether there is an endpoint that has not all of the log."""
    return bool(await tx.fetchval(IS_BEHIND, head))


# The log is read apart from what may find a row changed meanwhile: for its second look at such a
# row PostgreSQL 18.4 shares the state of partition pruning (EvalPlanQualStart), and crashed here in
# pruning. So endpoints are locked first; then nobody changes them while the log is read.
BEHIND = """
select s.id from subscriptions s
 where s.state = 'active' and s.position < $1
   and (select count(*) from (select from deliveries d where d.subscription_id = s.id
                                 and d.state = 'pending' limit $2) waiting) < $2
 order by s.id for no key update skip locked
"""
FAN_OUT = """
with behind as (
    select id, topics, position from subscriptions where id = any($2)
), page as (
    select b.id as subscription_id, b.topics, l.position, l.id, l.type, l.key
      from behind b cross join lateral (
        select position, id, type, key from log
         where position > b.position and position <= $1 order by position limit $3) l
), upto as (
    select b.id, case when count(p.position) < $3 then $1 else max(p.position) end as position
      from behind b left join page p on p.subscription_id = b.id group by b.id
), made as (
    insert into deliveries as d (subscription_id, position, event_id, type, key)
    select subscription_id, position, id, type, key from page
     where cardinality(topics) = 0 or type = any(topics)
        or regexp_replace(type, '\\.v[0-9]+$', '') = any(topics)
     order by subscription_id, position
        on conflict (subscription_id, position) do update
           set state = 'pending', tries = 0, due_at = clock_timestamp(), reason = null,
               ended_at = null
         where d.state <> 'pending'
    returning 1
), moved as (
    update subscriptions s set position = upto.position
      from upto, set_config('synchronous_commit', 'off', true)
     where s.id = upto.id returning 1
)
select (select count(*) from moved) as moved, (select count(*) from made) as made
"""


async def fan_out(tx: Tx, head: int, waiting_max: int, page: int) -> tuple[int, int]:
    """Make deliveries of what endpoints want of the log up to `head`, so many events for each.

    Leaves out whom others see to, and who has `waiting_max` waiting. Gives (endpoints that went on,
    deliveries made).
    """
    behind = [row["id"] for row in await tx.fetch(BEHIND, head, waiting_max)]
    if not behind:
        return 0, 0
    row: Any = await tx.fetchrow(FAN_OUT, head, behind, page)
    return row["moved"], row["made"]


FARED = """
update subscriptions s
   set failures = case when f.well then 0 else s.failures + f.failed end,
       failing_since = case when f.well then null
                            else coalesce(s.failing_since, clock_timestamp()) end,
       open_until = case when f.well then null else greatest(s.open_until,
           clock_timestamp() + make_interval(secs => f.alone_s)) end
  from unnest($1::uuid[], $2::bool[], $3::int[], $4::float8[]) f(id, well, failed, alone_s)
 where s.id = f.id
returning s.id, s.failing_since
"""
LOCK_UNWELL = """
select id, failures from subscriptions
 where id = any($1) or (id = any($2) and failing_since is not null)
 order by id for no key update
"""


async def lock_unwell(tx: Tx, failed: Sequence[UUID], delivered: Sequence[UUID]) -> dict[UUID, int]:
    """Lock endpoints that failed now or before, by id; gives how often each failed in a row.

    Of those that go on well nothing changes: they are not waited for.
    """
    return {row["id"]: row["failures"] for row in await tx.fetch(LOCK_UNWELL, failed, delivered)}


async def fared(
    tx: Tx, ids: Sequence[UUID], well: Sequence[bool], failed: Sequence[int], alone: Sequence[int]
) -> list[Row]:
    """Note how locked endpoints fared: whether it ends well, else failures and seconds of rest."""
    alone_s: list[Any] = [float(one) for one in alone]
    return await tx.fetch(FARED, ids, well, failed, alone_s)
