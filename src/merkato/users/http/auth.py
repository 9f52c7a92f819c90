"""Routes of those who are not logged in yet, and the keys by which tokens are verified.

None of them tells whether an address has an account. They answer alike without an Idempotency-Key
and keep none: a stored fingerprint of a password would be a fast hash of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post

from merkato.chassis.db import Database
from merkato.chassis.http import ANYONE, SERVICE
from merkato.chassis.seal import Seal
from merkato.chassis.tokens import Tokens
from merkato.config import Users
from merkato.contracts.problem import Unauthenticated
from merkato.contracts.users import Link
from merkato.contracts.values import Email, Line, Locale
from merkato.users.actions import accounts, logins, recovery
from merkato.users.actions.logins import Spray, TokenPair
from merkato.users.actions.passwords import Passwords
from merkato.users.actions.recovery import Links
from merkato.users.domain.passwords import check_password, normal_password
from merkato.users.domain.people import email_key
from merkato.users.store import accounts as store

NO_STORE = {"Cache-Control": "no-store"}
PUBLIC_MEMBERS = ("kty", "crv", "x", "kid")

# Bounds what is folded and hashed at all; how long a password may be is a rule of domain.
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
OpaqueToken = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to what is done out of sight: look into your mail."""

    status: str = "accepted"


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/register``."""

    email: Email
    password: Password
    name: Line | None = None
    locale: Locale = "en"


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/token``; `code`: of the authenticator, or a recovery code."""

    email: Email
    password: Password
    code: Code | None = None


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/token/refresh`` and ``/auth/token/revoke``."""

    refresh_token: OpaqueToken


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/password/forgot``."""

    email: Email


class Reset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/password/reset``; the token is that of the mailed link."""

    token: OpaqueToken
    password: Password


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/email/verify``; the token is that of the mailed link."""

    token: OpaqueToken


class PublishedKeys(msgspec.Struct, frozen=True):
    """A JWK set (RFC 7517, 5)."""

    keys: list[dict[str, str]]


def published(keys: Sequence[Mapping[str, str]]) -> PublishedKeys:
    """Give the public members of keys, whatever else stands in them."""
    return PublishedKeys(
        [
            {**{name: key[name] for name in PUBLIC_MEMBERS}, "use": "sig", "alg": "Ed25519"}
            for key in keys
        ]
    )


@post("/api/v1/auth/register", policy=ANYONE, status_code=202)
async def register(
    data: Registration, db: Database, passwords: Passwords, settings: Users
) -> Accepted:
    """Open an account, which may log in at once.

    The same answer in the same time when the address has an account: its owner gets a mail then.
    422 for a password that is short or guessed first.
    """
    email_key(data.email)
    password = check_password(data.password, data.email, passwords.shop_name)
    hash_ = await passwords.hash(password)
    async with db.transaction() as tx:
        await accounts.register(tx, data.email, hash_, data.name, data.locale, settings)
    return Accepted()


@post("/api/v1/auth/token", policy=ANYONE, status_code=200)
async def log_in(
    data: Credentials,
    db: Database,
    passwords: Passwords,
    spray: Spray,
    tokens: Tokens,
    settings: Users,
    seal: Seal | None,
) -> Response[TokenPair]:
    """Log in.

    401 `second-factor-required` when the password is right and a code is needed too.

    401 for a wrong password and for an unknown address alike, 403 when the account is blocked,
    429 with Retry-After after too many failures; they are counted per address, known or not, and
    per password. Callers' network addresses do not count: behind the gateway they are not known.
    """
    key = email_key(data.email)
    password = normal_password(data.password)
    spray.check(password, datetime.now(UTC))
    async with db.transaction() as tx:
        await logins.attempt(tx, key, settings)
        account = await store.by_key(tx, key)
    hash_ = account.password_hash if account else None
    if not await passwords.matches(password, hash_) or account is None or hash_ is None:
        spray.note(password, datetime.now(UTC))
        raise Unauthenticated("The e-mail address or the password is wrong.")
    new_hash = await passwords.hash(password) if passwords.is_outdated(hash_) else None
    async with db.transaction() as tx:
        pair = await logins.log_in(tx, account, new_hash, data.code, seal, tokens, settings)
    return Response(pair, headers=NO_STORE)


@post("/api/v1/auth/token/refresh", policy=ANYONE, status_code=200)
async def refresh(
    data: Refresh, db: Database, tokens: Tokens, settings: Users
) -> Response[TokenPair]:
    """Trade a refresh token for its successor and a new access token.

    A repeat within 5 s, for a lost answer or a second tab, gets the same successor. Reuse later,
    or once the successor was used, is a theft: the session ends for both. 401 then.
    """
    async with db.transaction() as tx:
        pair = await logins.refresh(tx, data.refresh_token, tokens, settings)
    if pair is None:
        raise Unauthenticated("Log in again.")
    return Response(pair, headers=NO_STORE)


@post("/api/v1/auth/token/revoke", policy=ANYONE, status_code=204)
async def revoke(data: Refresh, db: Database) -> None:
    """Log out: end the session of a refresh token (RFC 7009). The same answer for any token.

    The user's access tokens made so far are refused everywhere within 60 s; other sessions go on
    by refreshing.
    """
    async with db.transaction() as tx:
        await logins.revoke(tx, data.refresh_token)


@post("/api/v1/auth/password/forgot", policy=ANYONE, status_code=202)
async def forget_password(data: Forgotten, db: Database, settings: Users) -> Accepted:
    """Ask for a mail with a link to a new password, at most five an hour. Always 202."""
    key = email_key(data.email)
    async with db.transaction() as tx:
        await recovery.forget_password(tx, key, settings)
    return Accepted()


@post("/api/v1/auth/password/reset", policy=ANYONE, status_code=204)
async def reset_password(data: Reset, db: Database, passwords: Passwords, links: Links) -> None:
    """Set a new password by a mailed link, once. All sessions end. 410 for a useless link."""
    token_id = links.token_id(data.token)
    async with db.reading() as tx:
        found = await recovery.resettable(tx, token_id)
    password = check_password(data.password, found.email, passwords.shop_name)
    hash_ = await passwords.hash(password)
    async with db.transaction() as tx:
        await recovery.reset_password(tx, token_id, found.user_id, hash_)


@post("/api/v1/auth/email/verify", policy=ANYONE, status_code=204)
async def verify_email(data: Verification, db: Database, links: Links) -> None:
    """Confirm an address by a mailed link, once. 410 for a useless link."""
    token_id = links.token_id(data.token)
    async with db.transaction() as tx:
        await recovery.verify_email(tx, token_id)


@post("/api/v1/auth/links/{token_id:uuid}", policy=SERVICE, status_code=200)
async def link(token_id: UUID, db: Database, links: Links) -> Response[Link]:
    """Give the link that a mail is to carry, for services. 404 once it was used or is too old."""
    async with db.reading() as tx:
        found = await recovery.link(tx, token_id, links)
    return Response(found, headers=NO_STORE)


@get("/api/v1/auth/jwks.json", policy=ANYONE)
async def jwks(keys: PublishedKeys) -> Response[PublishedKeys]:
    """Give the keys that verify access tokens; a new one stands here before it is used."""
    return Response(keys, headers={"Cache-Control": "public, max-age=300"})


ROUTES: tuple[Any, ...] = (
    register, log_in, refresh, revoke, forget_password, reset_password, verify_email, link, jwks,
)  # fmt: skip
