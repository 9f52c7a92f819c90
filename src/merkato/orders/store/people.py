"""Statements about the people who ordered."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from merkato.chassis.db import Row, Tx

Place = tuple[datetime, UUID]

GUESTS_ORDERS = "select id from orders where id = any($1) and customer_id is null"


async def guests_orders(tx: Tx, order_ids: Sequence[UUID]) -> list[UUID]:
    """Name those of some orders that are of guests."""
    return [row["id"] for row in await tx.fetch(GUESTS_ORDERS, list(order_ids))]


LOCK = """
select id, customer_id, cart_id from orders where customer_id = any($1) or id = any($2)
 order by id for no key update
"""


async def lock(tx: Tx, users: Sequence[UUID], order_ids: Sequence[UUID]) -> list[Row]:
    """Lock all orders of users, and those named, by id."""
    return await tx.fetch(LOCK, list(users), list(order_ids))


REACHED_BY = """
select c.order_id, o.customer_id from order_contacts c join orders o on o.id = c.order_id
 where lower(c.contact ->> 'email') = any($1)
"""


async def reached_by(tx: Tx, emails: Sequence[str]) -> list[Row]:
    """Find the orders whose buyer gave one of these addresses, in lower case."""
    return await tx.fetch(REACHED_BY, list(emails))


ORDERS_OF = """
select id, placed_at from orders
 where customer_id = $1 and ($2::timestamptz is null or (placed_at, id) > ($2, $3))
 order by placed_at, id limit $4
"""


async def orders_of(tx: Tx, user_id: UUID, after: Place | None, limit: int) -> list[Row]:
    """Name a user's orders, oldest first, from after a place among them."""
    return await tx.fetch(ORDERS_OF, user_id, *(after or (None, None)), limit)


TIMELINES = """
select order_id, n, what, from_status, to_status, at, actor, detail from timeline
 where order_id = any($1) order by order_id, n
"""


async def timelines(tx: Tx, order_ids: Sequence[UUID]) -> list[Row]:
    """List what happened to orders, oldest first for each."""
    return await tx.fetch(TIMELINES, list(order_ids))


CARTS_OF = """
select c.id, c.status, c.currency, c.locale, c.contact, c.shipping_address, c.billing_address,
       c.metadata, c.created_at, c.updated_at,
       (select coalesce(jsonb_agg(jsonb_build_object('sku', l.sku, 'quantity', l.quantity)
                                  order by l.added_at, l.line_id), '[]')
          from cart_lines l where l.cart_id = c.id) as lines
  from carts c
 where c.customer_id = $1 and ($2::timestamptz is null or (c.created_at, c.id) > ($2, $3))
 order by c.created_at, c.id limit $4
"""


async def carts_of(tx: Tx, user_id: UUID, after: Place | None, limit: int) -> list[Row]:
    """List a user's carts, those that were ordered too, oldest first."""
    return await tx.fetch(CARTS_OF, user_id, *(after or (None, None)), limit)


FORGET_CONTACTS = """
update order_contacts set contact = null, shipping_address = null, billing_address = null
 where order_id = any($1)
"""


async def forget_contacts(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Overwrite who bought; what was bought for how much stays."""
    await tx.execute(FORGET_CONTACTS, list(order_ids))


FORGET_NOTES = "update orders set metadata = '{}' where id = any($1) and metadata <> '{}'"


async def forget_notes(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Empty the notes of callers on locked orders."""
    await tx.execute(FORGET_NOTES, list(order_ids))


FORGET_WORDS = """
update timeline set detail = null
 where order_id = any($1) and detail is not null and actor ~ '^(user|cart|key):'
"""


async def forget_words(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Blank what people wrote when they moved an order; that they moved it stays."""
    await tx.execute(FORGET_WORDS, list(order_ids))


FORGET_RETURNS = """
update returns set note = null, rejection = null
 where order_id = any($1) and (note is not null or rejection is not null)
"""


async def forget_returns(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Blank what was written about returns, by whom it comes from and to whom."""
    await tx.execute(FORGET_RETURNS, list(order_ids))


FORGET_CREDITS = "update credits set reason = null where order_id = any($1) and reason is not null"


async def forget_credits(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Blank what staff wrote to the customer about credits; their amounts stay."""
    await tx.execute(FORGET_CREDITS, list(order_ids))


FORGET_CARTS = """
update carts set contact = null, shipping_address = null, billing_address = null, metadata = '{}'
 where customer_id = any($1) or id = any($2)
"""


async def forget_carts(tx: Tx, users: Sequence[UUID], cart_ids: Sequence[UUID]) -> None:
    """Overwrite whom carts are for."""
    await tx.execute(FORGET_CARTS, list(users), list(cart_ids))
