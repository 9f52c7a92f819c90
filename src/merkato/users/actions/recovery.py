"""Mails with a link: that an address is right, or that a password is forgotten."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.config import Users
from merkato.contracts.problem import Gone, NotFound
from merkato.contracts.users import (
    EmailChanged,
    EmailVerificationRequested,
    Link,
    PasswordResetRequested,
    RegistrationRepeated,
)
from merkato.users.actions import logins
from merkato.users.domain.people import Account
from merkato.users.domain.tries import try_mail
from merkato.users.store import accounts, invitations
from merkato.users.store import logins as store

PAGES = {
    "verify": "verify-email",
    "email": "verify-email",
    "reset": "reset-password",
    "invite": "admin/accept-invitation",
}


class Links:
    """Makes and reads the tokens in mailed links: ``<token id>.<HMAC of it>``.

    The HMAC's key is derived from the signing key, so nothing in the database is enough to make
    one, and a link that is asked for twice is the same link.
    """

    def __init__(self, signing_key: Mapping[str, str], public_url: str) -> None:
        self._key = hashlib.sha256(b"merkato mailed links " + signing_key["d"].encode()).digest()
        self._public_url = public_url.rstrip("/")

    def url(self, token_id: UUID, purpose: str) -> str:
        """Give the link; its host comes from the configuration, whatever a request says."""
        return f"{self._public_url}/{PAGES[purpose]}?token={token_id}.{self._proof(token_id)}"

    def token_id(self, token: str) -> UUID:
        """Read a token. Raises Gone for what is not ours: all useless links look the same."""
        name, _, proof = token.partition(".")
        try:
            token_id = UUID(name)
        except ValueError:
            raise _gone() from None
        if not hmac.compare_digest(self._proof(token_id).encode(), proof.encode()):
            raise _gone()
        return token_id

    def _proof(self, token_id: UUID) -> str:
        digest = hmac.digest(self._key, token_id.bytes, "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")


def _gone() -> Gone:
    return Gone("This link was used or is too old; ask for a new one.")


async def is_mail_due(tx: Tx, what: str, email_key: str) -> bool:
    """Count a wish for a mail to an address, known or not; say no after a few in an hour."""
    name = logins.tried(what, email_key)
    tries, now = await store.lock_tries(tx, name)
    counted = try_mail(tries, now)
    if counted is not None:
        await store.keep_tries(tx, name, counted)
    return counted is not None


async def ask_verification(tx: Tx, account: Account, settings: Users) -> None:
    """Ask for a mail by which the owner of a locked or new account proves to read its mail."""
    assert account.email is not None, "not erased"
    token_id = new_id()
    await store.add_email_token(tx, token_id, account.id, "verify", settings.email_token_s)
    say(
        tx,
        EmailVerificationRequested(
            user_id=account.id, token_id=token_id,
            email=account.email, name=account.name, locale=account.locale,
        ),
    )  # fmt: skip


async def forget_password(tx: Tx, email_key: str, settings: Users) -> None:
    """Ask for a mail with a link to a new password, if that address has an account."""
    due = await is_mail_due(tx, "forgot", email_key)
    account = await accounts.lock_by_key(tx, email_key)
    if not due or account is None or account.email is None:
        return
    token_id = new_id()
    await store.add_email_token(tx, token_id, account.id, "reset", settings.email_token_s)
    say(
        tx,
        PasswordResetRequested(
            user_id=account.id, token_id=token_id,
            email=account.email, name=account.name, locale=account.locale,
        ),
    )  # fmt: skip


async def link(tx: Tx, token_id: UUID, links: Links) -> Link:
    """Give the link for a mail; the same at every asking. Raises NotFound when it is useless."""
    found = await store.email_token(tx, token_id)
    if found is not None:
        return Link(url=links.url(token_id, found.purpose))
    invitation = await invitations.read(tx, token_id)
    if invitation is None or invitation.state != "open":
        raise NotFound("There is no such link, or no longer.")
    return Link(url=links.url(token_id, "invite"))


async def resettable(tx: Tx, token_id: UUID) -> store.EmailToken:
    """Read what a reset token is for, without using it. Raises Gone."""
    found = await store.email_token(tx, token_id)
    if found is None or found.purpose != "reset":
        raise _gone()
    return found


async def reset_password(tx: Tx, token_id: UUID, user_id: UUID, hash_: str) -> None:
    """Set a password by a link, once; all sessions end, failed logins are forgiven. Raises Gone."""
    account = await accounts.lock(tx, user_id)
    if account is None or account.email_key is None:
        raise _gone()
    if not await store.use_email_token(tx, token_id, "reset"):
        raise _gone()
    await store.drop_email_tokens(tx, user_id, "reset")
    await accounts.set_password(tx, user_id, hash_)
    if not account.email_verified:  # whoever has the link reads the mail
        await accounts.set_verified(tx, user_id)
    await logins.end_all(tx, user_id)
    await logins.forgive(tx, account.email_key)


async def hold_address(tx: Tx, key: str) -> None:
    """Keep others from taking an address, by registering or otherwise, until this commits."""
    await store.lock_tries(tx, logins.tried("register", key))


async def ask_email_change(tx: Tx, account: Account, email: str, key: str, settings: Users) -> None:
    """Ask the owner of another address whether a locked account may have it.

    If that address has an account, its owner is told as of a repeated registration.
    """
    if key == account.email_key or not await is_mail_due(tx, "change-email", key):
        return
    known = await accounts.by_key(tx, key)
    if known is not None and known.email is not None:
        say(
            tx,
            RegistrationRepeated(
                user_id=known.id, request_id=new_id(),
                email=known.email, name=known.name, locale=known.locale,
            ),
        )  # fmt: skip
        return
    token_id = new_id()
    await store.drop_email_tokens(tx, account.id, "email")
    await store.add_email_token(
        tx, token_id, account.id, "email", settings.email_token_s, (email, key)
    )
    say(
        tx,
        EmailVerificationRequested(
            user_id=account.id, token_id=token_id,
            email=email, name=account.name, locale=account.locale,
        ),
    )  # fmt: skip


async def verify_email(tx: Tx, token_id: UUID) -> None:
    """Note that an address is right, once per link; another one becomes the account's. Raises Gone.

    The former address is told, and links that were sent there end.
    """
    found = await store.email_token(tx, token_id)
    if found is None or found.purpose == "reset":
        raise _gone()
    await hold_address(tx, found.email_key)
    account = await accounts.lock(tx, found.user_id)
    if account is None or not await store.use_email_token(tx, token_id, found.purpose):
        raise _gone()
    if found.purpose == "verify":
        await accounts.set_verified(tx, account.id)
        return
    if await accounts.by_key(tx, found.email_key) is not None or account.email is None:
        raise _gone()
    for purpose in ("verify", "reset", "email"):
        await store.drop_email_tokens(tx, account.id, purpose)
    await accounts.set_email(tx, account.id, found.email, found.email_key)
    say(
        tx,
        EmailChanged(
            user_id=account.id, change_id=token_id, email=account.email, new_email=found.email,
            name=account.name, locale=account.locale,
        ),
    )  # fmt: skip
