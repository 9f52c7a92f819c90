"""Statements that place orders, many at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.chassis.tokens import Caller
from merkato.contracts.values import Address, Contact
from merkato.orders.domain.pricing import Priced


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """All that is written when an order is placed."""

    id: UUID
    number: str
    principal: str
    key: str
    fingerprint: bytes
    customer_id: UUID | None
    cart_id: UUID | None
    cart_version: int | None
    locale: str
    payment_method: str
    payment_token: str | None
    priced: Priced
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    metadata: dict[str, str]
    placed_at: datetime
    pay_until: datetime
    look_at: datetime
    reference: str | None = None
    reference_time: datetime | None = None
    placed_by: Caller | None = None  # who placed it for somebody else, or at prices agreed on
    coupon_customer: str | None = None  # whose use of the coupon it is


class Wish(msgspec.Struct, frozen=True):
    """Who wants to place an order under which key."""

    principal: str
    key: str
    customer_id: UUID | None


class Known(msgspec.Struct, frozen=True):
    """What is known of a wish: the order that has its key, and by which list the customer pays."""

    existing: Row | None
    price_list: str


KNOWN = """
select o.id, o.fingerprint, coalesce(l.price_list, 'standard') as price_list
  from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality
       k(principal, key, customer_id, n)
  left join orders o on o.principal = k.principal and o.idempotency_key = k.key
  left join customer_price_lists l on l.customer_id = k.customer_id
 order by k.n
"""


async def known(tx: Tx, wishes: Sequence[Wish]) -> list[Known]:
    """Tell for each wish, in order, whether its key has an order, and the customer's price list."""
    rows = await tx.fetch(
        KNOWN,
        [wish.principal for wish in wishes],
        [wish.key for wish in wishes],
        [wish.customer_id for wish in wishes],
    )
    return [Known(row if row["id"] else None, row["price_list"]) for row in rows]


BY_KEYS = """
select o.id, o.principal, o.idempotency_key, o.fingerprint
  from orders o join unnest($1::text[], $2::text[]) k(principal, key)
    on o.principal = k.principal and o.idempotency_key = k.key
"""


async def by_keys(tx: Tx, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    """Map (principal, key) to the order that has it."""
    rows = await tx.fetch(BY_KEYS, [p for p, _ in keys], [k for _, k in keys])
    return {(row["principal"], row["idempotency_key"]): row for row in rows}


CLOSE_CARTS = """
update carts c set status = 'ordered', updated_at = clock_timestamp()
  from (select id, version from carts join unnest($1::uuid[], $2::bigint[]) w(id, version)
         using (id, version) where status = 'open' order by id for update) w
 where c.id = w.id returning c.id
"""


async def close_carts(tx: Tx, carts: Sequence[tuple[UUID, int]]) -> set[UUID]:
    """Take open carts of just these versions; give those that were."""
    rows = await tx.fetch(CLOSE_CARTS, [c for c, _ in carts], [v for _, v in carts])
    return {row["id"] for row in rows}


OPEN_AGAIN = "update carts set status = 'open' where id = any($1)"


async def open_again(tx: Tx, cart_ids: Sequence[UUID]) -> None:
    """Undo close_carts for orders that were not placed after all."""
    await tx.execute(OPEN_AGAIN, sorted(cart_ids))


PLACE = """
with wanted as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::uuid[],
                         $7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bool[],
                         $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::int[],
                         $18::bigint[], $19::bigint[], $20::jsonb[], $21::timestamptz[],
                         $22::timestamptz[], $23::timestamptz[], $24::jsonb[], $25::jsonb[],
                         $26::jsonb[], $27::text[], $28::timestamptz[], $29::bigint[],
                         $30::text[])
           o(id, number, principal, key, fingerprint, customer_id, cart_id, currency, locale,
             payment_method, shipping_method, tax_included, items_minor, shipping_minor,
             shipping_net_minor, shipping_tax_minor, shipping_rate_bp, tax_minor, grand_minor,
             metadata, placed_at, pay_until, look_at, contact, shipping_address, billing_address,
             reference, reference_time, discount_minor, coupon)),
lines as (
    select * from unnest($31::uuid[], $32::int[], $33::text[], $34::bigint[], $35::int[],
                         $36::text[], $37::jsonb[], $38::text[], $39::text[], $40::bigint[],
                         $41::bigint[], $42::text[], $43::int[], $44::bigint[], $45::bigint[],
                         $46::bigint[], $47::bool[], $48::bool[])
           l(order_id, line_no, sku, version, quantity, title, options, image, price_list,
             list_price_minor, unit_price_minor, tax_class, rate_bp, net_minor, tax_minor,
             gross_minor, tracked, requires_shipping)),
stale as (
    select distinct l.order_id from lines l left join offers f on f.sku = l.sku
     where f.version is distinct from l.version),
new as (
    insert into orders (id, number, principal, idempotency_key, fingerprint, customer_id, cart_id,
                        status, payment_status, steps, currency, locale, payment_method,
                        shipping_method, tax_included, items_minor, shipping_minor,
                        shipping_net_minor, shipping_tax_minor, shipping_rate_bp, tax_minor,
                        grand_minor, metadata, placed_at, pay_until, changed_at, reference,
                        reference_time, discount_minor, coupon, country)
    select id, number, principal, key, fingerprint, customer_id, cart_id, 'placed', 'due', 1,
           currency, locale, payment_method, shipping_method, tax_included, items_minor,
           shipping_minor, shipping_net_minor, shipping_tax_minor, shipping_rate_bp, tax_minor,
           grand_minor, metadata, placed_at, pay_until, placed_at, reference, reference_time,
           discount_minor, coupon, coalesce(shipping_address, billing_address) ->> 'country'
      from wanted where id not in (select order_id from stale)
     order by principal, key
        on conflict do nothing returning id),
contacts as (
    insert into order_contacts (order_id, contact, shipping_address, billing_address)
    select id, contact, shipping_address, billing_address from wanted join new using (id)),
goods as (
    insert into order_lines (order_id, line_no, sku, quantity, title, options, image, price_list,
                             list_price_minor, unit_price_minor, tax_class, rate_bp, net_minor,
                             tax_minor, gross_minor, tracked, requires_shipping)
    select order_id, line_no, sku, quantity, title, options, image, price_list, list_price_minor,
           unit_price_minor, tax_class, rate_bp, net_minor, tax_minor, gross_minor, tracked,
           requires_shipping
      from lines where order_id in (select id from new)),
steps as (
    insert into timeline (order_id, n, what, from_status, to_status, at, actor)
    select id, 1, 'placed', null, 'placed', placed_at, principal from wanted join new using (id)),
watched as (
    insert into standing (order_id, look_at) select id, look_at from wanted join new using (id))
select id, id in (select order_id from stale) as stale, id in (select id from new) as placed
  from wanted
"""


async def place(tx: Tx, orders: Sequence[NewOrder]) -> dict[UUID, Row]:
    """Write orders with contacts, lines, first step and watch, in one statement.

    Gives for each whether it is `placed`, or `stale`: an offer is no longer what was priced. One
    that is neither found its key, its cart, its number or its reference taken.
    """
    columns = [list(column) for column in zip(*map(_order, orders), strict=True)]
    lines = [row for order in orders for row in _lines(order)]
    columns += [list(column) for column in zip(*lines, strict=True)]
    return {row["id"]: row for row in await tx.fetch(PLACE, *columns)}


def _order(order: NewOrder) -> tuple[Any, ...]:
    priced, shipping = order.priced, order.priced.shipping
    return (
        order.id, order.number, order.principal, order.key, order.fingerprint, order.customer_id,
        order.cart_id, priced.currency, order.locale, order.payment_method,
        priced.shipping_method, priced.tax_included, priced.items_minor, shipping.gross_minor,
        shipping.net_minor, shipping.tax_minor, shipping.rate_bp, priced.tax_minor,
        priced.grand_minor, order.metadata, order.placed_at, order.pay_until, order.look_at,
        order.contact, order.shipping_address, order.billing_address, order.reference,
        order.reference_time, priced.discount_minor, priced.coupon and priced.coupon.code,
    )  # fmt: skip


def _lines(order: NewOrder) -> list[tuple[Any, ...]]:
    return [
        (
            order.id, n, line.offer.sku, line.offer.version, line.quantity, line.title,
            line.offer.options, line.offer.image, line.price_list, line.list_price_minor,
            line.unit_price_minor, line.offer.tax_class, line.share.rate_bp, line.share.net_minor,
            line.share.tax_minor, line.share.gross_minor, line.offer.track_stock,
            line.offer.requires_shipping,
        )
        for n, line in enumerate(order.priced.lines, 1)
    ]  # fmt: skip
