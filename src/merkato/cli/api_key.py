"""An API key for one command: given, or made for it beside a shop of ours and ended with it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from merkato.chassis import db
from merkato.chassis.supervisor import CannotStart
from merkato.chassis.tokens import AUDIENCE, Tokens
from merkato.cli import places
from merkato.client import Client, NoAnswer, Refused
from merkato.users.store import accounts

TOKEN_S = 60  # an access token for making the key, and another for ending it
KEY_LIVES = timedelta(days=1)  # should nobody be there to end it


@contextmanager
def api_key(url: str, given: str | None, scopes: Sequence[str], name: str) -> Iterator[str]:
    """Give the key that was `given`, or make one with just these scopes and end it afterwards.

    It is made in the name of the first administrator. Raises CannotStart where there is none.
    """
    if given is not None:
        yield given
        return
    admin = asyncio.run(_admin())
    expires = (datetime.now(UTC) + KEY_LIVES).isoformat()
    made = asyncio.run(
        _call(url, admin, "POST", "", {"name": name, "scopes": scopes, "expires_at": expires})
    )
    try:
        yield made["key"]
    finally:
        with suppress(CannotStart):
            asyncio.run(_call(url, admin, "DELETE", f"/{made['id']}", None))


async def _admin() -> str:
    async with (
        db.connected(places.database_urls()["users"], pool_max=1) as database,
        database.transaction() as tx,
    ):
        _, admins = await accounts.lock_with_admins(tx, UUID(int=0))
    if not admins:
        raise CannotStart("An API key is made by an administrator; merkato create-admin makes one.")
    return str(min(admins))


async def _call(url: str, admin: str, method: str, path: str, body: object) -> dict[str, Any]:
    signing = places.engines().secrets.signing["users"]
    token = Tokens("users", signing, {}).sign(
        {"sub": admin, "role": "admin"}, audience=AUDIENCE, seconds=TOKEN_S
    )
    try:
        async with Client(url, token=token) as shop:
            answer = await shop.send(method, f"/api/v1/api-keys{path}", body)
    except NoAnswer as silence:
        raise CannotStart(f"The shop at {url} does not answer: {silence}") from silence
    except Refused as refusal:
        raise CannotStart(f"No API key: {refusal}") from refusal
    return answer or {}
