"""Laws of events: what E1 asks of every outbox, and events set aside."""

from merkato.audit.laws import SET_ASIDE
from merkato.audit.laws.statement import Statement

# Rows published two weeks ago may have been pruned, so older ones prove nothing.
STATEMENTS = (
    Statement(
        law="E1",
        database=None,
        checked="select count(*) from outbox",
        takes=("since",),
        lasting=True,
        broken="""
select key as id,
       format('%s events, numbered %s to %s', count(*), min(sequence), max(sequence)) as why
  from outbox
 where said_at >= coalesce($1::timestamptz, now() - interval '13 days')
 group by key
having count(*) <> max(sequence) - min(sequence) + 1
    or count(*) <> count(distinct sequence)
    or ($1::timestamptz is null and min(sequence) <> 1
        and not exists (select from migrations where applied_at < now() - interval '13 days'))
""",
    ),
    Statement(
        law="E1",
        database=None,
        checked="select 0",
        broken="""
select id::text as id,
       format('%s of %s is not published after %s s%s', type, key,
              extract(epoch from now() - said_at)::int, ': ' || refusal) as why
  from outbox where published_at is null and said_at < now() - interval '30 s'
""",
    ),
    Statement(
        law="E1",
        database="orders",
        checked="select count(*) from timeline where to_status is not null",
        takes=("orders",),
        lasting=True,
        broken="""
select key as id, format('%s steps to %s made %s events', coalesce(m.n, 0),
                         split_part(split_part(type, '.', 2), '_', 2), coalesce(s.n, 0)) as why
  from (select order_id::text as key, 'orders.order_' || to_status || '.v1' as type, count(*) as n,
               max(at) as latest
          from timeline
         where to_status is not null and ($1::uuid[] is null or order_id = any($1))
         group by order_id, to_status) m
  full join
       (select key, type, count(*) as n from outbox
         where type in ('orders.order_placed.v1', 'orders.order_confirmed.v1',
                        'orders.order_cancelled.v1')
           and ($1::uuid[] is null or key = any($1::uuid[]::text[]))
         group by key, type) s using (key, type)
 where coalesce(s.n, 0) > coalesce(m.n, 0)
    or (coalesce(m.n, 0) > coalesce(s.n, 0) and m.latest > now() - interval '13 days')
""",
    ),
    Statement(
        law="E1",
        database="orders",
        checked="select count(*) from credits",
        takes=("orders",),
        lasting=True,
        broken="""
with happened as (
    select order_id::text as key, 'orders.lines_shipped.v1' as type, shipped_at as at
      from shipments
     union all
    select order_id::text, 'orders.shipment_delivered.v1', delivered_at from shipments
     where delivered_at is not null
     union all
    select order_id::text, 'orders.return_' || status || '.v1', decided_at from returns
     where decided_at is not null
     union all
    select k.order_id::text, 'orders.order_credited.v1', k.created_at from credits k
     where k.actor is not null)  -- a cancellation of the whole order is told as such
select key as id, format('%s of %s made %s events', coalesce(h.n, 0), type, coalesce(s.n, 0)) as why
  from (select key, type, count(*) as n, max(at) as latest from happened
         where $1::uuid[] is null or key = any($1::uuid[]::text[])
         group by key, type) h
  full join
       (select key, type, count(*) as n from outbox
         where type in ('orders.lines_shipped.v1', 'orders.shipment_delivered.v1',
                        'orders.return_received.v1', 'orders.return_rejected.v1',
                        'orders.order_credited.v1')
           and ($1::uuid[] is null or key = any($1::uuid[]::text[]))
         group by key, type) s using (key, type)
 where coalesce(s.n, 0) > coalesce(h.n, 0)
    or (coalesce(h.n, 0) > coalesce(s.n, 0) and h.latest > now() - interval '13 days')
""",
    ),
    Statement(
        law=SET_ASIDE,
        database=None,
        checked="select count(*) from set_aside",
        lasting=True,
        broken="""
select event_id::text as id, format('%s about %s: %s', type, key, left(reason, 200)) as why
  from set_aside where state in ('waiting', 'dead')
""",
    ),
)

# For each minute of $1 … $2 (event ids are UUIDv7: their first 12 hex digits are milliseconds),
# how many events of the types $3 were said, and a sum over their ids.
SAID = """
select ('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 60000 as minute,
       count(*) as n, sum(uuid_hash_extended(id, 0)) as sum
  from outbox where id >= $1 and id < $2 and type = any($3) group by 1
"""
# The same of what a service heard.
HEARD = """
select ('x' || translate(left(event_id::text, 13), '-', ''))::bit(48)::bigint / 60000 as minute,
       count(*) as n, sum(uuid_hash_extended(event_id, 0)) as sum
  from inbox where event_id >= $1 and event_id < $2 group by 1
"""
SAID_IDS = "select id, type from outbox where id >= $1 and id < $2 and type = any($3)"
HEARD_IDS = "select event_id as id from inbox where event_id >= $1 and event_id < $2"
