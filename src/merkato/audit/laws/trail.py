"""Law T1: the audit trail is one chain, and holds what every service noted, word for word."""

from merkato.audit.laws.statement import Statement

STATEMENTS = (
    Statement(
        law="T1",
        database="users",
        checked="select count(*) from trail",
        lasting=True,
        broken="""
select id::text as id, format('entry %s is not what was chained', n) as why
  from (select n, id, at, body, hash, lag(n, 1, 0::bigint) over chain as n_before,
               lag(hash, 1, ''::bytea) over chain as hash_before
          from trail window chain as (order by n)) t
 where n <> n_before + 1 or hash <> sha256(hash_before || convert_to(body, 'UTF8'))
    or at <> (body::jsonb ->> 'at')::timestamptz
""",
    ),
    Statement(
        law="T1",
        database="users",
        checked="select 0",
        broken="""
select 'the end of the trail' as id,
       format('the last entry is %s, not %s as it was', l.n, h.n) as why
  from trail_head h,
       (select coalesce(max(n), 0) as n,
               coalesce((select hash from trail order by n desc limit 1), '') as hash from trail) l
 where (h.n, h.hash) <> (l.n, l.hash)
""",
    ),
)

# What a service noted before $2: each entry's id, and a sum over its text.
NOTED = """
select body::jsonb ->> 'entry_id' as id, hashtextextended(body, 0) as sum
  from outbox where type = $1 and said_at < $2 order by 1
"""
# Those of these entries that the trail does not have, or not word for word.
MISSING = """
select w.id::text as id, t.id is not null as differs
  from unnest($1::uuid[], $2::bigint[]) w(id, sum) left join trail t using (id)
 where t.id is null or hashtextextended(t.body, 0) <> w.sum
"""
