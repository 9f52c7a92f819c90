"""Statements that keep price lists."""

from collections.abc import Sequence

import msgspec

from merkato.catalog.domain.price_lists import NewPriceList, PriceList
from merkato.chassis.db import Tx

EVERY = "select name, title, tax_included, version from price_lists order by name"


async def every(tx: Tx) -> list[PriceList]:
    """List the price lists by name."""
    return [msgspec.convert(dict(row), PriceList) for row in await tx.fetch(EVERY)]


KEEP = "select name from price_lists where name = any($1) order by name for key share"


async def keep(tx: Tx, names: Sequence[str]) -> set[str]:
    """Tell which of these lists there are, and keep others from removing them."""
    return {row["name"] for row in await tx.fetch(KEEP, list(names))}


LOCK = "select name, title, tax_included, version from price_lists where name = $1 for update"


async def lock(tx: Tx, name: str) -> PriceList | None:
    """Read a price list and keep others from changing it and from adding prices to it."""
    row = await tx.fetchrow(LOCK, name)
    return row and msgspec.convert(dict(row), PriceList)


INSERT = """
insert into price_lists (name, title, tax_included)
select $1, $2, $3 where (select count(*) from price_lists) < $4
on conflict do nothing returning name
"""


async def insert(tx: Tx, new: NewPriceList, most: int) -> bool:
    """Keep a new list; False when its name is taken or there are `most` already."""
    return (await tx.fetchval(INSERT, new.name, new.title, new.tax_included, most)) is not None


UPDATE = """
update price_lists set title = $2, tax_included = $3, version = version + 1 where name = $1
"""


async def update(tx: Tx, after: PriceList) -> None:
    """Keep a list that changed; its version grows."""
    await tx.execute(UPDATE, after.name, after.title, after.tax_included)


SAY_ANEW = "update prices set said = false where price_list = $1 and said"


async def say_anew(tx: Tx, name: str) -> None:
    """Have every price of a list told again: it means something else now."""
    await tx.execute(SAY_ANEW, name)


HAS_PRICES = "select exists (select from prices where price_list = $1)"


async def has_prices(tx: Tx, name: str) -> bool:
    """Tell whether anything has a price on a list."""
    return bool(await tx.fetchval(HAS_PRICES, name))


DELETE = "delete from price_lists where name = $1"


async def delete(tx: Tx, name: str) -> None:
    """Forget a list without prices."""
    await tx.execute(DELETE, name)
