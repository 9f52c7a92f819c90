"""Every SQL statement is understood by its own service's database, and by no more than that."""

import importlib
import pkgutil

import asyncpg
import harness
import pytest

from merkato import config
from merkato.chassis import db

VERBS = ("select", "insert", "update", "delete", "with")


def modules(package):
    """A module and all below it."""
    top = importlib.import_module(package)
    found = [top]
    for one in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{package}."):
        found.append(importlib.import_module(one.name))
    return found


def statements(package):
    """(place, SQL) of every constant that is a statement."""
    return [
        (f"{module.__name__}.{name}", text)
        for module in modules(package)
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and text.split(None, 1)[:1]
        if text.split(None, 1)[0].lower() in VERBS and " " in text.strip()
    ]


CHASSIS = [
    one
    for name in ("outbox", "inbox", "idempotency", "access", "letters", "forgetting")
    for one in statements(f"merkato.chassis.{name}")
]


async def unprepared(dsn, found):
    """What the database does not understand."""
    wrong = []
    async with db.connected(dsn, pool_max=1) as database, database.reading() as tx:
        for place, text in found:
            try:
                await tx.prepare(text)
            except asyncpg.PostgresError as error:
                wrong.append(f"{place}: {error}")
    return wrong


@pytest.mark.parametrize("service", config.SERVICES)
async def test_statements_of_a_service(service, new_database):
    dsn = await new_database(service, prepare=harness.preparation(service))
    found = statements(f"merkato.{service}")
    assert len(found) >= 10
    assert await unprepared(dsn, found + CHASSIS) == []


async def test_statements_about_anothers_tables_are_found_out(new_database):
    dsn = await new_database("users", prepare=harness.preparation("users"))
    assert await unprepared(dsn, [("x", "select 1 from orders")])
    assert await unprepared(dsn, [("x", "select no_such_column from users")])
    assert len(await unprepared(dsn, statements("merkato.orders"))) > 20


def test_statements_of_the_chassis_were_found():
    assert len(CHASSIS) > 20
