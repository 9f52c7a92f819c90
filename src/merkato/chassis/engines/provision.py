"""Databases and roles in PostgreSQL, embedded or brought: one of each per service."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from merkato.chassis.supervisor import CannotStart

_ROLES = "select rolname from pg_roles where rolname = any($1::text[])"
_DATABASES = "select datname from pg_database where datname = any($1::text[])"


def role(service: str) -> str:
    """Give the name of a service's role, which is its database's name too."""
    return f"merkato_{service}"


def dsn(admin_dsn: str, user: str, password: str, database: str) -> str:
    """Give `admin_dsn` for another user, password and database of the same server."""
    parts = urlsplit(admin_dsn)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        parts._replace(netloc=f"{quote(user)}:{quote(password)}@{place}", path=f"/{database}")
    )


NOT_YET = (  # what a server says that starts, recovers, ends while it greets, or is full
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
)


async def answers(admin_dsn: str) -> bool:
    """Tell whether the server takes connections; False while it starts or recovers."""
    try:
        connection = await asyncpg.connect(admin_dsn, timeout=10)
    except (OSError, TimeoutError, *NOT_YET):
        return False
    await connection.close()
    return True


async def provision(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make what is missing: a role and a database for each service, and the reading role 'audit'.

    `passwords` maps 'audit' and each service to its password, which is set again each time. Only a
    service's own role and `merkato_audit` can connect to its database. A repeat changes nothing.
    Raises CannotStart when the server refuses.
    """
    try:
        connection = await asyncpg.connect(admin_dsn, timeout=10)
        try:
            await _provision(connection, passwords)
        finally:
            await connection.close()
    except (OSError, TimeoutError) as error:
        raise CannotStart(f"PostgreSQL cannot be reached ({error}); see DATABASE_URL.") from error
    except asyncpg.PostgresError as error:
        raise CannotStart(
            f"PostgreSQL refused to make databases and roles ({error}); "
            "the role of DATABASE_URL must be allowed to."
        ) from error


async def _provision(connection: "asyncpg.Connection", passwords: Mapping[str, str]) -> None:
    names = [role(name) for name in passwords]
    roles = {row[0] for row in await connection.fetch(_ROLES, names)}
    databases = {row[0] for row in await connection.fetch(_DATABASES, names)}
    for name, password in passwords.items():
        verb = "alter" if role(name) in roles else "create"
        await connection.execute(
            f"{verb} role {role(name)} login nosuperuser nocreatedb nocreaterole "
            f"password {_literal(password)}"
        )
    await connection.execute("grant pg_read_all_data to merkato_audit")
    await connection.execute("alter role merkato_audit set default_transaction_read_only = on")
    for name in passwords:
        if name == "audit":
            continue
        if role(name) not in databases:
            await connection.execute(
                f"create database {role(name)} owner {role(name)} template template0"
            )
        await connection.execute(
            f"revoke connect, temporary on database {role(name)} from public;"
            f"grant connect on database {role(name)} to merkato_audit"
        )
    await connection.execute("revoke connect on database postgres, template1 from public")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
