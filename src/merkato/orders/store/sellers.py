"""Statements about who sells."""

from datetime import datetime
from typing import Any

import msgspec

from merkato.chassis.db import Tx
from merkato.config import Seller

KEEP = """
insert into sellers (seller)
select $1 where $1 is distinct from
       (select seller from sellers order by valid_from desc limit 1)
"""


async def keep(tx: Tx, seller: Seller) -> int:
    """Note who sells from now on, if that is somebody else than before. Gives 1 then."""
    return await tx.execute(KEEP, msgspec.to_builtins(seller))


AT = """
select seller from sellers
 order by valid_from <= $1 desc, case when valid_from <= $1 then valid_from end desc, valid_from
 limit 1
"""


async def at(tx: Tx, moment: datetime) -> Any | None:
    """Say who sold at a time; of before anything was noted, who came first."""
    return await tx.fetchval(AT, moment)
