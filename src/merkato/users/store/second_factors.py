"""Statements over second factors. The user's row is locked."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from merkato.chassis.db import Tx

BEGIN = """
insert into second_factors (user_id, sealed) values ($1, $2)
on conflict (user_id) do update set sealed = excluded.sealed, begun_at = clock_timestamp()
 where second_factors.confirmed_at is null
returning user_id
"""


async def begin(tx: Tx, user_id: UUID, sealed: str) -> bool:
    """Keep a secret that is to be confirmed; False when one was confirmed before."""
    return await tx.fetchval(BEGIN, user_id, sealed) is not None


class SecondFactor(NamedTuple):
    """Somebody's second factor, and the database's time."""

    sealed: str
    confirmed: bool
    last_step: int
    now: datetime


READ = """
select sealed, confirmed_at is not null, last_step, clock_timestamp() from second_factors
 where user_id = $1
"""


async def read(tx: Tx, user_id: UUID) -> SecondFactor | None:
    """Read a second factor."""
    row = await tx.fetchrow(READ, user_id)
    return SecondFactor(*row) if row else None


IS_ON = "select exists (select from second_factors where user_id = $1 and confirmed_at is not null)"


async def is_on(tx: Tx, user_id: UUID) -> bool:
    """Tell whether somebody's logins need a code."""
    found: bool = await tx.fetchval(IS_ON, user_id)
    return found


USE = """
update second_factors set last_step = $2, confirmed_at = coalesce(confirmed_at, clock_timestamp())
 where user_id = $1 and last_step < $2
"""


async def use(tx: Tx, user_id: UUID, step: int) -> bool:
    """Note that the code of a step was used; False when it, or a later one, was before."""
    return await tx.execute(USE, user_id, step) == 1


DROP = "delete from second_factors where user_id = $1"


async def drop(tx: Tx, user_id: UUID) -> bool:
    """Forget a second factor; False when there was none."""
    return await tx.execute(DROP, user_id) == 1


DROP_CODES = "delete from recovery_codes where user_id = $1"


async def drop_codes(tx: Tx, user_id: UUID) -> None:
    """Forget recovery codes."""
    await tx.execute(DROP_CODES, user_id)


ADD_CODES = "insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])"


async def add_codes(tx: Tx, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Keep recovery codes."""
    await tx.execute(ADD_CODES, user_id, hashes)


USE_CODE = """
update recovery_codes set used_at = clock_timestamp()
 where user_id = $1 and hash = $2 and used_at is null
"""


async def use_code(tx: Tx, user_id: UUID, hash_: bytes) -> bool:
    """Use a recovery code; False when there is none, or it was used."""
    return await tx.execute(USE_CODE, user_id, hash_) == 1


CODES_LEFT = "select count(*) from recovery_codes where user_id = $1 and used_at is null"


async def codes_left(tx: Tx, user_id: UUID) -> int:
    """Count recovery codes that can be used."""
    left: int = await tx.fetchval(CODES_LEFT, user_id)
    return left
