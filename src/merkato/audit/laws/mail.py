"""Laws of mail: N1 inside notifications, and what N1 needs of it for each order."""

from merkato.audit.laws.statement import Statement

STATEMENTS = (
    Statement(
        law="N1",
        database="notifications",
        checked="select count(*) from messages",
        takes=("since",),
        lasting=True,
        broken="""
select fact as id, format('%s messages %s to one recipient', count(*), template) as why
  from messages where erased_at is null and ($1::timestamptz is null or created_at >= $1)
 group by fact, template, recipient having count(*) > 1
""",
    ),
    Statement(
        law="N1",
        database="notifications",
        checked="select count(*) from due",
        takes=("settle_s",),
        broken="""
select m.fact as id, format('message %s is queued, but will never be sent', m.id) as why
  from messages m left join due d on d.message_id = m.id
 where m.state = 'queued' and d.message_id is null
   and m.created_at < now() - make_interval(secs => $1)
""",
    ),
)

# How many mails about each order there are. $1: orders, or null; $2: seconds until things have
# come to rest.
MAILS = """
select left(fact, 36) as id,
       bool_and(created_at < now() - make_interval(secs => $2)) as settled,
       count(*) filter (where template = 'order_placed') as placed,
       count(*) filter (where template = 'order_confirmed') as confirmed,
       count(*) filter (where template = 'order_cancelled') as cancelled,
       count(*) filter (where template = 'order_confirmed' and state = 'queued') as queued,
       count(*) filter (where template = 'order_confirmed' and state = 'failed'
                              and erased_at is null) as failed
  from messages
 where channel = 'email' and template in ('order_placed', 'order_confirmed', 'order_cancelled')
   and ($1::uuid[] is null or left(fact, 36)::uuid = any($1))
 group by left(fact, 36) order by left(fact, 36) collate "C"
"""
MAILS_CHANGED = """
select left(fact, 36)::uuid as order_id from messages
 where created_at >= $1 and template in ('order_placed', 'order_confirmed', 'order_cancelled')
"""
