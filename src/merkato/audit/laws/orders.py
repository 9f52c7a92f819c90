"""Laws of orders: O1, O2 and I1, and what the laws across databases need of an order."""

from merkato.audit.laws.statement import Statement

_ORDERS = "select count(*) from orders"

STATEMENTS = (
    Statement(
        law="O1",
        database="orders",
        checked=_ORDERS,
        takes=("orders",),
        lasting=True,
        broken="""
select o.id::text as id,
       format('%s after %s; %s steps, %s in the timeline', o.status, coalesce(t.life, 'nothing'),
              o.steps, coalesce(t.steps, 0)) as why
  from orders o
  left join (select order_id, count(*) as steps, max(n) as last,
                    string_agg(coalesce(from_status, '') || '>' || to_status, ' ' order by n)
                        filter (where to_status is not null) as life
               from timeline where $1::uuid[] is null or order_id = any($1)
              group by order_id) t on t.order_id = o.id
 where ($1::uuid[] is null or o.id = any($1))
   and ((coalesce(t.life, ''), o.status) not in (
            ('>placed', 'placed'),
            ('>placed placed>confirmed', 'confirmed'),
            ('>placed placed>cancelled', 'cancelled'),
            ('>placed placed>confirmed confirmed>cancelled', 'cancelled'))
        or o.steps <> t.steps or o.steps <> t.last
        or (o.status = 'cancelled'
            and exists (select from order_lines l where l.order_id = o.id and l.shipped > 0)))
""",
    ),
    Statement(
        law="O1",
        database="orders",
        checked="select count(*) from shipments",
        takes=("orders",),
        lasting=True,
        broken="""
select l.order_id::text as id,
       format('line %s: %s cancelled, %s shipped, %s delivered, %s announced, %s returned, '
              '%s restocked; as told: %s %s %s %s %s %s', l.line_no, cancelled, shipped, delivered,
              announced, returned, restocked, coalesce(c.gone, 0), coalesce(s.sent, 0),
              coalesce(s.arrived, 0), coalesce(r.waiting, 0), coalesce(r.here, 0),
              coalesce(r.sold, 0)) as why
  from order_lines l
  left join (select k.order_id, p.line_no, sum(p.quantity) as gone
               from credits k join credit_lines p on p.credit_id = k.id
              where k.kind = 'cancellation' group by k.order_id, p.line_no) c
       on c.order_id = l.order_id and c.line_no = l.line_no
  left join (select s.order_id, p.line_no, sum(p.quantity) as sent,
                    sum(p.quantity) filter (where s.delivered_at is not null) as arrived
               from shipments s join shipment_lines p on p.shipment_id = s.id
              group by s.order_id, p.line_no) s
       on s.order_id = l.order_id and s.line_no = l.line_no
  left join (select r.order_id, p.line_no, sum(p.received) as here, sum(p.restocked) as sold,
                    sum(p.quantity) filter (where r.status = 'requested') as waiting
               from returns r join return_lines p on p.return_id = r.id
              group by r.order_id, p.line_no) r
       on r.order_id = l.order_id and r.line_no = l.line_no
 where ($1::uuid[] is null or l.order_id = any($1))
   and (cancelled, shipped, delivered, announced, returned, restocked)
       <> (coalesce(c.gone, 0), coalesce(s.sent, 0), coalesce(s.arrived, 0),
           coalesce(r.waiting, 0), coalesce(r.here, 0), coalesce(r.sold, 0))
""",
    ),
    Statement(
        law="O1",
        database="orders",
        checked="select 0",
        takes=("orders",),
        lasting=True,
        broken="""
select o.id::text as id, format('%s, its lines say %s', fulfilment_status, l.far) as why
  from orders o
  join (select order_id, case
                   when sum(shipped) = 0 then 'unfulfilled'
                   when sum(shipped) < sum(quantity - cancelled) then 'partial'
                   when sum(returned) = sum(shipped) then 'returned'
                   when sum(returned) > 0 then 'partly_returned'
                   when sum(delivered) = sum(shipped) then 'delivered' else 'shipped' end as far
          from order_lines where $1::uuid[] is null or order_id = any($1)
         group by order_id) l on l.order_id = o.id
 where ($1::uuid[] is null or o.id = any($1)) and l.far <> fulfilment_status
""",
    ),
    Statement(
        law="O2",
        database="orders",
        checked="select count(*) from orders where status = 'placed'",
        takes=("orders",),
        broken="""
select id::text as id,
       format('placed %s s ago, payment %s, to be paid until %s',
              extract(epoch from now() - placed_at)::int, payment_status, pay_until) as why
  from orders
 where status = 'placed' and placed_at < now() - interval '60 s'
   and ($1::uuid[] is null or id = any($1))
   and (payment_status not in ('declined', 'action_required')
        or pay_until < now() - interval '60 s')
""",
    ),
    Statement(
        law="I1",
        database="orders",
        checked=_ORDERS,
        lasting=True,
        broken="""
select min(id::text) as id,
       format('%s orders of %s with key %s: %s', count(*), principal, idempotency_key,
              string_agg(id::text, ' ' order by id)) as why
  from orders group by principal, idempotency_key having count(*) > 1
""",
    ),
)

# Orders, with the goods that are tracked (pieces × sku, sorted by sku) and whether they were ever
# confirmed. $1: orders, or null; $2: seconds until things have come to rest.
ORDERS = """
select o.id::text as id, o.status, o.reason, o.payment_status, o.payment_method, o.currency,
       o.fulfilment_status,
       o.grand_minor, o.credited_minor, c.contact is not null as reachable,
       o.changed_at < now() - make_interval(secs => $2) as settled,
       t.order_id is not null as confirmed, l.goods, l.back
  from (select * from orders where $1::uuid[] is null or id = any($1)) o
  left join order_contacts c on c.order_id = o.id
  left join (select distinct order_id from timeline where to_status = 'confirmed') t
       on t.order_id = o.id
  left join (
       select order_id, string_agg(quantity || '×' || sku, ' ' order by sku collate "C") as goods,
              string_agg(back || '×' || sku, ' ' order by sku collate "C")
                  filter (where back > 0) as back
         from (select order_id, sku, sum(quantity) as quantity, sum(cancelled + restocked) as back
                 from order_lines
                where tracked and ($1::uuid[] is null or order_id = any($1))
                group by order_id, sku) s
        group by order_id) l on l.order_id = o.id
 order by o.id
"""
ORDERS_CHANGED = "select id as order_id from orders where changed_at >= $1"

# For D1.
KEYS = """
select id::text as id, idempotency_key from orders
 where ($1::timestamptz is null or placed_at >= $1) order by orders.id
"""
KNOWN = "select id::text as id, idempotency_key from orders where id = any($1::text[]::uuid[])"
