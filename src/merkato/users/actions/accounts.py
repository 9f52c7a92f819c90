"""Accounts come, change and go."""

from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis import forgetting
from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import COMMAND_LINE, note
from merkato.config import Users
from merkato.contracts.event import Personal
from merkato.contracts.problem import (
    NotFound,
    PreconditionFailed,
    StateConflict,
    Unauthenticated,
    Validation,
)
from merkato.contracts.users import RegistrationRepeated, UserErased, UserRegistered
from merkato.contracts.values import Address
from merkato.users.actions import logins, recovery, roles, second_factors
from merkato.users.domain.people import (
    ADDRESSES_MAX,
    Account,
    SavedAddress,
    check_admin_remains,
    email_key,
)
from merkato.users.domain.roles import check_grants
from merkato.users.store import accounts as store
from merkato.users.store import invitations as invitation_store
from merkato.users.store import keys as key_store
from merkato.users.store import logins as login_store
from merkato.users.store import views as view_store


async def register(
    tx: Tx, email: str, hash_: str, name: str | None, locale: str, settings: Users
) -> None:
    """Open an account; if the address has one, only its owner hears of it, by mail."""
    key, user_id = email_key(email), new_id()
    due = await recovery.is_mail_due(tx, "register", key)
    if await store.insert(tx, user_id, email, key, name, locale, hash_, "customer"):
        account = await store.by_id(tx, user_id)
        assert account is not None, "inserted just now"
        say(tx, UserRegistered(user_id=user_id, email=email, name=name, locale=locale))
        await recovery.ask_verification(tx, account, settings)
        return
    known = await store.lock_by_key(tx, key)
    if due and known is not None and known.email is not None:
        say(
            tx,
            RegistrationRepeated(
                user_id=known.id, request_id=new_id(),
                email=known.email, name=known.name, locale=known.locale,
            ),
        )  # fmt: skip


async def make_admin(tx: Tx, email: str, hash_: str, settings: Users) -> UUID:
    """Open an account as admin, or make the one of this address an admin with this password.

    Its sessions end. A repeat does the same again.
    """
    key, user_id = email_key(email), new_id()
    if await store.insert(tx, user_id, email, key, None, "en", hash_, "admin"):
        account = await store.by_id(tx, user_id)
        assert account is not None, "inserted just now"
        say(tx, UserRegistered(user_id=user_id, email=email))
        await recovery.ask_verification(tx, account, settings)
        note(tx, COMMAND_LINE, "users.admin_made", f"user:{user_id}")
        return user_id
    known = await store.lock_by_key(tx, key)
    assert known is not None, "the insert met it"
    await store.set_access(tx, known.id, "admin", False, known.metadata)
    await store.set_password(tx, known.id, hash_)
    await logins.end_all(tx, known.id)
    await logins.forgive(tx, key)
    note(tx, COMMAND_LINE, "users.admin_made", f"user:{known.id}", {"role": known.role})
    return known.id


async def change_password(tx: Tx, account: Account, hash_: str) -> None:
    """Set a password after the current one was shown; all sessions end.

    `account` is as it was read then. Raises StateConflict when the password changed meanwhile.
    """
    now = await store.lock(tx, account.id)
    if now is None or now.password_hash != account.password_hash:
        raise StateConflict("The password was changed just now.")
    await store.set_password(tx, account.id, hash_)
    await login_store.drop_email_tokens(tx, account.id, "reset")
    await logins.end_all(tx, account.id)


async def lock_own(tx: Tx, user_id: UUID, expected_version: int | None = None) -> Account:
    """Lock the caller's account. Raises Unauthenticated, PreconditionFailed."""
    account = await store.lock(tx, user_id)
    if account is None or account.blocked:
        raise Unauthenticated("Log in again.")
    _check_version(account.version, expected_version)
    return account


async def set_profile(tx: Tx, account: Account, name: str | None, locale: str) -> int:
    """Change what a person may change; give the new version."""
    return await store.set_profile(tx, account.id, name, locale)


async def set_access(
    tx: Tx, caller: Caller, user_id: UUID, expected_version: int, changes: dict[str, Any]
) -> Account:
    """Change `role`, `blocked` or `metadata`. Role and block count at once, everywhere.

    Raises NotFound, PreconditionFailed, and StateConflict for the last admin or an erased user.
    """
    account, admins = await store.lock_with_admins(tx, user_id)
    if account is None:
        raise NotFound("There is no such user.")
    _check_version(account.version, expected_version)
    if account.erased_at is not None:
        raise StateConflict("This user was erased.")
    new = msgspec.structs.replace(account, **changes)
    if (new.role, new.blocked) != (account.role, account.blocked):
        await _check_rank(tx, caller, account, new.role)
    if account.id in admins and (new.blocked or new.role != "admin"):
        check_admin_remains(admins, account.id)
    await store.set_access(tx, user_id, new.role, new.blocked, new.metadata)
    note(
        tx, caller, "users.user_changed", f"user:{user_id}", _staff_view(account), _staff_view(new)
    )
    if (new.role, new.blocked) != (account.role, account.blocked):
        if new.blocked:
            await login_store.end_sessions(tx, user_id)
        await logins.refuse_older(tx, user_id)
    changed = await store.by_id(tx, user_id)
    assert changed is not None, "locked"
    return changed


async def _check_rank(tx: Tx, caller: Caller, account: Account, role: str) -> None:
    """Nobody raises anybody above themself, and nobody touches who stands above them."""
    granted = await roles.grantable(tx, role)
    if granted is None:
        raise Validation.at("/role", "There is no such role.")
    check_grants(granted | await roles.permissions(tx, account.role), caller.permissions)


class _Access(msgspec.Struct, frozen=True, kw_only=True):
    """What staff may change of an account, as the trail shows it: no words about a person."""

    role: str
    blocked: bool
    metadata: Personal[dict[str, str]]


def _staff_view(account: Account) -> _Access:
    return _Access(role=account.role, blocked=account.blocked, metadata=account.metadata)


async def erase(tx: Tx, caller: Caller, user_id: UUID, expected_version: int | None = None) -> None:
    """Forget a person: overwrite, end sessions, and have every service do the same.

    A second time nothing happens. Raises NotFound, PreconditionFailed, StateConflict (last admin).
    """
    account, admins = await store.lock_with_admins(tx, user_id)
    if account is None:
        raise NotFound("There is no such user.")
    if account.erased_at is not None:
        return
    _check_version(account.version, expected_version)
    if account.id in admins:
        check_admin_remains(admins, account.id)
    assert account.email_key is not None, "not erased"
    await logins.forgive(tx, account.email_key)
    await store.erase(tx, user_id)
    await store.delete_addresses(tx, user_id)
    await view_store.delete_all(tx, user_id)
    await login_store.delete_sessions(tx, user_id)
    await key_store.revoke_of(tx, user_id)
    await second_factors.drop(tx, account)
    invited = await invitation_store.forget(tx, account.email_key)
    for purpose in ("verify", "reset", "email"):
        await login_store.drop_email_tokens(tx, user_id, purpose)
    await forgetting.note(tx, [user_id, *invited], [])
    if caller.user_id != user_id:
        check_grants(await roles.permissions(tx, account.role), caller.permissions)
        note(tx, caller, "users.user_erased", f"user:{user_id}")
    say(tx, UserErased(user_id=user_id))
    await logins.refuse_older(tx, user_id)


async def drop_second_factor(tx: Tx, caller: Caller, user_id: UUID) -> None:
    """Take somebody's second factor away. A repeat does nothing. Raises NotFound and Forbidden."""
    account = await store.lock(tx, user_id)
    if account is None:
        raise NotFound("There is no such user.")
    check_grants(await roles.permissions(tx, account.role), caller.permissions)
    if await second_factors.drop(tx, account):
        note(tx, caller, "users.second_factor_removed", f"user:{user_id}")
        await logins.end_all(tx, user_id)


async def add_address(tx: Tx, account: Account, written: Address, default: bool) -> SavedAddress:
    """Add an address to a locked account's book; the first is the default. Raises Validation."""
    known = await store.addresses(tx, account.id)
    if len(known) >= ADDRESSES_MAX:
        raise Validation(f"An account has at most {ADDRESSES_MAX} addresses.")
    added = SavedAddress(id=new_id(), is_default=default or not known, **_fields(written))
    await _put(tx, account, added)
    return added


async def change_address(
    tx: Tx, account: Account, address_id: UUID, changes: dict[str, Any], expected_version: int
) -> tuple[SavedAddress, int]:
    """Change fields of an address of a locked account; give it and its version.

    Raises NotFound, PreconditionFailed.
    """
    known = await _own_address(tx, account, address_id, expected_version)
    changed = msgspec.structs.replace(known, **changes)
    return changed, await _put(tx, account, changed)


async def remove_address(tx: Tx, account: Account, address_id: UUID, expected_version: int) -> None:
    """Forget an address of a locked account. Raises NotFound, PreconditionFailed."""
    await _own_address(tx, account, address_id, expected_version)
    await store.delete_address(tx, account.id, address_id)


async def _own_address(
    tx: Tx, account: Account, address_id: UUID, expected_version: int
) -> SavedAddress:
    found = await store.address(tx, account.id, address_id)
    if found is None:
        raise NotFound("There is no such address.")
    _check_version(found[1], expected_version)
    return found[0]


async def _put(tx: Tx, account: Account, saved: SavedAddress) -> int:
    if saved.is_default:
        await store.no_other_default(tx, account.id, saved.id)
    written = Address(**_fields(saved))
    return await store.put_address(tx, saved.id, account.id, written, saved.is_default)


def _fields(address: Address) -> dict[str, Any]:
    return {name: getattr(address, name) for name in Address.__struct_fields__}


def _check_version(version: int, expected: int | None) -> None:
    if expected is not None and version != expected:
        raise PreconditionFailed("It was changed meanwhile; read it again.")
