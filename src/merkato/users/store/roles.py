"""Statements over roles that the shop made itself."""

from collections.abc import Sequence

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.users.domain.roles import Role

EVERY = "select name, title, permissions, version from roles where ended_at is null order by name"


async def every(tx: Tx) -> list[Role]:
    """Give all roles that have not ended."""
    return [msgspec.convert(dict(row), Role) for row in await tx.fetch(EVERY)]


READ = "select name, title, permissions, version from roles where name = $1 and ended_at is null"


async def read(tx: Tx, name: str) -> Role | None:
    """Read a role."""
    return _role(await tx.fetchrow(READ, name))


KEEP = """
select name, title, permissions, version from roles where name = $1 and ended_at is null
   for key share
"""


async def keep(tx: Tx, name: str) -> Role | None:
    """Read a role that is about to be given to somebody: it cannot end meanwhile."""
    return _role(await tx.fetchrow(KEEP, name))


LOCK = """
select name, title, permissions, version, ended_at from roles where name = $1 for update
"""


async def lock(tx: Tx, name: str) -> Role | None:
    """Read a role and keep others from changing it, or from giving it to anybody."""
    row = await tx.fetchrow(LOCK, name)
    return None if row is None or row["ended_at"] is not None else _role(row)


PUT = """
insert into roles (name, title, permissions) values ($1, $2, $3)
on conflict (name) do update
   set title = excluded.title, permissions = excluded.permissions, ended_at = null,
       version = roles.version + 1, changed_at = clock_timestamp()
returning version
"""


async def put(tx: Tx, name: str, title: str, permissions: Sequence[str]) -> int:
    """Make or replace a role; give its version."""
    version: int = await tx.fetchval(PUT, name, title, permissions)
    return version


END = """
update roles set ended_at = clock_timestamp(), permissions = '{}', version = version + 1
 where name = $1 returning version
"""


async def end(tx: Tx, name: str) -> int:
    """End a role; give its version."""
    version: int = await tx.fetchval(END, name)
    return version


HOLDERS = "select count(*) from users where role = $1 and erased_at is null"


async def holders(tx: Tx, name: str) -> int:
    """Count those who have a role."""
    found: int = await tx.fetchval(HOLDERS, name)
    return found


def _role(row: Row | None) -> Role | None:
    if row is None:
        return None
    return Role(
        name=row["name"], title=row["title"], permissions=tuple(row["permissions"]),
        version=row["version"],
    )  # fmt: skip
