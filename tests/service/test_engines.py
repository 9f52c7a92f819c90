"""PostgreSQL and NATS as we start them: what they keep, whom they let in, what they refuse."""

import asyncpg
import pytest


async def test_a_new_database_is_there_and_its_own(new_database):
    connection = await asyncpg.connect(await new_database("orders"))
    assert await connection.fetchval("select current_user") == "merkato_orders"
    await connection.execute("create table here (id int)")
    await connection.close()


async def test_a_service_cannot_connect_to_the_database_of_another(engines):
    stranger = engines.database_urls["orders"].rpartition("/")[0] + "/merkato_payments"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(stranger)
