"""Routes by which staff are invited, and accept."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post

from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    ANYONE,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.config import Users
from merkato.contracts.problem import Forbidden, NotFound
from merkato.contracts.values import Email, Line, Locale
from merkato.users.actions import invitations, logins
from merkato.users.actions.passwords import Passwords
from merkato.users.actions.recovery import Links
from merkato.users.domain.invitations import Invitation
from merkato.users.domain.passwords import check_password, normal_password
from merkato.users.domain.people import email_key
from merkato.users.http.auth import OpaqueToken, Password
from merkato.users.http.me import private
from merkato.users.http.roles import RoleName
from merkato.users.store import invitations as store

INVITATIONS = "/api/v1/invitations"
INVITATION = f"{INVITATIONS}/{{invitation_id:uuid}}"


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /invitations``."""

    email: Email
    role: RoleName
    locale: Locale = "en"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /auth/invitations/acceptance``; the token is that of the mailed link.

    Whoever has an account shows its password; everybody else chooses one.
    """

    token: OpaqueToken
    password: Password
    name: Line | None = None


@post(INVITATIONS, policy=staff("users:write"), answers=Invitation)
async def invite(
    data: NewInvitation, caller: Caller, db: Database, settings: Users,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:  # fmt: skip
    """Invite somebody by mail to become staff; an open invitation to the address ends.

    403 for a role with more than the caller has, 409 when the address has that role.
    """
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        made = await invitations.invite(tx, caller, data.email, data.role, data.locale, settings)
        return answer(201, made, location=f"{INVITATIONS}/{made.id}", cache_control="no-store")

    return respond(await once(db, (caller.principal, f"POST {INVITATIONS}", key), data, work))


@get(INVITATIONS, policy=staff("users:write"))
async def list_invitations(
    db: Database, limit: Limit = 20, cursor: Cursor = None
) -> Response[Page[Invitation]]:
    """Give invitations, newest first; those that ran out are kept for a month."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        found = await store.page(tx, after, limit + 1)
    shown = found[:limit]
    more = encode_cursor(shown[-1].invited_at, shown[-1].id) if len(found) > limit else None
    return private(Page(items=shown, next_cursor=more))


@get(INVITATION, policy=staff("users:write"))
async def read_invitation(invitation_id: UUID, db: Database) -> Response[Invitation]:
    """Give an invitation."""
    async with db.reading() as tx:
        found = await store.read(tx, invitation_id)
    if found is None:
        raise NotFound("There is no such invitation.")
    return private(found)


@delete(INVITATION, policy=staff("users:write"), status_code=204)
async def revoke_invitation(invitation_id: UUID, caller: Caller, db: Database) -> None:
    """Take an invitation back: its link is useless. A repeat does nothing; 409 when accepted."""
    async with db.transaction() as tx:
        await invitations.revoke(tx, caller, invitation_id)


@post("/api/v1/auth/invitations/acceptance", policy=ANYONE, status_code=204)
async def accept_invitation(
    data: Acceptance, db: Database, passwords: Passwords, links: Links, settings: Users
) -> None:
    """Become staff by a mailed link, once; a login follows. 410 for a useless link.

    403 for a wrong password of an account that exists (counted as a login), 422 for a new one
    that is short or guessed first.
    """
    invitation_id = links.token_id(data.token)
    async with db.transaction() as tx:
        found, account = await invitations.opened(tx, invitation_id)
        if account is not None:
            await logins.attempt(tx, email_key(found.email), settings)
    hash_ = ""
    if account is None:
        password = check_password(data.password, found.email, passwords.shop_name)
        hash_ = await passwords.hash(password)
    elif not await passwords.matches(normal_password(data.password), account.password_hash):
        raise Forbidden("This address has an account; its password is another.")
    async with db.transaction() as tx:
        await invitations.accept(tx, invitation_id, account, hash_, data.name)


ROUTES: tuple[Any, ...] = (
    invite, list_invitations, read_invitation, revoke_invitation, accept_invitation,
)  # fmt: skip
