"""How full the engines are."""

from typing import NamedTuple

import asyncpg
import nats

UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, nats.errors.Error)

_SIZES = """
select datname, pg_database_size(oid) from pg_database
where datname like 'merkato\\_%' order by datname
"""


class Stream(NamedTuple):
    """One stream of NATS; `bytes_max` is -1 where nothing limits it."""

    name: str
    messages: int
    size_bytes: int
    bytes_max: int


async def databases(admin_dsn: str) -> dict[str, int]:
    """Give the size in bytes of each service's database, by its name."""
    connection = await asyncpg.connect(admin_dsn, timeout=5)
    try:
        return {row[0]: row[1] for row in await connection.fetch(_SIZES)}
    finally:
        await connection.close()


async def streams(nats_url: str) -> list[Stream]:
    """Give every stream of the user's account."""
    client = await nats.connect(nats_url, connect_timeout=5, allow_reconnect=False)
    try:
        return [
            Stream(
                str(one.config.name),
                one.state.messages,
                one.state.bytes,
                one.config.max_bytes or -1,
            )
            for one in await client.jetstream().streams_info()
        ]
    finally:
        await client.close()
