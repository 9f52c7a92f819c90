"""Laws of coupons: K1, and what M1 says of the money they take off. All inside orders."""

from merkato.audit.laws.statement import Statement

STATEMENTS = (
    Statement(
        law="K1",
        database="orders",
        checked="select count(*) from coupons",
        lasting=True,
        broken="""
select c.code as id,
       format('%s orders hold or use it, it counts %s, at most %s; by its customers %s', u.uses,
              c.uses, coalesce(c.uses_max::text, 'any'), k.uses) as why
  from coupons c
 cross join lateral (select count(*) as uses from coupon_uses u
                      where u.code = c.code and u.state <> 'freed') u
 cross join lateral (select coalesce(sum(uses), 0) as uses from coupon_customers k
                      where k.code = c.code) k
 where u.uses <> c.uses or u.uses <> k.uses or u.uses > c.uses_max
 union all
select code, format('%s uses it %s times, which counts as %s, at most %s', customer,
                    count(u.order_id), k.uses, coalesce(c.uses_per_customer_max::text, 'any'))
  from coupon_customers k
  join coupons c using (code)
  left join coupon_uses u using (code, customer)
 where u.state is distinct from 'freed'
 group by code, customer, k.uses, c.uses_per_customer_max
having count(u.order_id) <> k.uses or count(u.order_id) > c.uses_per_customer_max
""",
    ),
    Statement(
        law="K1",
        database="orders",
        checked="select count(*) from coupon_uses",
        takes=("orders",),
        lasting=True,
        broken="""
select coalesce(o.id, u.order_id)::text as id,
       format('%s with coupon %s; the use is %s, of %s', coalesce(o.status, 'an order'),
              coalesce(o.coupon, 'none'), coalesce(u.state, 'nowhere'),
              coalesce(u.code, 'none')) as why
  from (select id, status, coupon from orders where coupon is not null) o
  full join coupon_uses u on u.order_id = o.id
 where ($1::uuid[] is null or coalesce(o.id, u.order_id) = any($1))
   and ((o.coupon = u.code) is not true
        or u.state <> case o.status when 'placed' then 'held' when 'confirmed' then 'used'
                                    else 'freed' end)
""",
    ),
    Statement(
        law="M1",
        database="orders",
        checked="select count(distinct order_id) from adjustments",
        takes=("orders",),
        lasting=True,
        broken="""
select o.id::text as id,
       format('discount %s, off its lines %s; lines that do not fit: %s', o.discount_minor,
              coalesce(a.off, 0), coalesce(a.wrong, '')) as why
  from orders o
  left join (
       select a.order_id, sum(a.off) as off,
              string_agg(l.line_no::text, ' ' order by l.line_no)
                  filter (where l.unit_price_minor * l.quantity - a.off
                                not in (l.gross_minor, l.net_minor)) as wrong
         from (select order_id, line_no, sum(amount_minor) as off from adjustments
                where line_no is not null and ($1::uuid[] is null or order_id = any($1))
                group by order_id, line_no) a
         join order_lines l using (order_id, line_no)
        group by a.order_id) a on a.order_id = o.id
 where ($1::uuid[] is null or o.id = any($1))
   and (o.discount_minor <> coalesce(a.off, 0) or a.wrong is not null)
""",
    ),
)
