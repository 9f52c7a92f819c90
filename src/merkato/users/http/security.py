"""Routes by which people keep their account their own: second factor, sessions, e-mail address."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.params import Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import USER, Page
from merkato.chassis.seal import Seal
from merkato.chassis.tokens import Caller
from merkato.config import Users
from merkato.contracts.problem import Forbidden, NotFound, StateConflict
from merkato.contracts.values import Email
from merkato.users.actions import accounts, logins, recovery, roles
from merkato.users.actions import second_factors as actions
from merkato.users.actions.passwords import Passwords
from merkato.users.actions.second_factors import Enrolment, RecoveryCodes
from merkato.users.domain.passwords import normal_password
from merkato.users.domain.people import Account, email_key
from merkato.users.http.auth import NO_STORE, Accepted, Code, Password
from merkato.users.http.me import own, own_id, private
from merkato.users.store import logins as login_store
from merkato.users.store import second_factors as store

CodeHeader = Annotated[str, Parameter(header="X-Totp-Code", min_length=1, max_length=40)]
TOTP = "/api/v1/me/totp"


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Whether logins ask for a code; and whether they have to, by the shop's own rule."""

    on: bool
    required: bool
    recovery_codes_left: int


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /me/totp``."""

    password: Password


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /me/totp/confirmation`` and ``/me/totp/recovery-codes``."""

    code: Code


class EmailChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /me/email``."""

    email: Email
    password: Password


class LoginSession(msgspec.Struct, frozen=True, kw_only=True):
    """A login that goes on by refreshing; `current` is the one of this token."""

    id: UUID
    began_at: datetime
    refreshed_at: datetime
    current: bool


async def prove(
    caller: Caller, password: str, db: Database, passwords: Passwords, settings: Users
) -> Account:
    """Check the caller's password, counted as a login is. Raises Forbidden and RateLimited."""
    account = await _counted(caller, db, settings)
    if not await passwords.matches(normal_password(password), account.password_hash):
        raise Forbidden("The current password is wrong.")
    return account


async def _counted(caller: Caller, db: Database, settings: Users) -> Account:
    async with db.transaction() as tx:
        account = await own(tx, caller)
        assert account.email_key is not None, "not erased"
        await logins.attempt(tx, account.email_key, settings)
    return account


def _sealing(seal: Seal | None) -> Seal:
    if seal is None:
        raise StateConflict("This shop offers no second factor: it has no `users.totp_key`.")
    return seal


@get(TOTP, policy=USER)
async def read_totp(caller: Caller, db: Database, settings: Users) -> Response[SecondFactor]:
    """Tell whether the caller's logins ask for a code."""
    async with db.reading() as tx:
        account = await own(tx, caller)
        is_staff = bool(await roles.permissions(tx, account.role))
        shown = SecondFactor(
            on=await store.is_on(tx, account.id),
            required=settings.staff_totp and is_staff,
            recovery_codes_left=await store.codes_left(tx, account.id),
        )
    return private(shown)


@post(TOTP, policy=USER)
async def begin_totp(
    data: Proof, caller: Caller, db: Database, passwords: Passwords, settings: Users,
    seal: Seal | None,
) -> Response[Enrolment]:  # fmt: skip
    """Begin a second factor; logins ask for a code once the first one is confirmed.

    403 for a wrong password, 409 when there is one. No Idempotency-Key: a secret is not stored
    in an answer; a repeat makes another secret, and the last one counts.
    """
    account = await prove(caller, data.password, db, passwords, settings)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, account.id)
        made = await actions.begin(tx, account, _sealing(seal), passwords.shop_name)
    return Response(made, headers=NO_STORE)


@post(f"{TOTP}/confirmation", policy=USER, status_code=200)
async def confirm_totp(
    data: Confirmation, caller: Caller, db: Database, settings: Users, seal: Seal | None
) -> Response[RecoveryCodes]:
    """Switch the second factor on with its first code; gives recovery codes, shown this once.

    422 for a wrong code; tries are counted as logins are. Staff who had to set it up get their
    permissions with the next token.
    """
    account = await _counted(caller, db, settings)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, account.id)
        made = await actions.confirm(tx, account, data.code, _sealing(seal))
        assert account.email_key is not None, "not erased"
        await logins.forgive(tx, account.email_key)
    return Response(made, headers=NO_STORE)


@post(f"{TOTP}/recovery-codes", policy=USER, status_code=200)
async def renew_recovery_codes(
    data: Confirmation, caller: Caller, db: Database, settings: Users, seal: Seal | None
) -> Response[RecoveryCodes]:
    """Replace all recovery codes, by a code. 403 for a wrong one."""
    account = await _counted(caller, db, settings)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, account.id)
        made = await actions.renew_codes(tx, account, data.code, _sealing(seal))
    return Response(made, headers=NO_STORE)


@delete(TOTP, policy=USER, status_code=204)
async def remove_totp(
    caller: Caller, db: Database, settings: Users, seal: Seal | None, totp_code: CodeHeader
) -> None:
    """Take the second factor away, by a code of it or a recovery code in X-Totp-Code.

    403 for a wrong code, 409 for staff who have to have one.
    """
    account = await _counted(caller, db, settings)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, account.id)
        if settings.staff_totp and await roles.permissions(tx, account.role):
            raise StateConflict("Staff of this shop have to have a second factor.")
        await actions.remove(tx, account, totp_code, _sealing(seal))


@get("/api/v1/me/sessions", policy=USER)
async def list_sessions(caller: Caller, db: Database) -> Response[Page[LoginSession]]:
    """Give the logins that go on, newest first; one page holds them all (1,000 at most)."""
    async with db.reading() as tx:
        account = await own(tx, caller)
        found = await login_store.open_sessions(tx, account.id)
    items = [
        LoginSession(
            id=one.id, began_at=one.began_at, refreshed_at=one.refreshed_at,
            current=one.id == caller.session_id,
        )
        for one in found
    ]  # fmt: skip
    return private(Page(items=items))


@delete("/api/v1/me/sessions/{session_id:uuid}", policy=USER, status_code=204)
async def end_session(session_id: UUID, caller: Caller, db: Database) -> None:
    """End one login, also this one. Its access token is refused everywhere within 60 s."""
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, own_id(caller))
        if not await logins.end(tx, account.id, session_id):
            raise NotFound("There is no such session, or no longer.")


@delete("/api/v1/me/sessions", policy=USER, status_code=204)
async def end_sessions(caller: Caller, db: Database) -> None:
    """End all logins, this one too."""
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, own_id(caller))
        await logins.end_all(tx, account.id)


@post("/api/v1/me/email", policy=USER, status_code=202)
async def change_email(
    data: EmailChange, caller: Caller, db: Database, passwords: Passwords, settings: Users
) -> Accepted:
    """Ask for another e-mail address; it counts once its owner has followed the mailed link.

    Until then the old one stays, and it is told when it goes. 403 for a wrong password. The same
    answer whether or not the address has an account.
    """
    key = email_key(data.email)
    account = await prove(caller, data.password, db, passwords, settings)
    async with db.transaction() as tx:
        account = await accounts.lock_own(tx, account.id)
        await recovery.ask_email_change(tx, account, data.email, key, settings)
    return Accepted()


ROUTES: tuple[Any, ...] = (
    read_totp, begin_totp, confirm_totp, renew_recovery_codes, remove_totp, list_sessions,
    end_session, end_sessions, change_email,
)  # fmt: skip
