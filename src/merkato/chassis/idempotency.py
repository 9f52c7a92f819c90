"""Do a request once per Idempotency-Key: work and answer commit together, so neither is alone.

A refused or crashed request leaves no trace and may be tried again with its key. After the
Idempotency-Key draft of the IETF, with 422 for another body and 409 while the first one runs.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg
import msgspec

from merkato.chassis.db import Database, Tx
from merkato.contracts.problem import KeyMissing, KeyReused, Malformed, RequestInProgress

KEEP_HOURS = 24  # answers are kept this long
FORM = re.compile(r'(?:"([A-Za-z0-9_-]{16,100})"|([A-Za-z0-9_-]{16,100}))\Z')


class Answer(msgspec.Struct, frozen=True):
    """An answer as it goes over the wire."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    replayed: bool = False


def answer(status: int, body: object, **headers: str) -> Answer:
    """Make an answer of a struct; header names are written with underscores."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Answer(status, msgspec.json.encode(body), named)


def parse_key(header: str | None, *, required: bool) -> str | None:
    """Read the Idempotency-Key: 16 to 100 of ``[A-Za-z0-9_-]``, bare or quoted.

    Raises KeyMissing and Malformed.
    """
    if header is None:
        if required:
            raise KeyMissing(
                "Send an Idempotency-Key: 16 to 100 of A-Z a-z 0-9 _ -, new per request."
            )
        return None
    match = FORM.match(header)
    if match is None:
        raise Malformed("Idempotency-Key: 16 to 100 of A-Z a-z 0-9 _ -, bare or in quotes.")
    return match[1] or match[2]


def fingerprint(request: object) -> bytes:
    """Hash the canonical form of a request; equal requests have equal fingerprints."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).digest()


LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
FIND = """
select fingerprint, status, headers, body from answers
 where principal = $1 and route = $2 and key = $3
"""
KEEP = """
insert into answers (principal, route, key, fingerprint, status, headers, body)
values ($1, $2, $3, $4, $5, $6, $7)
"""


async def once(
    db: Database,
    scope: tuple[str, str, str | None],
    request: object,
    work: Callable[[Tx], Awaitable[Answer]],
) -> Answer:
    """Run `work` unless this (principal, route, key) has an answer already, and give the answer.

    Without a key the work just runs. Raises KeyReused, RequestInProgress and what `work` raises.
    """
    principal, route, key = scope
    if key is None:
        async with db.transaction() as tx:
            return await work(tx)
    print_ = fingerprint(request)
    async with db.transaction() as tx:
        try:
            await tx.execute(LOCK, f"{principal} {route} {key}")
        except asyncpg.LockNotAvailableError as busy:
            raise RequestInProgress from busy
        if found := await stored(tx, principal, route, key, print_):
            return found
        done = await work(tx)
        headers = msgspec.json.encode(done.headers).decode()
        await tx.execute(KEEP, principal, route, key, print_, done.status, headers, done.body)
        return done


async def stored(tx: Tx, principal: str, route: str, key: str, print_: bytes) -> Answer | None:
    """Give the stored answer to a request, or None. Raises KeyReused for another request."""
    row: Any = await tx.fetchrow(FIND, principal, route, key)
    if row is None:
        return None
    if row["fingerprint"] != print_:
        raise KeyReused("This key belongs to another request; use a new key.")
    headers = msgspec.json.decode(row["headers"], type=dict[str, str])
    return Answer(row["status"], row["body"], headers, replayed=True)


PRUNE = """
delete from answers where ctid in (
    select ctid from answers where answered_at < clock_timestamp() - make_interval(hours => $1)
     limit 5000)
"""


async def prune(db: Database) -> int:
    """Forget answers older than KEEP_HOURS."""
    async with db.transaction() as tx:
        return await tx.execute(PRUNE, KEEP_HOURS)
