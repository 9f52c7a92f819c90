"""Statements about carts. Whoever writes takes the cart's row first, by raising its version.

The three writes of a storefront do not wait for the disk: a server that loses its power forgets
what was put into carts in its last moment, and nothing else. An order is never written so, and by
the order of the log a cart that was ordered is as safe as its order.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.contracts.values import Address, Contact
from merkato.orders.domain.offers import STANDARD


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
    price_list: str = STANDARD
    coupon: str | None = None
    lines: tuple[CartLine, ...] = ()

    def with_line(self, new: "NewLine") -> "Cart":
        """Give the cart as it is once pieces were added: the same sku adds up."""
        lines = {line.sku: line for line in self.lines}
        had = lines.get(new.sku)
        lines[new.sku] = CartLine(
            line_id=had.line_id if had else new.line_id,
            sku=new.sku,
            quantity=new.quantity + (had.quantity if had else 0),
        )
        return msgspec.structs.replace(self, version=self.version + 1, lines=tuple(lines.values()))

    def with_quantity(self, line_id: UUID, quantity: int) -> "Cart":
        """Give the cart as it would be with so many of a line."""
        set_one = msgspec.structs.replace
        lines = (
            set_one(line, quantity=quantity) if line.line_id == line_id else line
            for line in self.lines
        )
        return msgspec.structs.replace(self, lines=tuple(lines))


class NewCart(msgspec.Struct, frozen=True):
    """An empty cart to be."""

    id: UUID
    customer_id: UUID | None
    currency: str
    locale: str


class NewLine(msgspec.Struct, frozen=True):
    """Pieces to be put into a cart."""

    cart_id: UUID
    line_id: UUID
    sku: str
    quantity: int


INSERT = """
insert into carts (id, customer_id, currency, locale)
select id, customer_id, currency, locale
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) c(id, customer_id, currency, locale),
       set_config('synchronous_commit', 'off', true)
    on conflict (id) do update set id = excluded.id returning id, updated_at
"""


async def insert(tx: Tx, new: Sequence[NewCart]) -> dict[UUID, datetime]:
    """Add empty carts; give when each was. Harmless to repeat."""
    rows = await tx.fetch(
        INSERT,
        [cart.id for cart in new],
        [cart.customer_id for cart in new],
        [cart.currency for cart in new],
        [cart.locale for cart in new],
    )
    return {row["id"]: row["updated_at"] for row in rows}


CARTS = """
select c.id, c.customer_id, c.status, c.version, c.currency, c.locale, c.contact,
       c.shipping_address, c.billing_address, c.shipping_method, c.metadata, c.updated_at, c.coupon,
       coalesce((select p.price_list from customer_price_lists p
                  where p.customer_id = c.customer_id), 'standard') as price_list,
       coalesce((select json_agg(json_build_object('line_id', l.line_id, 'sku', l.sku,
                                                   'quantity', l.quantity)
                                 order by l.added_at, l.line_id)
                   from cart_lines l where l.cart_id = c.id), '[]') as lines
  from carts c where c.id = any($1)
"""


async def carts(tx: Tx, cart_ids: Sequence[UUID]) -> dict[UUID, Cart]:
    """Map carts to themselves with their lines, read at one moment."""
    rows = await tx.fetch(CARTS, list(cart_ids))
    return {row["id"]: msgspec.convert(dict(row), Cart) for row in rows}


async def cart(tx: Tx, cart_id: UUID) -> Cart | None:
    """Read one cart."""
    return (await carts(tx, [cart_id])).get(cart_id)


ADD_LINES = """
with ready as (select id from carts where id = any($1) and status = 'open' order by id for update),
c as (update carts set version = version + 1, updated_at = clock_timestamp()
       where id in (select id from ready) returning id, version),
added as (
    insert into cart_lines as l (cart_id, line_id, sku, quantity)
    select c.id, w.line_id, w.sku, w.quantity
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) w(cart_id, line_id, sku, quantity)
      join c on c.id = w.cart_id, set_config('synchronous_commit', 'off', true)
        on conflict (cart_id, sku) do update set quantity = l.quantity + excluded.quantity)
select id, version from c
"""


async def add_lines(tx: Tx, lines: Sequence[NewLine]) -> dict[UUID, int]:
    """Add pieces to open carts, one line a cart; give the new versions of those that were open."""
    rows = await tx.fetch(
        ADD_LINES,
        [line.cart_id for line in lines],
        [line.line_id for line in lines],
        [line.sku for line in lines],
        [line.quantity for line in lines],
    )
    return {row["id"]: row["version"] for row in rows}


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
with w as (select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[],
                                $6::jsonb[], $7::text[], $8::jsonb[])
             w(id, version, locale, contact, shipping, billing, method, metadata)),
     ready as (select c.id from carts c join w using (id, version) where c.status = 'open'
                order by c.id for update of c)
update carts c set version = c.version + 1, updated_at = clock_timestamp(), locale = w.locale,
       contact = w.contact, shipping_address = w.shipping, billing_address = w.billing,
       shipping_method = w.method, metadata = w.metadata
  from w join ready using (id), set_config('synchronous_commit', 'off', true)
 where c.id = w.id returning c.id
"""


async def update(tx: Tx, new: Sequence[Cart]) -> set[UUID]:
    """Write details of carts that are still of the version `new` was made from; give those.

    Repeated after it was written it changes nothing, and gives none.
    """
    rows = await tx.fetch(
        UPDATE,
        [cart.id for cart in new],
        [cart.version for cart in new],
        [cart.locale for cart in new],
        [cart.contact for cart in new],
        [cart.shipping_address for cart in new],
        [cart.billing_address for cart in new],
        [cart.shipping_method for cart in new],
        [cart.metadata for cart in new],
    )
    return {row["id"] for row in rows}


SET_COUPON = """
update carts set coupon = $2, version = version + 1, updated_at = clock_timestamp()
 where id = $1 and status = 'open' returning id
"""


async def set_coupon(tx: Tx, cart_id: UUID, code: str | None) -> bool:
    """Put a coupon on an open cart, or take it off. False when it is not open."""
    return await tx.fetchval(SET_COUPON, cart_id, code) is not None


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
TOUCH = """
update carts set version = version + 1, updated_at = clock_timestamp(),
       coupon = coalesce(coupon, (select coupon from carts where id = $2))
 where id = $1
"""


async def pour(tx: Tx, source: UUID, target: UUID) -> None:
    """Pour one locked cart's lines into another."""
    await tx.execute(POUR, source, target)


LINES = "select count(*) from cart_lines where cart_id = $1"


async def line_count(tx: Tx, cart_id: UUID) -> int:
    """Count the lines of a cart."""
    count: int = await tx.fetchval(LINES, cart_id)
    return count


async def mark_merged(tx: Tx, cart_id: UUID) -> None:
    """Close a cart whose lines went elsewhere."""
    await tx.execute(MERGED, cart_id)


async def touch(tx: Tx, cart_id: UUID, source: UUID) -> None:
    """Raise the version of a cart that another was poured into, and take over its coupon."""
    await tx.execute(TOUCH, cart_id, source)


MINE = """
select id from carts where customer_id = $1 and status = 'open' order by updated_at desc limit 1
"""


async def newest_of(tx: Tx, customer_id: UUID) -> UUID | None:
    """Give a customer's open cart that was used last."""
    cart_id: UUID | None = await tx.fetchval(MINE, customer_id)
    return cart_id
