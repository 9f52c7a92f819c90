"""Statements that place orders, many at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
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
    contact: Contact
    shipping_address: Address | None
    billing_address: Address | None
    metadata: dict[str, str]
    placed_at: datetime
    pay_until: datetime
    look_at: datetime


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


INSERT = """
insert into orders (id, number, principal, idempotency_key, fingerprint, customer_id, cart_id,
                    status, payment_status, steps, currency, locale, payment_method,
                    shipping_method, tax_included, items_minor, shipping_minor, shipping_net_minor,
                    shipping_tax_minor, shipping_rate_bp, tax_minor, grand_minor, metadata,
                    placed_at, pay_until, changed_at)
select id, number, principal, key, fingerprint, customer_id, cart_id, 'placed', 'due', 1, currency,
       locale, payment_method, shipping_method, tax_included, items_minor, shipping_minor,
       shipping_net_minor, shipping_tax_minor, shipping_rate_bp, tax_minor, grand_minor, metadata,
       placed_at, pay_until, placed_at
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::uuid[], $7::uuid[],
              $8::text[], $9::text[], $10::text[], $11::text[], $12::bool[], $13::bigint[],
              $14::bigint[], $15::bigint[], $16::bigint[], $17::int[], $18::bigint[],
              $19::bigint[], $20::jsonb[], $21::timestamptz[], $22::timestamptz[])
       o(id, number, principal, key, fingerprint, customer_id, cart_id, currency, locale,
         payment_method, shipping_method, tax_included, items_minor, shipping_minor,
         shipping_net_minor, shipping_tax_minor, shipping_rate_bp, tax_minor, grand_minor,
         metadata, placed_at, pay_until)
 order by principal, key
    on conflict do nothing returning id
"""


async def insert(tx: Tx, orders: Sequence[NewOrder]) -> set[UUID]:
    """Add orders; give those that are new. A key, cart or number that is taken adds nothing."""
    rows = [_columns(order) for order in orders]
    done = await tx.fetch(INSERT, *(list(column) for column in zip(*rows, strict=True)))
    return {row["id"] for row in done}


def _columns(order: NewOrder) -> tuple[Any, ...]:
    priced, shipping = order.priced, order.priced.shipping
    return (
        order.id, order.number, order.principal, order.key, order.fingerprint, order.customer_id,
        order.cart_id, priced.currency, order.locale, order.payment_method,
        priced.shipping_method, priced.tax_included, priced.items_minor, shipping.gross_minor,
        shipping.net_minor, shipping.tax_minor, shipping.rate_bp, priced.tax_minor,
        priced.grand_minor, order.metadata, order.placed_at, order.pay_until,
    )  # fmt: skip


INSERT_CONTACTS = """
insert into order_contacts (order_id, contact, shipping_address, billing_address)
select * from unnest($1::uuid[], $2::jsonb[], $3::jsonb[], $4::jsonb[])
"""
INSERT_LINES = """
insert into order_lines (order_id, line_no, sku, quantity, title, options, image, price_list,
                         list_price_minor, unit_price_minor, tax_class, rate_bp, net_minor,
                         tax_minor, gross_minor, tracked, requires_shipping)
select *
  from unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::jsonb[], $7::text[],
              $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::int[], $13::bigint[],
              $14::bigint[], $15::bigint[], $16::bool[], $17::bool[])
"""
INSERT_STANDING = """
insert into standing (order_id, look_at) select * from unnest($1::uuid[], $2::timestamptz[])
"""
INSERT_TIMELINE = """
insert into timeline (order_id, n, what, from_status, to_status, at, actor)
select id, 1, 'placed', null, 'placed', at, actor
  from unnest($1::uuid[], $2::timestamptz[], $3::text[]) t(id, at, actor)
"""


async def insert_details(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Add contacts, lines and the first step of orders just inserted, and watch them."""
    await insert_contacts(tx, orders)
    await insert_lines(tx, orders)
    await insert_first_steps(tx, orders)
    await watch(tx, orders)


async def insert_contacts(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Add what is personal about orders."""
    await tx.execute(
        INSERT_CONTACTS,
        [order.id for order in orders],
        [order.contact for order in orders],
        [order.shipping_address for order in orders],
        [order.billing_address for order in orders],
    )


async def insert_lines(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Add the lines of orders."""
    rows = [
        (
            order.id, n, line.offer.sku, line.quantity, line.title, line.offer.options,
            line.offer.image, "standard", line.list_price_minor, line.unit_price_minor,
            line.offer.tax_class, line.share.rate_bp, line.share.net_minor, line.share.tax_minor,
            line.share.gross_minor, line.offer.track_stock, line.offer.requires_shipping,
        )
        for order in orders
        for n, line in enumerate(order.priced.lines, 1)
    ]  # fmt: skip
    await tx.execute(INSERT_LINES, *(list(column) for column in zip(*rows, strict=True)))


async def watch(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Have orders asked about should they stand still."""
    await tx.execute(
        INSERT_STANDING, [order.id for order in orders], [order.look_at for order in orders]
    )


async def insert_first_steps(tx: Tx, orders: Sequence[NewOrder]) -> None:
    """Begin the timelines of orders."""
    await tx.execute(
        INSERT_TIMELINE,
        [order.id for order in orders],
        [order.placed_at for order in orders],
        [order.principal for order in orders],
    )
