"""Statements that set prices of many skus at once."""

from collections.abc import Sequence
from uuid import UUID

from merkato.catalog.domain.prices import SetPrice
from merkato.catalog.domain.products import ALWAYS
from merkato.chassis.db import Tx

FIND = "select sku, product_id from variants where lower(sku) = any($1)"


async def find(tx: Tx, skus: Sequence[str]) -> dict[str, tuple[str, UUID]]:
    """Map skus in lower case to how they are spelled, and to their products."""
    rows = await tx.fetch(FIND, [sku.lower() for sku in skus])
    return {row["sku"].lower(): (row["sku"], row["product_id"]) for row in rows}


DROP = """
delete from prices p using unnest($1::text[], $2::text[], $3::text[], $4::int[])
       n(sku, price_list, currency, from_quantity)
 where p.sku = n.sku and p.price_list = n.price_list and p.currency = n.currency
   and p.from_quantity = n.from_quantity and p.valid_from <= clock_timestamp()
"""


async def drop(tx: Tx, rows: Sequence[SetPrice]) -> None:
    """Forget what was valid until now in the place of these; what will be valid later stays."""
    await tx.execute(
        DROP, [r.sku for r in rows], [r.price_list for r in rows], [r.currency for r in rows],
        [r.from_quantity for r in rows],
    )  # fmt: skip


ADD = """
insert into prices (sku, price_list, currency, from_quantity, valid_from, amount_minor)
select sku, price_list, currency, from_quantity, $5::timestamptz, amount_minor
  from unnest($1::text[], $2::text[], $3::text[], $4::int[], $6::bigint[])
       n(sku, price_list, currency, from_quantity, amount_minor)
"""


async def add(tx: Tx, rows: Sequence[SetPrice]) -> None:
    """Keep prices that are valid from now on, and always were, as far as anybody asks."""
    await tx.execute(
        ADD, [r.sku for r in rows], [r.price_list for r in rows], [r.currency for r in rows],
        [r.from_quantity for r in rows], ALWAYS, [r.amount_minor for r in rows],
    )  # fmt: skip
