"""Statements about the terms of the shop: tax rates, shipping methods, who pays by which list."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.orders.domain.terms import MethodBody, ShippingMethod, TaxRate, Terms
from merkato.orders.domain.terms import terms as gathered

RATES = "select country, tax_class, basis_points, valid_from from tax_rates"
METHODS = """
select id, position, titles, countries, prices, free_from, weight_steps, weight_max_g, days_min,
       days_max, tax_class, archived, version
  from shipping_methods order by position, id
"""


async def terms(tx: Tx) -> Terms:
    """Read all tax rates and shipping methods; methods in the order they are shown."""
    rates = [msgspec.convert(dict(row), TaxRate) for row in await tx.fetch(RATES)]
    return gathered(rates, await methods(tx))


async def methods(tx: Tx) -> list[ShippingMethod]:
    """Read all shipping methods, archived ones too."""
    return [msgspec.convert(dict(row), ShippingMethod) for row in await tx.fetch(METHODS)]


LOCK_METHOD = """
select id, position, titles, countries, prices, free_from, weight_steps, weight_max_g, days_min,
       days_max, tax_class, archived, version
  from shipping_methods where id = $1 for no key update
"""


async def lock_method(tx: Tx, method_id: str) -> ShippingMethod | None:
    """Read a method and keep others from changing it."""
    row = await tx.fetchrow(LOCK_METHOD, method_id)
    return row and msgspec.convert(dict(row), ShippingMethod)


INSERT_METHOD = """
insert into shipping_methods (id, position, titles, countries, prices, free_from, weight_steps,
                              weight_max_g, days_min, days_max, tax_class)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing returning id
"""


async def insert_method(tx: Tx, method_id: str, body: MethodBody) -> bool:
    """Add a method; False when there is one."""
    return await tx.fetchval(INSERT_METHOD, method_id, *_says(body)) is not None


UPDATE_METHOD = """
update shipping_methods
   set position = $2, titles = $3, countries = $4, prices = $5, free_from = $6, weight_steps = $7,
       weight_max_g = $8, days_min = $9, days_max = $10, tax_class = $11, archived = $12,
       version = version + 1
 where id = $1
"""


async def update_method(tx: Tx, method_id: str, body: MethodBody, *, archived: bool) -> None:
    """Write what a locked method is from now on."""
    await tx.execute(UPDATE_METHOD, method_id, *_says(body), archived)


def _says(body: MethodBody) -> tuple[Any, ...]:
    return (
        body.position, body.titles, body.countries, body.prices, body.free_from, body.weight_steps,
        body.weight_max_g, body.days_min, body.days_max, body.tax_class,
    )  # fmt: skip


LIST_RATES = """
select country, tax_class, valid_from, basis_points from tax_rates
 where ($1::text is null or country = $1) and (country, tax_class, valid_from) > ($2, $3, $4::date)
 order by country, tax_class, valid_from limit $5
"""


async def list_rates(
    tx: Tx, country: str | None, after: tuple[str, str, date], limit: int
) -> list[Row]:
    """List tax rates by country, class and day."""
    return await tx.fetch(LIST_RATES, country, *after, limit)


LOCK_RATE = """
select basis_points from tax_rates
 where country = $1 and tax_class = $2 and valid_from = $3 for update
"""
PUT_RATE = """
insert into tax_rates (country, tax_class, valid_from, basis_points) values ($1, $2, $3, $4)
    on conflict (country, tax_class, valid_from) do update set basis_points = excluded.basis_points
"""
DELETE_RATE = "delete from tax_rates where country = $1 and tax_class = $2 and valid_from = $3"


async def lock_rate(tx: Tx, country: str, tax_class: str, valid_from: date) -> int | None:
    """Read a rate in basis points and keep others from changing it."""
    found: int | None = await tx.fetchval(LOCK_RATE, country, tax_class, valid_from)
    return found


async def put_rate(tx: Tx, rate: TaxRate) -> None:
    """Make or replace a rate. Harmless to repeat."""
    await tx.execute(PUT_RATE, rate.country, rate.tax_class, rate.valid_from, rate.basis_points)


async def delete_rate(tx: Tx, country: str, tax_class: str, valid_from: date) -> None:
    """Remove a rate. Harmless to repeat."""
    await tx.execute(DELETE_RATE, country, tax_class, valid_from)


LIST_OF = "select price_list from customer_price_lists where customer_id = $1 for update"
PUT_LIST = """
insert into customer_price_lists (customer_id, price_list) values ($1, $2)
    on conflict (customer_id) do update set price_list = excluded.price_list
"""
DELETE_LIST = "delete from customer_price_lists where customer_id = $1"
LISTS = """
select customer_id, price_list from customer_price_lists
 where ($1::uuid is null or customer_id > $1) order by customer_id limit $2
"""


async def list_of(tx: Tx, customer_id: UUID) -> str | None:
    """Name the price list of a customer, and keep others from changing it; None: the standard."""
    found: str | None = await tx.fetchval(LIST_OF, customer_id)
    return found


async def put_list(tx: Tx, customer_id: UUID, price_list: str) -> None:
    """Have a customer pay by a list. Harmless to repeat."""
    await tx.execute(PUT_LIST, customer_id, price_list)


async def delete_list(tx: Tx, customer_id: UUID) -> None:
    """Have a customer pay by the standard list again. Harmless to repeat."""
    await tx.execute(DELETE_LIST, customer_id)


async def lists(tx: Tx, after: UUID | None, limit: int) -> Sequence[Row]:
    """List customers who pay by another list than the standard one."""
    return await tx.fetch(LISTS, after, limit)
