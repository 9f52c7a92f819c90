"""Laws of stock: S1 to S3 inside inventory, and what S4 and S5 need of it."""

from merkato.audit.laws.statement import Statement

_SKUS = "select count(*) from stock"

STATEMENTS = (
    Statement(
        law="S1",
        database="inventory",
        checked=_SKUS,
        lasting=True,
        broken="""
select s.sku as id, format('%s on hand, the journal says %s', on_hand, coalesce(total, 0)) as why
  from stock s
  left join (select location, sku, sum(delta) as total from journal group by location, sku) j
       using (location, sku)
 where on_hand <> coalesce(total, 0)
""",
    ),
    Statement(
        law="S1",
        database="inventory",
        checked="select 0",
        takes=("orders",),
        lasting=True,
        broken="""
select order_id::text as id, format('%s of %s came back, %s had left', back, sku, gone) as why
  from (select order_id, sku, coalesce(-sum(delta) filter (where kind = 'committed'), 0) as gone,
               coalesce(sum(delta) filter (where kind = 'returned'), 0) as back
          from journal
         where order_id is not null and ($1::uuid[] is null or order_id = any($1))
         group by order_id, sku) j
 where back > gone
""",
    ),
    Statement(
        law="S2",
        database="inventory",
        checked=_SKUS,
        lasting=True,
        broken="""
select s.sku as id, format('%s reserved, open holds sum to %s', reserved, coalesce(total, 0)) as why
  from stock s
  left join (select l.location, l.sku, sum(l.quantity) as total
               from reservations r join reservation_lines l using (order_id)
              where r.state = 'held' group by l.location, l.sku) h using (location, sku)
 where reserved <> coalesce(total, 0)
""",
    ),
    Statement(
        law="S3",
        database="inventory",
        checked=_SKUS,
        lasting=True,
        broken="""
select sku as id, format('%s reserved of %s on hand', reserved, on_hand) as why
  from stock where reserved < 0 or on_hand < 0 or reserved > on_hand
""",
    ),
)

# The holds of orders, and what left and came back for them: pieces × sku, sorted by sku.
# $1: orders, or null; $2: seconds until things have come to rest.
HOLDS = """
select coalesce(r.order_id, j.order_id)::text as id, r.state, r.kept, j.committed, j.returned,
       r.changed_at < now() - make_interval(secs => $2) as settled,
       r.expires_at < now() - make_interval(secs => $2) as overdue
  from (select * from reservations where $1::uuid[] is null or order_id = any($1)) r
  full join (
       select order_id,
              string_agg(gone || '×' || sku, ' ' order by sku collate "C")
                  filter (where gone > 0) as committed,
              string_agg(back || '×' || sku, ' ' order by sku collate "C")
                  filter (where back > 0) as returned
         from (select order_id, sku,
                      coalesce(-sum(delta) filter (where kind = 'committed'), 0) as gone,
                      coalesce(sum(delta) filter (where kind = 'returned'), 0) as back
                 from journal
                where order_id is not null and ($1::uuid[] is null or order_id = any($1))
                group by order_id, sku) s
        group by order_id) j using (order_id)
 order by coalesce(r.order_id, j.order_id)
"""
HOLDS_CHANGED = "select order_id from reservations where changed_at >= $1"
