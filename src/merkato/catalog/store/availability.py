"""Statements that keep what inventory said last of each sku."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.contracts.inventory import StockChanged

KEEP = """
insert into availability as a (sku_key, available, version, level)
select * from unnest($1::text[], $2::int[], $3::bigint[], $4::text[])
on conflict (sku_key) do update
   set available = excluded.available, version = excluded.version, level = excluded.level
 where a.version < excluded.version
returning sku_key, old.level is distinct from new.level as turned
"""


async def keep(tx: Tx, newest: Mapping[str, StockChanged], levels: Mapping[str, str]) -> list[str]:
    """Keep what is newer than what was known, by lower-case sku; give those whose level changed."""
    keys = sorted(newest)
    rows = await tx.fetch(
        KEEP, keys, [newest[key].available for key in keys],
        [newest[key].version for key in keys], [levels[key] for key in keys],
    )  # fmt: skip
    return [row["sku_key"] for row in rows if row["turned"]]


PRODUCTS_OF = "select distinct product_id from variants where lower(sku) = any($1)"


async def products_of(tx: Tx, sku_keys: Sequence[str]) -> list[UUID]:
    """List the products that have one of these lower-case skus."""
    return [row["product_id"] for row in await tx.fetch(PRODUCTS_OF, list(sku_keys))]
