"""Staff are invited by a mailed link, and come with no more than whoever invites them has."""

from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.config import Users
from merkato.contracts.problem import Forbidden, Gone, NotFound, StateConflict, Validation
from merkato.contracts.users import StaffInvited, UserRegistered
from merkato.users.actions import accounts, logins, recovery, roles
from merkato.users.domain.invitations import Invitation, check_open
from merkato.users.domain.people import Account, email_key
from merkato.users.domain.roles import check_grants
from merkato.users.store import accounts as account_store
from merkato.users.store import invitations as store


async def invite(
    tx: Tx, caller: Caller, email: str, role: str, locale: str, settings: Users
) -> Invitation:
    """Invite somebody to a role; what was offered to the address before ends.

    Raises Validation for a role that does not exist or grants nothing, Forbidden for one beyond
    what the caller may, StateConflict when the address has an account with that role.
    """
    if caller.kind != "user" or caller.user_id is None:
        raise Forbidden("Only a person invites others.")
    key, invitation_id = email_key(email), new_id()
    inviter = await accounts.lock_own(tx, caller.user_id)
    granted = await roles.grantable(tx, role)
    if not granted:
        raise Validation.at("/role", "There is no such role, or it grants nothing.")
    check_grants(granted, caller.permissions)
    known = await account_store.by_key(tx, key)
    if known is not None and known.role == role:
        raise StateConflict("Whoever has this address has this role.")
    await recovery.hold_address(tx, key)
    await store.close_old(tx, key)
    await store.insert(
        tx, invitation_id, (email, key), role, locale, inviter.id, settings.invitation_s
    )
    say(
        tx,
        StaffInvited(
            invitation_id=invitation_id, token_id=invitation_id, role=role, email=email,
            invited_by=inviter.name, locale=locale,
        ),
    )  # fmt: skip
    made = await store.read(tx, invitation_id)
    assert made is not None, "inserted just now"
    note(tx, caller, "users.staff_invited", f"invitation:{invitation_id}", after={"role": role})
    return made


async def revoke(tx: Tx, caller: Caller, invitation_id: UUID) -> None:
    """Take an invitation back. A repeat does nothing. Raises NotFound, StateConflict when used."""
    if await store.revoke(tx, invitation_id):
        note(tx, caller, "users.invitation_revoked", f"invitation:{invitation_id}")
        return
    found = await store.read(tx, invitation_id)
    if found is None:
        raise NotFound("There is no such invitation.")
    if found.state == "accepted":
        raise StateConflict("It was accepted; change the person's role instead.")


async def opened(tx: Tx, invitation_id: UUID) -> tuple[Invitation, Account | None]:
    """Read an open invitation, without using it, and the account of its address. Raises Gone."""
    found = await store.read(tx, invitation_id)
    if found is None:
        raise Gone("This invitation was used, taken back, or is too old.")
    check_open(found.state)
    return found, await account_store.by_key(tx, email_key(found.email))


async def accept(
    tx: Tx, invitation_id: UUID, verified: Account | None, hash_: str, name: str | None
) -> None:
    """Give the invited person the role: to `verified`, whose password was shown, or a new account.

    Raises Gone when the invitation cannot be used (any more), or who invited could not today.
    """
    found = await store.lock(tx, invitation_id)
    if found is None:
        raise Gone("This invitation was used, taken back, or is too old.")
    check_open(found.state)
    await _check_inviter(tx, found)
    key = email_key(found.email)
    await recovery.hold_address(tx, key)
    known = await account_store.lock_by_key(tx, key)
    if (known and (known.id, known.password_hash)) != (
        verified and (verified.id, verified.password_hash)
    ):
        raise StateConflict("The account of this address changed just now; try again.")
    if known is None:
        user_id = new_id()
        await account_store.insert(
            tx, user_id, found.email, key, name, found.locale, hash_, found.role
        )
        say(tx, UserRegistered(user_id=user_id, email=found.email, name=name, locale=found.locale))
        before = None
    else:
        if known.blocked:
            raise Forbidden("This account is blocked.")
        user_id, before = known.id, {"role": known.role}
        await account_store.set_access(tx, user_id, found.role, False, known.metadata)
        await logins.end_all(tx, user_id)
    await account_store.set_verified(tx, user_id)  # whoever has the link reads the mail
    await store.accept(tx, invitation_id)
    actor = Caller(kind="user", user_id=user_id, role=found.role)
    about = f"invitation:{invitation_id}"
    note(tx, actor, "users.invitation_accepted", about, before, {"role": found.role})


async def _check_inviter(tx: Tx, found: Invitation) -> None:
    inviter = await account_store.by_id(tx, found.invited_by)
    granted = await roles.grantable(tx, found.role)
    allowed = await roles.permissions(tx, inviter.role) if inviter and not inviter.blocked else None
    if not granted or allowed is None or granted - allowed:
        raise Gone("Who invited you cannot give this role any more; ask for a new invitation.")
