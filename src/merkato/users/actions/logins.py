"""Logging in, staying logged in, and being logged out."""

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.chassis.seal import Seal
from merkato.chassis.tokens import AUDIENCE, Tokens
from merkato.config import Users
from merkato.contracts.problem import Forbidden, RateLimited, Unauthenticated
from merkato.contracts.users import AccessChanged, RefreshTokenReused
from merkato.users.actions import roles, second_factors
from merkato.users.domain.people import Account
from merkato.users.domain.sessions import judge_refresh
from merkato.users.domain.tries import try_login
from merkato.users.store import accounts
from merkato.users.store import logins as store
from merkato.users.store import second_factors as factors

SPRAYED_MAX = 10_000  # passwords remembered


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a login (RFC 6749, 5.1). The access token lives `expires_in` seconds.

    `second_factor_due`: this shop wants staff to have one; until then they are as customers.
    """

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int
    second_factor_due: bool = False


class Spray:
    """Counts failures per password over all accounts, against one password tried on everybody.

    In the memory of this process alone, under a key that dies with it: what fails is often a good
    password with a typing error, and no store may hold a fast hash of that.
    """

    def __init__(self, settings: Users) -> None:
        self._settings = settings
        self._key = secrets.token_bytes(32)
        self._failures: OrderedDict[bytes, tuple[int, datetime]] = OrderedDict()

    def check(self, password: str, now: datetime) -> None:
        """Raise RateLimited when this password failed too often within the window."""
        count, began_at = self._failures.get(self._name(password), (0, now))
        ends_at = began_at + timedelta(seconds=self._settings.login_window_s)
        if count >= self._settings.spray_failures_max and now < ends_at:
            wait_s = int((ends_at - now).total_seconds()) + 1
            raise RateLimited("Too many attempts to log in; wait, or reset the password.", wait_s)

    def note(self, password: str, now: datetime) -> None:
        """Count a failure."""
        name = self._name(password)
        count, began_at = self._failures.pop(name, (0, now))
        if now - began_at >= timedelta(seconds=self._settings.login_window_s):
            count, began_at = 0, now
        self._failures[name] = (count + 1, began_at)
        if len(self._failures) > SPRAYED_MAX:
            self._failures.popitem(last=False)

    def _name(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode(), "sha256")


def tried(what: str, email_key: str) -> bytes:
    """Name what is tried with an address, without keeping addresses of those we do not know."""
    return hashlib.sha256(f"{what} {email_key}".encode()).digest()


async def attempt(tx: Tx, email_key: str, settings: Users) -> None:
    """Count a login before its password is looked at, so that a thousand at once are counted too.

    Raises RateLimited.
    """
    what = tried("login", email_key)
    tries, now = await store.lock_tries(tx, what)
    window = timedelta(seconds=settings.login_window_s)
    counted = try_login(tries, now, settings.login_failures_max, window)
    await store.keep_tries(tx, what, counted)


async def forgive(tx: Tx, email_key: str) -> None:
    """Forget failed logins: the right person was here."""
    await store.forgive(tx, tried("login", email_key))


async def log_in(
    tx: Tx, verified: Account, new_hash: str | None, code: str | None, seal: Seal | None,
    tokens: Tokens, settings: Users,
) -> TokenPair:  # fmt: skip
    """Begin a session for an account as it was when its password was verified.

    `new_hash` replaces a hash of older parameters. Raises Unauthenticated when the password was
    changed meanwhile or `code` is wrong, SecondFactorRequired, Forbidden for a blocked account.
    """
    account = await accounts.lock(tx, verified.id)
    if account is None or account.password_hash != verified.password_hash:
        raise Unauthenticated("The password was changed just now.")
    if account.blocked:
        raise Forbidden("This account is blocked.")
    if not await second_factors.ask(tx, account, code, seal):
        raise Unauthenticated("The code is wrong, or was used.")
    if new_hash is not None:
        await accounts.set_password(tx, account.id, new_hash)
    assert account.email_key is not None, "it has a password, so it is not erased"
    await forgive(tx, account.email_key)
    session_id, token = new_id(), secrets.token_urlsafe(32)
    await store.open_session(
        tx, session_id, account.id, secrets.token_bytes(32), _hash(token), settings.refresh_token_s
    )
    return await _pair(tx, account, session_id, token, tokens, settings)


async def refresh(tx: Tx, token: str, tokens: Tokens, settings: Users) -> TokenPair | None:
    """Rotate a refresh token; None when it is not accepted (commit all the same).

    A token's successor is derived from it, so a repeat within the grace period gets the same
    answer, and twenty at once begin one chain, not twenty. Reuse after that ends the session.
    """
    user_id = await store.owner(tx, _hash(token))
    account = await accounts.lock(tx, user_id) if user_id else None
    found = await store.refresh_token(tx, _hash(token))
    if account is None or found is None or account.blocked:
        return None
    shown, now = found
    successor = _successor(shown.seed, token)
    match judge_refresh(shown, now, timedelta(seconds=settings.refresh_grace_s)):
        case "rotate":
            await store.use(tx, _hash(token))
            await store.succeed(tx, _hash(successor), shown.session_id, settings.refresh_token_s)
        case "reused":
            if await store.end_session(tx, shown.session_id, "reused"):
                _warn(tx, account, shown.session_id)
            await refuse_older(tx, account.id)
            return None
        case "refused":
            return None
    return await _pair(tx, account, shown.session_id, successor, tokens, settings)


def _warn(tx: Tx, account: Account, session_id: UUID) -> None:
    """Have the owner told, once per session, that somebody else may have had the login."""
    assert account.email is not None, "not blocked, so not erased"
    say(
        tx,
        RefreshTokenReused(
            user_id=account.id, session_id=session_id,
            email=account.email, name=account.name, locale=account.locale,
        ),
    )  # fmt: skip


async def revoke(tx: Tx, token: str) -> None:
    """End the session of a refresh token, if there is one. A repeat does nothing."""
    user_id = await store.owner(tx, _hash(token))
    if user_id is None or await accounts.lock(tx, user_id) is None:
        return
    found = await store.refresh_token(tx, _hash(token))
    if found and await store.end_session(tx, found[0].session_id, "revoked"):
        await refuse_older(tx, user_id)


async def end(tx: Tx, user_id: UUID, session_id: UUID) -> bool:
    """End one session of a locked account; False when there is none that goes on."""
    ended = await store.end_own_session(tx, user_id, session_id)
    if ended:
        await refuse_older(tx, user_id)
    return ended


async def end_all(tx: Tx, user_id: UUID) -> None:
    """End all sessions of a locked account and refuse its access tokens everywhere."""
    await store.end_sessions(tx, user_id)
    await refuse_older(tx, user_id)


async def refuse_older(tx: Tx, user_id: UUID) -> None:
    """Have every service refuse the access tokens that a locked account got so far."""
    version, role, blocked, not_before = await accounts.refuse_older(tx, user_id)
    say(
        tx,
        AccessChanged(
            user_id=user_id, version=version, role=role, blocked=blocked, not_before=not_before
        ),
    )


async def _pair(
    tx: Tx, account: Account, session_id: UUID, token: str, tokens: Tokens, settings: Users
) -> TokenPair:
    due = (
        settings.staff_totp
        and bool(await roles.permissions(tx, account.role))
        and not await factors.is_on(tx, account.id)
    )
    claims = {
        "sub": str(account.id),
        "role": "customer" if due else account.role,
        "sid": str(session_id),
        "email_verified": account.email_verified,
        "iat": max(int(time.time()), int(account.not_before.timestamp())),
    }
    access = tokens.sign(claims, audience=AUDIENCE, seconds=settings.access_token_s)
    return TokenPair(
        access_token=access,
        refresh_token=token,
        expires_in=settings.access_token_s,
        second_factor_due=due,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _successor(seed: bytes, token: str) -> str:
    derived = hmac.digest(seed, token.encode(), "sha256")
    return urlsafe_b64encode(derived).decode().rstrip("=")
