"""Statements that move orders on, and those that show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.contracts.orders import Line
from merkato.contracts.values import Address, Contact
from merkato.orders.domain.life import State

KnownContact = Contact | None  # of people who are not forgotten
KnownAddress = Address | None

LOCK = """
select id as order_id, number, customer_id, status, payment_status, reason, steps, currency, locale,
       grand_minor, credited_minor, items_minor, discount_minor, shipping_minor, tax_minor,
       payment_method, pay_until, coupon, captured_minor, refunded_minor,
       fulfilment_status <> 'unfulfilled' as shipped
  from orders where id = any($1) order by id for no key update
"""


async def lock(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Map orders to their rows, locked by id."""
    return {row["order_id"]: row for row in await tx.fetch(LOCK, sorted(set(order_ids)))}


def state(row: Row) -> State:
    """Make of a locked row what the rules need."""
    return msgspec.convert(dict(row), State)


UPDATE = """
update orders o set status = n.status, payment_status = n.payment_status, reason = n.reason,
       steps = n.steps, credited_minor = n.credited_minor, captured_minor = n.captured_minor,
       refunded_minor = n.refunded_minor, payment_method = n.payment_method, changed_at = $10
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[],
              $7::bigint[], $8::bigint[], $9::text[])
       n(id, status, payment_status, reason, steps, credited_minor, captured_minor, refunded_minor,
         payment_method)
 where o.id = n.id
"""


async def update(tx: Tx, states: Sequence[State], now: datetime) -> None:
    """Write back what changed of locked orders."""
    await tx.execute(
        UPDATE,
        [s.order_id for s in states],
        [s.status.value for s in states],
        [s.payment_status for s in states],
        [s.reason for s in states],
        [s.steps for s in states],
        [s.credited_minor for s in states],
        [s.captured_minor for s in states],
        [s.refunded_minor for s in states],
        [s.payment_method for s in states],
        now,
    )


ADD_STEPS = """
insert into timeline (order_id, n, what, from_status, to_status, at, actor, cause, detail)
select order_id, n, what, from_status, to_status, $9, actor, cause, detail
  from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
              $8::text[])
       t(order_id, n, what, from_status, to_status, actor, cause, detail)
"""


async def add_steps(tx: Tx, steps: Sequence[tuple[Any, ...]], now: datetime) -> None:
    """Add lines of the timeline: order, n, what, from, to, actor, cause, detail."""
    await tx.execute(ADD_STEPS, *(list(column) for column in zip(*steps, strict=True)), now)


CREDIT_WHOLE = """
with credit as (
    insert into credits (id, order_id, kind, amount_minor)
    select id, order_id, 'cancellation', amount from unnest($1::uuid[], $2::uuid[], $3::bigint[])
           c(id, order_id, amount)
    returning id, order_id),
goods as (
    update order_lines l
       set cancelled = l.quantity, credited_minor = l.gross_minor,
           credited_tax_minor = l.tax_minor
      from credit c where l.order_id = c.order_id
    returning c.id, l.line_no, new.cancelled - old.cancelled as quantity,
              new.credited_tax_minor - old.credited_tax_minor as tax,
              new.credited_minor - old.credited_minor as gross),
shipping as (
    update orders o
       set credited_shipping_minor = o.shipping_minor,
           credited_shipping_tax_minor = o.shipping_tax_minor
      from credit c where o.id = c.order_id
    returning c.id, 0 as line_no, 0 as quantity,
              new.credited_shipping_tax_minor - old.credited_shipping_tax_minor as tax,
              new.credited_shipping_minor - old.credited_shipping_minor as gross)
insert into credit_lines (credit_id, line_no, quantity, net_minor, tax_minor, gross_minor)
select id, line_no, quantity, gross - tax, tax, gross
  from (select * from goods union all select * from shipping) p where quantity > 0 or gross > 0
"""


async def credit_whole(tx: Tx, credits_: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Credit all that is left of cancelled orders: id, order, amount. Needs PostgreSQL 18."""
    await tx.execute(CREDIT_WHOLE, *(list(column) for column in zip(*credits_, strict=True)))


LINES = """
select order_id, line_no, sku, quantity, title, unit_price_minor, net_minor, tax_minor, gross_minor,
       tracked, cancelled
  from order_lines where order_id = any($1) order by order_id, line_no
"""


async def lines(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, tuple[Line, ...]]:
    """Map orders to their lines as events tell of them."""
    found: dict[UUID, list[Line]] = {order_id: [] for order_id in order_ids}
    for row in await tx.fetch(LINES, list(order_ids)):
        columns = dict(row)
        found[columns.pop("order_id")].append(Line(**columns))
    return {order_id: tuple(of_order) for order_id, of_order in found.items()}


CONTACTS = "select order_id, contact from order_contacts where order_id = any($1)"


async def contacts(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Contact | None]:
    """Map orders to whom to write to; None once that person is forgotten."""
    rows = await tx.fetch(CONTACTS, list(order_ids))
    return {row["order_id"]: msgspec.convert(row["contact"], KnownContact) for row in rows}


STANDING = """
select o.id, clock_timestamp() >= o.pay_until as over
  from standing s join orders o on o.id = s.order_id
 where s.look_at < clock_timestamp() order by s.look_at limit $1
"""


async def standing(tx: Tx, limit: int) -> list[Row]:
    """Find placed orders it is time to ask about."""
    return await tx.fetch(STANDING, limit)


LOOK_LATER = """
update standing set look_at = clock_timestamp() + make_interval(secs => $2)
 where order_id = any($1)
"""


async def look_later(tx: Tx, order_ids: Sequence[UUID], seconds: float) -> None:
    """Ask about these again after a while."""
    await tx.execute(LOOK_LATER, sorted(order_ids), seconds)


NO_LONGER_STANDING = "delete from standing where order_id = any($1)"


async def no_longer_standing(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Take orders that were confirmed or cancelled off the watch."""
    await tx.execute(NO_LONGER_STANDING, sorted(order_ids))


STATE = """
select id as order_id, status, currency, grand_minor, customer_id, principal, pay_until
  from orders where id = $1
"""


async def brief(tx: Tx, order_id: UUID) -> Row | None:
    """Read what other services may know of an order."""
    return await tx.fetchrow(STATE, order_id)


VIEW = """
select o.id, o.number, o.customer_id, o.status, o.reason, o.payment_status, o.fulfilment_status,
       o.currency, o.locale, o.payment_method, o.shipping_method, o.tax_included, o.items_minor,
       o.discount_minor, o.shipping_minor, o.shipping_net_minor, o.shipping_tax_minor,
       o.shipping_rate_bp, o.tax_minor, o.grand_minor, o.credited_minor, o.captured_minor,
       o.refunded_minor, o.metadata, o.placed_at,
       o.pay_until, o.cart_id, o.reference, o.reference_time, o.coupon, c.contact,
       c.shipping_address,
       coalesce(c.billing_address, c.shipping_address) as billing_address,
       (select json_agg(json_build_object(
                'line_no', l.line_no, 'sku', l.sku, 'quantity', l.quantity, 'title', l.title,
                'options', l.options, 'image', l.image, 'list_price_minor', l.list_price_minor,
                'unit_price_minor', l.unit_price_minor, 'tax_class', l.tax_class,
                'rate_bp', l.rate_bp, 'net_minor', l.net_minor, 'tax_minor', l.tax_minor,
                'gross_minor', l.gross_minor, 'cancelled', l.cancelled, 'shipped', l.shipped,
                'delivered', l.delivered, 'announced', l.announced, 'returned', l.returned,
                'credited_minor', l.credited_minor) order by l.line_no)
          from order_lines l where l.order_id = o.id) as lines,
       (select coalesce(json_agg(json_build_object(
                'id', s.id, 'carrier', s.carrier, 'tracking', s.tracking,
                'tracking_url', s.tracking_url, 'shipped_at', s.shipped_at,
                'delivered_at', s.delivered_at,
                'lines', (select json_agg(json_build_object(
                                 'line_no', p.line_no, 'quantity', p.quantity) order by p.line_no)
                            from shipment_lines p where p.shipment_id = s.id))
                order by s.shipped_at, s.id), '[]')
          from shipments s where s.order_id = o.id) as shipments,
       (select coalesce(json_agg(json_build_object(
                'id', r.id, 'order_id', o.id, 'number', o.number, 'customer_id', o.customer_id,
                'status', r.status, 'note', r.note, 'rejection', r.rejection,
                'requested_at', r.requested_at, 'decided_at', r.decided_at,
                'credit_id', k.id, 'credited_minor', coalesce(k.amount_minor, 0),
                'currency', o.currency,
                'lines', (select json_agg(json_build_object(
                                 'line_no', line_no, 'sku', g.sku, 'title', g.title,
                                 'quantity', p.quantity, 'reason', p.reason,
                                 'received', p.received, 'restocked', p.restocked)
                                 order by line_no)
                            from return_lines p join order_lines g using (line_no)
                           where p.return_id = r.id and g.order_id = o.id))
                order by r.requested_at, r.id), '[]')
          from returns r left join credits k on k.return_id = r.id
         where r.order_id = o.id) as returns,
       (select coalesce(json_agg(json_build_object(
                'id', k.id, 'kind', k.kind, 'amount_minor', k.amount_minor,
                'return_id', k.return_id, 'reason', k.reason, 'reference', k.reference,
                'reference_time', k.reference_time, 'created_at', k.created_at,
                'lines', (select json_agg(json_build_object(
                                 'line_no', nullif(p.line_no, 0), 'quantity', p.quantity,
                                 'rate_bp', coalesce(g.rate_bp, o.shipping_rate_bp),
                                 'net_minor', p.net_minor, 'tax_minor', p.tax_minor,
                                 'gross_minor', p.gross_minor) order by p.line_no = 0, p.line_no)
                            from credit_lines p
                            left join order_lines g
                                   on g.order_id = o.id and g.line_no = p.line_no
                           where p.credit_id = k.id))
                order by k.created_at, k.id), '[]')
          from credits k where k.order_id = o.id) as credits,
       (select coalesce(json_agg(json_build_object('line_no', a.line_no, 'source', a.source,
                                                   'code', a.code, 'amount_minor', a.amount_minor)
                                 order by a.n), '[]')
          from adjustments a where a.order_id = o.id) as adjustments
  from orders o join order_contacts c on c.order_id = o.id
 where o.id = any($1)
"""


async def views(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Map orders to all that is shown of them, at one moment."""
    return {row["id"]: row for row in await tx.fetch(VIEW, list(order_ids))}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are wanted; what is None matters not. `q`: a number or an e-mail address."""

    customer_id: UUID | None = None
    status: str | None = None
    payment_status: str | None = None
    fulfilment: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    reference: str | None = None
    reference_prefix: str | None = None
    ids: Sequence[UUID] | None = None


LIST = """
select id, number, customer_id, status, payment_status, fulfilment_status, currency, grand_minor,
       shipping_minor, credited_minor, placed_at, reference, reference_time,
       case when $14 then (select c.contact from order_contacts c where c.order_id = orders.id)
       end as contact
  from orders
 where ($1::uuid is null or customer_id = $1)
   and ($2::text is null or status = $2)
   and ($3::text is null or payment_status = $3)
   and ($4::text[] is null or fulfilment_status = any($4))
   and ($5::timestamptz is null or placed_at >= $5)
   and ($6::timestamptz is null or placed_at < $6)
   and ($7::text is null
        or id in (select o.id from orders o where o.number = upper($7)
                   union all
                  select c.order_id from order_contacts c
                   where lower(c.contact ->> 'email') = lower($7)))
   and ($8::text is null or reference = $8)
   and ($9::text is null or starts_with(reference, $9))
   and ($10::uuid[] is null or id = any($10))
   and ($11::timestamptz is null or (placed_at, id) < ($11, $12::uuid))
 order by placed_at desc, id desc limit $13
"""


async def list_orders(
    tx: Tx, wanted: Wanted, before: tuple[datetime, UUID] | None, limit: int, *, contacts: bool
) -> list[Row]:
    """List orders, newest first; with `contacts` who bought them."""
    at, order_id = before or (None, None)
    return await tx.fetch(LIST, *msgspec.structs.astuple(wanted), at, order_id, limit, contacts)


TIMELINE = """
select n, what, from_status, to_status, at, actor, cause, detail from timeline
 where order_id = $1 order by n
"""


async def timeline(tx: Tx, order_id: UUID) -> list[Row]:
    """List what happened to an order, oldest first."""
    return await tx.fetch(TIMELINE, order_id)


HIDE_TOKENS = """
update outbox set hidden = (hidden::jsonb - 'payment_token')::text
 where key = any($1) and type = 'orders.order_placed.v1' and published_at is not null
   and hidden::jsonb ? 'payment_token' and hidden::jsonb ->> 'payment_token' is not null
"""


async def hide_tokens(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Blank the payment tokens of attempts that are decided."""
    await tx.execute(HIDE_TOKENS, [str(order_id) for order_id in order_ids])
