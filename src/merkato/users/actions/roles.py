"""Roles of the shop's own: made, changed and ended by those who have what the role grants."""

from merkato.chassis.db import Tx
from merkato.chassis.outbox import ask_again, say
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    StateConflict,
)
from merkato.contracts.users import RoleChanged
from merkato.users.domain import roles as rules
from merkato.users.domain.roles import BUILT_IN, Role
from merkato.users.store import roles as store


async def permissions(tx: Tx, name: str) -> frozenset[str]:
    """Give what a role may do; nothing when there is no such role, or no longer."""
    role = BUILT_IN.get(name) or await store.read(tx, name)
    return frozenset(role.permissions) if role else frozenset()


async def grantable(tx: Tx, name: str) -> frozenset[str] | None:
    """Give what a role may do that is about to be given to somebody; None when there is none."""
    role = BUILT_IN.get(name) or await store.keep(tx, name)
    return frozenset(role.permissions) if role else None


async def put(
    tx: Tx, caller: Caller, name: str, title: str, wanted: tuple[str, ...], expected: int | None
) -> tuple[Role | None, Role]:
    """Make a role or replace it; give it as it was and as it is. Counts everywhere within 60 s.

    Raises StateConflict for a role of the code, Validation, Forbidden beyond what the caller may,
    PreconditionRequired and PreconditionFailed for one that exists.
    """
    rules.check_own(name)
    allowed = rules.check_permissions(wanted, caller.permissions)
    before = await store.lock(tx, name)
    if before is not None:
        if expected is None:
            raise PreconditionRequired("Send If-Match with the ETag of the role.")
        _check(caller, before, expected)
    version = await store.put(tx, name, title, allowed)
    after = Role(name=name, title=title, permissions=allowed, version=version)
    say(tx, RoleChanged(role=name, version=version, permissions=allowed))
    note(tx, caller, "users.role_put", f"role:{name}", before, after)
    return before, after


async def end(tx: Tx, caller: Caller, name: str, expected: int) -> None:
    """End a role that nobody has. Raises NotFound, PreconditionFailed, Forbidden, StateConflict."""
    rules.check_own(name)
    before = await store.lock(tx, name)
    if before is None:
        raise NotFound("There is no such role.")
    _check(caller, before, expected)
    if holders := await store.holders(tx, name):
        raise StateConflict(f"{holders} people have this role; give them another first.")
    version = await store.end(tx, name)
    say(tx, RoleChanged(role=name, version=version))
    note(tx, caller, "users.role_ended", f"role:{name}", before)


async def tell_again(tx: Tx) -> None:
    """Publish what is said of all roles once more, for services that are new or were restored."""
    for role in await store.every(tx):
        await ask_again(tx, role.name, RoleChanged.type)


def _check(caller: Caller, before: Role, expected: int) -> None:
    if before.version != expected:
        raise PreconditionFailed("It was changed meanwhile; read it again.")
    rules.check_grants(frozenset(before.permissions), caller.permissions)
