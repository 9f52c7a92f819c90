"""Law of webhooks: W1, whatever an endpoint wants is delivered, scheduled or given up."""

from merkato.audit.laws.statement import Statement

# A position of the log is milliseconds since 1970 shifted left by 20 bits. Three days back: older
# deliveries may have been forgotten.
STATEMENTS = (
    Statement(
        law="W1",
        database="broker",
        checked="select count(*) from deliveries",
        broken="""
select l.id::text as id,
       format('%s is owed to webhook %s, and no delivery was made', l.type, s.id) as why
  from subscriptions s
  join log l on l.position > s.began and l.position <= s.position
   and l.position > ((extract(epoch from now()) * 1000)::bigint - 3 * 86400000) << 20
   and (cardinality(s.topics) = 0 or l.type = any(s.topics)
        or regexp_replace(l.type, '\\.v[0-9]+$', '') = any(s.topics))
  left join deliveries d on d.subscription_id = s.id and d.position = l.position
 where d.id is null
""",
    ),
    Statement(
        law="W1",
        database="broker",
        checked="select 0",
        broken="""
select d.id::text as id, 'is called delivered, and no try was answered with success' as why
  from deliveries d
 where d.state = 'delivered' and d.ended_at > now() - interval '3 days'
   and not exists (select from attempts a where a.delivery_id = d.id
                      and a.status between 200 and 299)
""",
    ),
    Statement(
        law="W1",
        database="broker",
        checked="select 0",
        takes=("settle_s",),
        broken="""
select s.id::text as id, 'has deliveries that are due, and nothing was tried for 2 minutes' as why
  from subscriptions s
 where s.state = 'active' and (s.open_until is null or s.open_until < now() - interval '2 minutes')
   and exists (
        select from deliveries d
         where d.subscription_id = s.id and d.state = 'pending'
           and d.due_at < now() - interval '2 minutes' - make_interval(secs => $1)
           and not (s.ordered and exists (
                select from deliveries b where b.subscription_id = s.id and b.state = 'pending'
                   and b.key = d.key and b.position < d.position)))
   and not exists (
        select from deliveries d join attempts a on a.delivery_id = d.id
         where d.subscription_id = s.id and a.at > now() - interval '2 minutes')
""",
    ),
    Statement(
        law="W1",
        database="broker",
        checked="select count(*) from subscriptions",
        takes=("settle_s",),
        broken="""
select s.id::text as id, 'lags behind the log, though its queue has room' as why
  from subscriptions s
 where s.state = 'active'
   and exists (
        select from log l where l.position > s.position
           and l.position < ((extract(epoch from now()) - 60 - $1) * 1000)::bigint << 20)
   and (select count(*) from (select from deliveries d where d.subscription_id = s.id
                                 and d.state = 'pending' limit 5000) waiting) < 5000
   and not exists (
        select from deliveries d
         where d.subscription_id = s.id and d.created_at > now() - interval '60 s')
""",
    ),
)
