"""Laws of money: M1 inside orders, M2 and M6 inside payments, and what M3 to M7 need of it."""

from merkato.audit.laws.statement import Statement

STATEMENTS = (
    Statement(
        law="M1",
        database="orders",
        checked="select count(*) from orders",
        takes=("orders",),
        lasting=True,
        broken="""
select o.id::text as id,
       format('items %s, discount %s, shipping %s, tax %s, grand %s; its lines: items %s, '
              'tax %s, gross %s', items_minor, discount_minor, shipping_minor, o.tax_minor,
              grand_minor, l.items, l.tax, l.gross) as why
  from orders o
  left join (select order_id, sum(unit_price_minor * quantity) as items, sum(net_minor) as net,
                    sum(tax_minor) as tax, sum(gross_minor) as gross,
                    bool_and(gross_minor = net_minor + tax_minor and net_minor >= 0
                             and tax_minor >= 0 and unit_price_minor >= 0 and quantity > 0) as fair
               from order_lines where $1::uuid[] is null or order_id = any($1)
              group by order_id) l on l.order_id = o.id
 where ($1::uuid[] is null or o.id = any($1))
   and (l.fair is not true
        or o.items_minor <> l.items
        or o.shipping_minor <> o.shipping_net_minor + o.shipping_tax_minor
        or o.tax_minor <> l.tax + o.shipping_tax_minor
        or o.grand_minor <> l.gross + o.shipping_minor
        or o.discount_minor <> l.items - case when tax_included then l.gross else l.net end
        or o.discount_minor not between 0 and o.items_minor
        or o.grand_minor < 0)
""",
    ),
    Statement(
        law="M1",
        database="orders",
        checked="select count(*) from credits",
        takes=("orders",),
        lasting=True,
        broken="""
select o.id::text as id,
       format('credited %s; its credits %s, their lines %s, its lines and shipping %s and %s',
              o.credited_minor, k.credits, k.parts, g.lines, o.credited_shipping_minor) as why
  from (select * from orders where credited_minor > 0 and ($1::uuid[] is null or id = any($1))) o
  left join (
       select c.order_id, sum(c.amount_minor) as credits, sum(p.parts) as parts, sum(p.tax) as tax,
              sum(p.shipping) as shipping, bool_and(c.amount_minor = p.parts) as fair
         from credits c
         left join (select credit_id, sum(gross_minor) as parts, sum(tax_minor) as tax,
                           coalesce(sum(gross_minor) filter (where line_no = 0), 0) as shipping
                      from credit_lines group by credit_id) p on p.credit_id = c.id
        where $1::uuid[] is null or c.order_id = any($1)
        group by c.order_id) k on k.order_id = o.id
  left join (select order_id, sum(credited_minor) as lines, sum(credited_tax_minor) as tax
               from order_lines where $1::uuid[] is null or order_id = any($1)
              group by order_id) g on g.order_id = o.id
 where k.fair is not true
    or (o.credited_minor, k.parts, k.shipping, k.tax)
       is distinct from (k.credits, g.lines + o.credited_shipping_minor, o.credited_shipping_minor,
                         g.tax + o.credited_shipping_tax_minor)
""",
    ),
    Statement(
        law="M2",
        database="payments",
        checked="select 0",
        takes=("orders",),
        lasting=True,
        broken="""
select p.order_id::text as id,
       format('%s given for credit %s over %s', o.given, o.credit_id, c.amount) as why
  from payments p
  join (select payment_id, credit_id, sum(amount_minor) as given from operations
         where credit_id is not null and state <> 'failed' group by payment_id, credit_id) o
       on o.payment_id = p.id
  left join lateral (select (k ->> 'amount_minor')::bigint as amount
                       from jsonb_array_elements(p.credits) k
                      where (k ->> 'id')::uuid = o.credit_id) c on true
 where p.wanted = 'pay' and o.given > coalesce(c.amount, 0)
   and ($1::uuid[] is null or p.order_id = any($1))
""",
    ),
    Statement(
        law="M2",
        database="payments",
        checked="select count(*) from payments",
        takes=("orders",),
        lasting=True,
        broken="""
select order_id::text as id,
       format('operations: authorised %s, captured %s, voided %s, refunded %s, refunding %s; '
              'payment: %s, %s, %s, %s, %s', authorised, captured, voided, refunded, refunding,
              authorised_minor, captured_minor, voided_minor, refunded_minor,
              refunding_minor) as why
  from (select p.*,
               coalesce(sum(amount) filter (where kind = 'authorise' and done), 0) as authorised,
               coalesce(sum(amount) filter (where kind = 'capture' and done), 0) as captured,
               coalesce(sum(amount) filter (where kind = 'void' and done), 0) as voided,
               coalesce(sum(amount) filter (where kind = 'refund' and done), 0) as refunded,
               coalesce(sum(amount) filter (where kind = 'refund' and asked), 0) as refunding
          from payments p
          left join (select payment_id, kind, amount_minor as amount, state = 'succeeded' as done,
                            state in ('intent', 'sent', 'unknown', 'mismatch') as asked
                       from operations) o on o.payment_id = p.id
         where $1::uuid[] is null or p.order_id = any($1)
         group by p.id) x
 where refunded > captured or captured + voided > authorised
    or (authorised, captured, voided, refunded, refunding)
       <> (authorised_minor, captured_minor, voided_minor, refunded_minor, refunding_minor)
""",
    ),
    Statement(
        law="M6",
        database="payments",
        checked="select count(*) from entries",
        takes=("orders",),
        lasting=True,
        broken="""
select operation_id::text as id,
       format('posting %s of order %s sums to %s %s', posting, min(order_id::text),
              sum(amount_minor), currency) as why
  from entries where $1::uuid[] is null or order_id = any($1)
 group by operation_id, posting, currency having sum(amount_minor) <> 0
 union all
select o.id::text, format('%s of %s, posted %s', o.kind, o.amount_minor, coalesce(e.posted, 0))
  from operations o
  left join (select operation_id, sum(amount_minor) filter (where amount_minor > 0) as posted
               from entries where posting = 1 group by operation_id) e on e.operation_id = o.id
 where o.state = 'succeeded' and o.amount_minor <> coalesce(e.posted, 0)
   and ($1::uuid[] is null
        or o.payment_id in (select id from payments where order_id = any($1)))
""",
    ),
)

# The payments of orders: sums of their operations, and what the ledger kept of each order's money.
# $1: orders, or null; $2: seconds until things have come to rest.
PAYMENTS = """
select p.order_id::text as id, count(*) as payments, min(p.amount_minor) as amount,
       min(p.currency) as currency, min(p.state) as state,
       bool_and(p.changed_at < now() - make_interval(secs => $2)) as settled,
       coalesce(sum(o.net), 0)::bigint as net, coalesce(sum(o.promised), 0)::bigint as promised,
       coalesce(sum(o.refunding), 0)::bigint as refunding,
       coalesce(bool_or(o.voiding), false) as voiding,
       coalesce(bool_or(o.capturing), false) as capturing, coalesce(max(o.charged), 0) as charged,
       coalesce(sum((select sum((c ->> 'amount_minor')::bigint)
                       from jsonb_array_elements(p.credits) c)), 0)::bigint as credited,
       coalesce(max(e.kept), 0)::bigint as kept
  from payments p
  left join (
       select payment_id,
              sum(amount * case kind when 'capture' then 1 when 'refund' then -1 else 0 end)
                  filter (where done) as net,
              sum(amount * case kind when 'authorise' then 1 when 'refund' then 0 else -1 end)
                  filter (where done) as promised,
              sum(amount) filter (where kind = 'refund' and asked) as refunding,
              bool_or(kind = 'void' and asked) as voiding,
              bool_or(kind = 'capture' and asked) as capturing,
              count(distinct attempt) filter (where kind = 'capture' and done) as charged
         from (select *, amount_minor as amount, state = 'succeeded' as done,
                      state in ('intent', 'sent', 'unknown') as asked from operations
                where $1::uuid[] is null
                   or payment_id in (select id from payments where order_id = any($1))) a
        group by payment_id) o on o.payment_id = p.id
  left join (
       select order_id, -sum(amount_minor) as kept from entries
        where account = 'customer' and ($1::uuid[] is null or order_id = any($1))
        group by order_id) e on e.order_id = p.order_id
 where $1::uuid[] is null or p.order_id = any($1)
 group by p.order_id order by p.order_id
"""
PAYMENTS_CHANGED = "select order_id from payments where changed_at >= $1"

# Card operations that moved money, for M5; a reference that is there twice is summed up.
MOVED = """
select reference, min(case when key like '%:dispute:%' then 'dispute' else kind end) as kind,
       sum(amount_minor)::bigint as amount,
       lower(min(currency)) as currency
  from operations
 where reference = any($1) and kind in ('capture', 'refund') and method = 'card'
   and state = 'succeeded'
 group by reference
"""
ALL_MOVED = """
select coalesce(reference, id::text) as id, kind, amount_minor from operations
 where kind in ('capture', 'refund') and method = 'card' and state = 'succeeded'
   and ended_at < now() - make_interval(secs => $1)
 order by coalesce(reference, id::text) collate "C"
"""
