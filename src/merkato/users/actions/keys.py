"""API keys: made by a person, used by a program, ended by either's superiors."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.keys import key_hash
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import Forbidden, NotFound, Validation
from merkato.contracts.users import KeyGrant
from merkato.users.actions import accounts, roles
from merkato.users.domain.keys import ApiKey, check_scopes
from merkato.users.store import keys as store

PREFIX_CHARS = 11  # "mk_" and eight hex digits


class NewKey(ApiKey, frozen=True, kw_only=True):
    """A key that was made just now; `key` is shown this once."""

    key: str


async def make(
    tx: Tx, caller: Caller, name: str, scopes: Sequence[str], expires_at: datetime | None
) -> NewKey:
    """Make a key for a program. Raises Validation, and Forbidden for more than the caller may."""
    if caller.kind != "user" or caller.user_id is None:
        raise Forbidden("Only a person makes API keys.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Validation.at("/expires_at", "This time has passed.")
    await accounts.lock_own(tx, caller.user_id)
    wanted = check_scopes(scopes, caller.permissions)
    key = f"mk_{secrets.token_hex(4)}_{secrets.token_hex(32)}"
    key_id, prefix = new_id(), key[:PREFIX_CHARS]
    made_at = await store.insert(
        tx, key_id, prefix, key_hash(key), name, wanted, caller.user_id, expires_at
    )
    made = NewKey(
        id=key_id, prefix=prefix, name=name, scopes=wanted, made_by=caller.user_id,
        made_at=made_at, expires_at=expires_at, key=key,
    )  # fmt: skip
    note(tx, caller, "users.api_key_made", f"api_key:{key_id}", after=made)
    return made


async def revoke(tx: Tx, caller: Caller, key_id: UUID) -> None:
    """End a key. A repeat does nothing. Raises NotFound."""
    if await store.revoke(tx, key_id):
        note(tx, caller, "users.api_key_revoked", f"api_key:{key_id}")
    elif await store.by_id(tx, key_id) is None:
        raise NotFound("There is no such API key.")


async def grant(tx: Tx, hash_: bytes) -> KeyGrant:
    """Say what a key may do now, and note that it is used. Raises NotFound.

    Its scopes are cut to what its maker may do today; of somebody blocked nothing is left.
    """
    found = await store.usable(tx, hash_)
    if found is None or found.blocked:
        raise NotFound("There is no such API key, or no longer.")
    await store.note_use(tx, found.id)
    allowed = await roles.permissions(tx, found.role)
    left = tuple(scope for scope in found.scopes if scope in allowed)
    return KeyGrant(id=found.id, scopes=left, expires_at=found.expires_at)
