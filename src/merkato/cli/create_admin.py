"""`merkato create-admin`: the first administrator, made where nobody can log in yet."""

import asyncio
import getpass
import secrets
import sys

from merkato.chassis import db
from merkato.chassis.supervisor import CannotStart
from merkato.cli import places
from merkato.config import Config
from merkato.contracts.problem import Problem
from merkato.users.actions import accounts
from merkato.users.actions.passwords import Passwords
from merkato.users.domain.passwords import check_password


def create_admin(email: str) -> None:
    """Make an account an administrator, with a new password; the account is opened if need be.

    The password is asked for, or read as one line from standard input; an empty one is made up and
    printed. Sessions of an account that was there end.

    Parameters
    ----------
    email
        The address to log in with.

    """
    settings = places.settings()
    asked = _asked()
    password = asked or secrets.token_urlsafe(18)
    try:
        asyncio.run(_make(settings, email, password))
    except Problem as problem:
        details = [str(one["detail"]) for one in problem.members.get("errors", ())]
        raise CannotStart(" ".join(details) or problem.detail) from problem
    print(f"{email} is an administrator now.")
    if not asked:
        print(f"Password: {password}")


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password (empty: one is made up): ")
    if password and getpass.getpass("Again: ") != password:
        raise CannotStart("The two passwords differ; nothing was changed.")
    return password


async def _make(settings: Config, email: str, password: str) -> None:
    normal = check_password(password, email, settings.shop_name)
    hashed = await Passwords(settings.users).hash(normal)
    try:
        async with db.connected(places.database_urls()["users"], pool_max=1) as database:
            await database.migrate("merkato.chassis", "merkato.users")
            async with database.transaction() as tx:
                await accounts.make_admin(tx, email, hashed, settings.users)
    except OSError as error:
        raise CannotStart("The database of users does not answer; see merkato status.") from error
