"""Statements about coupons and their uses. Lock order: coupons by code, before orders are added."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.orders.domain.coupons import Coupon, CouponBody

COUPON = """
select code, kind, basis_points, amounts, minimum, valid_from, valid_until, uses_max,
       uses_per_customer_max, note, uses, archived, version
  from coupons where code = any($1)
"""


async def coupons(tx: Tx, codes: Sequence[str]) -> dict[str, Coupon]:
    """Map each code that exists to its coupon."""
    rows = await tx.fetch(COUPON, list(codes))
    return {row["code"]: msgspec.convert(dict(row), Coupon) for row in rows}


LIST = """
select code, kind, basis_points, amounts, minimum, valid_from, valid_until, uses_max,
       uses_per_customer_max, note, uses, archived, version
  from coupons where code > $1 and (archived is false or $2) order by code limit $3
"""


async def list_coupons(tx: Tx, after: str, archived: bool, limit: int) -> list[Coupon]:
    """List coupons by code."""
    return [
        msgspec.convert(dict(row), Coupon) for row in await tx.fetch(LIST, after, archived, limit)
    ]


LOCK = """
select code, kind, basis_points, amounts, minimum, valid_from, valid_until, uses_max,
       uses_per_customer_max, note, uses, archived, version,
       not archived and coalesce(valid_from <= clock_timestamp(), true)
       and coalesce(valid_until > clock_timestamp(), true) as valid
  from coupons where code = any($1) order by code for no key update
"""


async def lock(tx: Tx, codes: Sequence[str]) -> dict[str, tuple[Coupon, bool]]:
    """Map codes to coupons, locked by code, and whether each is valid by the database's clock."""
    found = {}
    for row in await tx.fetch(LOCK, sorted(set(codes))):
        columns = dict(row)
        valid: bool = columns.pop("valid")
        found[row["code"]] = (msgspec.convert(columns, Coupon), valid)
    return found


OF_CUSTOMERS = """
select code, customer, uses from coupon_customers
  join unnest($1::text[], $2::text[]) w(code, customer) using (code, customer)
"""


async def of_customers(tx: Tx, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Map (code, customer) to how often they use it; the coupons are locked."""
    rows = await tx.fetch(OF_CUSTOMERS, [code for code, _ in pairs], [who for _, who in pairs])
    return {(row["code"], row["customer"]): row["uses"] for row in rows}


HOLD = """
with w as (select * from unnest($1::uuid[], $2::text[], $3::text[]) w(order_id, code, customer)),
counted as (
    update coupons c set uses = c.uses + n.uses
      from (select code, count(*) as uses from w group by code) n
     where c.code = n.code and (c.uses_max is null or c.uses + n.uses <= c.uses_max)
    returning c.code),
of_customers as (
    insert into coupon_customers as k (code, customer, uses)
    select code, customer, count(*) from w group by code, customer order by code, customer
        on conflict (code, customer) do update set uses = k.uses + excluded.uses
     where not exists (select from coupons c where c.code = k.code
                          and c.uses_per_customer_max < k.uses + excluded.uses)
    returning code, customer)
insert into coupon_uses (order_id, code, customer, state)
select order_id, code, customer, 'held' from w
 where code in (select code from counted)
   and (code, customer) in (select code, customer from of_customers)
"""


async def hold(tx: Tx, uses: Sequence[tuple[UUID, str, str]]) -> int:
    """Hold coupons for orders: order, code, customer. Gives how many; all of them or a bug.

    The coupons are locked; the guards of the statement refuse what would be beyond a limit.
    """
    return await tx.execute(HOLD, *(list(column) for column in zip(*uses, strict=True)))


ADJUST = """
insert into adjustments (order_id, n, line_no, source, code, amount_minor)
select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::bigint[])
"""


async def adjust(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write what was taken off orders: order, n, line or None, source, code, amount."""
    await tx.execute(ADJUST, *(list(column) for column in zip(*rows, strict=True)))


USE = """
update coupon_uses set state = 'used', at = clock_timestamp()
 where order_id = any($1) and state = 'held'
"""


async def use(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Note that orders were confirmed. They are locked; harmless to repeat."""
    await tx.execute(USE, list(order_ids))


LOCK_OF_ORDERS = """
select code from coupons
 where code in (select code from coupon_uses where order_id = any($1)) order by code
   for no key update
"""
FREE = """
with freed as (
    update coupon_uses set state = 'freed', at = clock_timestamp()
     where order_id = any($1) and state <> 'freed' returning code, customer),
fewer as (
    update coupon_customers k set uses = k.uses - n.uses
      from (select code, customer, count(*) as uses from freed group by code, customer) n
     where k.code = n.code and k.customer = n.customer)
update coupons c set uses = c.uses - n.uses
  from (select code, count(*) as uses from freed group by code) n where c.code = n.code
"""


async def free(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Give back the coupons of cancelled orders, which are locked. Harmless to repeat."""
    await tx.fetch(LOCK_OF_ORDERS, list(order_ids))
    await tx.execute(FREE, list(order_ids))


INSERT = """
insert into coupons (code, kind, basis_points, amounts, minimum, valid_from, valid_until, uses_max,
                     uses_per_customer_max, note)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning code
"""


async def insert(tx: Tx, code: str, body: CouponBody) -> bool:
    """Add a coupon; False when there is one."""
    return await tx.fetchval(INSERT, code, *_says(body)) is not None


UPDATE = """
update coupons set kind = $2, basis_points = $3, amounts = $4, minimum = $5, valid_from = $6,
       valid_until = $7, uses_max = $8, uses_per_customer_max = $9, note = $10, archived = $11,
       version = version + 1
 where code = $1
"""


async def update(tx: Tx, code: str, body: CouponBody, *, archived: bool) -> None:
    """Write what a locked coupon says from now on."""
    await tx.execute(UPDATE, code, *_says(body), archived)


def _says(body: CouponBody) -> tuple[Any, ...]:
    return (
        body.kind.value, body.basis_points, body.amounts, body.minimum, body.valid_from,
        body.valid_until, body.uses_max, body.uses_per_customer_max, body.note,
    )  # fmt: skip


MOST = "select coalesce(max(uses), 0) from coupon_customers where code = $1"


async def most_of_a_customer(tx: Tx, code: str) -> int:
    """Tell how often the customer who uses a coupon most does."""
    most: int = await tx.fetchval(MOST, code)
    return most


USES = """
select u.order_id, o.number, o.customer_id, u.state, u.at
  from coupon_uses u join orders o on o.id = u.order_id
 where u.code = $1 and ($2::timestamptz is null or (u.at, u.order_id) < ($2, $3::uuid))
 order by u.at desc, u.order_id desc limit $4
"""


async def uses(tx: Tx, code: str, before: tuple[Any, UUID] | None, limit: int) -> list[Row]:
    """List the orders that have or had a coupon, by what happened last."""
    at, order_id = before or (None, None)
    return await tx.fetch(USES, code, at, order_id, limit)
