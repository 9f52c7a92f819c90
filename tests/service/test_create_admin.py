"""The first administrator is made from the command line."""

import asyncio
import json
import os
import sys

import asyncpg
import pytest
from argon2 import PasswordHasher

ACCOUNTS = "select email, role, password_hash from users order by email"
SPOKEN = "select type from outbox"


@pytest.fixture
async def shop(new_database, tmp_path):
    url = await new_database("users")
    (tmp_path / "config.json").write_text(json.dumps({"database_urls": {"users": url}}))
    return tmp_path / "config.json", url


async def create_admin(file, email, password=""):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "merkato", "create-admin", email),
        env=os.environ | {"MERKATO_CONFIG": str(file)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(f"{password}\n".encode())
    return process.returncode, said.decode()


async def fetch(url, sql):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def test_an_account_is_opened_as_administrator_and_again_gets_a_new_password(shop):
    file, url = shop
    status, said = await create_admin(file, "ada@example.com", "seven quiet herons wading")
    assert (status, said) == (0, "ada@example.com is an administrator now.\n")
    ((email, role, first),) = await fetch(url, ACCOUNTS)
    assert (email, role) == ("ada@example.com", "admin")
    assert PasswordHasher().verify(first, "seven quiet herons wading")
    assert "users.user_registered.v1" in {row["type"] for row in await fetch(url, SPOKEN)}

    status, said = await create_admin(file, "Ada@Example.com")
    assert status == 0
    made_up = said.splitlines()[-1].removeprefix("Password: ")
    ((_, role, second),) = await fetch(url, ACCOUNTS)
    assert PasswordHasher().verify(second, made_up)
    assert role == "admin"


@pytest.mark.parametrize(
    ("email", "password", "why"),
    [
        ("ada@example.com", "short", "at least"),
        ("no address", "seven quiet herons wading", "not an e-mail address"),
    ],
)
async def test_what_cannot_be_is_told_in_a_sentence(shop, email, password, why):
    file, _ = shop
    status, said = await create_admin(file, email, password)
    assert status == 1
    assert why in said
    assert "Traceback" not in said
