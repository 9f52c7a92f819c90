"""Statements about carts. Whoever writes takes the cart's row first, by raising its version."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.contracts.values import Address, Contact


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """So many of a sku in a cart."""

    line_id: UUID
    sku: str
    quantity: int


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart with its lines."""

    id: UUID
    customer_id: UUID | None
    status: str
    version: int
    currency: str
    locale: str
    contact: Contact | None
    shipping_address: Address | None
    billing_address: Address | None
    shipping_method: str | None
    metadata: dict[str, str]
    updated_at: datetime
    lines: tuple[CartLine, ...] = ()


INSERT = """
insert into carts (id, customer_id, currency, locale) values ($1, $2, $3, $4) returning updated_at
"""


async def insert(
    tx: Tx, cart_id: UUID, customer_id: UUID | None, currency: str, locale: str
) -> datetime:
    """Add an empty cart."""
    updated_at: datetime = await tx.fetchval(INSERT, cart_id, customer_id, currency, locale)
    return updated_at


CART = """
select c.id, c.customer_id, c.status, c.version, c.currency, c.locale, c.contact,
       c.shipping_address, c.billing_address, c.shipping_method, c.metadata, c.updated_at,
       coalesce((select json_agg(json_build_object('line_id', l.line_id, 'sku', l.sku,
                                                   'quantity', l.quantity)
                                 order by l.added_at, l.line_id)
                   from cart_lines l where l.cart_id = c.id), '[]') as lines
  from carts c where c.id = $1
"""


async def cart(tx: Tx, cart_id: UUID) -> Cart | None:
    """Read a cart and its lines at one moment."""
    row = await tx.fetchrow(CART, cart_id)
    return msgspec.convert(dict(row), Cart) if row else None


ADD_LINE = """
with c as (update carts set version = version + 1, updated_at = clock_timestamp()
            where id = $1 and status = 'open' returning id)
insert into cart_lines as l (cart_id, line_id, sku, quantity)
select id, $2, $3, $4 from c
    on conflict (cart_id, sku) do update set quantity = l.quantity + excluded.quantity
returning line_id
"""


async def add_line(tx: Tx, cart_id: UUID, line_id: UUID, sku: str, quantity: int) -> bool:
    """Add pieces of a sku to an open cart, in one statement. False when the cart is not open."""
    return await tx.fetchval(ADD_LINE, cart_id, line_id, sku, quantity) is not None


SET_LINE = """
with c as (update carts set version = version + 1, updated_at = clock_timestamp()
            where id = $1 and status = 'open' returning id)
update cart_lines l set quantity = $3 from c where l.cart_id = c.id and l.line_id = $2
returning l.line_id
"""


async def set_line(tx: Tx, cart_id: UUID, line_id: UUID, quantity: int) -> bool:
    """Set how many a line has. False when there is no such line in an open cart."""
    return await tx.fetchval(SET_LINE, cart_id, line_id, quantity) is not None


DROP_LINE = """
with c as (update carts set version = version + 1, updated_at = clock_timestamp()
            where id = $1 and status = 'open' returning id)
delete from cart_lines l using c where l.cart_id = c.id and l.line_id = $2
"""


async def drop_line(tx: Tx, cart_id: UUID, line_id: UUID) -> None:
    """Take a line out. Harmless to repeat."""
    await tx.execute(DROP_LINE, cart_id, line_id)


UPDATE = """
update carts set version = version + 1, updated_at = clock_timestamp(), locale = $2, contact = $3,
       shipping_address = $4, billing_address = $5, shipping_method = $6, metadata = $7
 where id = $1 and status = 'open' and version = $8
"""


async def update(tx: Tx, new: Cart) -> bool:
    """Write a cart's details if it is still the version `new` was made from."""
    values: tuple[Any, ...] = (
        new.locale, new.contact, new.shipping_address, new.billing_address, new.shipping_method,
        new.metadata, new.version,
    )  # fmt: skip
    return await tx.execute(UPDATE, new.id, *values) == 1


DELETE = "delete from carts where id = $1 and status = 'open'"


async def delete(tx: Tx, cart_id: UUID) -> None:
    """Throw an open cart away. Harmless to repeat."""
    await tx.execute(DELETE, cart_id)


LOCK = "select id, status from carts where id = any($1) order by id for update"


async def lock(tx: Tx, *cart_ids: UUID) -> dict[UUID, str]:
    """Map carts to their status, locked by id."""
    return {row["id"]: row["status"] for row in await tx.fetch(LOCK, list(cart_ids))}


POUR = """
insert into cart_lines as l (cart_id, line_id, sku, quantity)
select $2, line_id, sku, quantity from cart_lines where cart_id = $1
    on conflict (cart_id, sku) do update
   set quantity = least(1000000, l.quantity + excluded.quantity)
"""
MERGED = "update carts set status = 'merged', version = version + 1 where id = $1"
TOUCH = "update carts set version = version + 1, updated_at = clock_timestamp() where id = $1"


async def pour(tx: Tx, source: UUID, target: UUID) -> None:
    """Pour one locked cart's lines into another."""
    await tx.execute(POUR, source, target)


async def mark_merged(tx: Tx, cart_id: UUID) -> None:
    """Close a cart whose lines went elsewhere."""
    await tx.execute(MERGED, cart_id)


async def touch(tx: Tx, cart_id: UUID) -> None:
    """Raise a cart's version."""
    await tx.execute(TOUCH, cart_id)


ORDERED = "select id from orders where cart_id = $1"


async def order_of(tx: Tx, cart_id: UUID) -> UUID | None:
    """Give the order a cart became."""
    order_id: UUID | None = await tx.fetchval(ORDERED, cart_id)
    return order_id


MINE = """
select id from carts where customer_id = $1 and status = 'open' order by updated_at desc limit 1
"""


async def newest_of(tx: Tx, customer_id: UUID) -> UUID | None:
    """Give a customer's open cart that was used last."""
    cart_id: UUID | None = await tx.fetchval(MINE, customer_id)
    return cart_id
