"""Roles: what one is, and that nobody grants what they do not have."""

import msgspec

from merkato.contracts.permissions import ADMIN, ROLES
from merkato.contracts.problem import Forbidden, StateConflict, Validation


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What those who have it may do. `version` is the ETag; `built_in` ones cannot be changed."""

    name: str
    title: str
    permissions: tuple[str, ...]
    version: int = 1
    built_in: bool = False


BUILT_IN = {
    name: Role(
        name=name,
        title=name.replace("-", " ").capitalize(),
        permissions=tuple(sorted(permissions)),
        built_in=True,
    )
    for name, permissions in ROLES.items()
}


def check_own(name: str) -> None:
    """Raise StateConflict for a role of the code, which nobody changes."""
    if name in BUILT_IN:
        raise StateConflict(f"The role {name} is part of Merkato; make one of another name.")


def check_permissions(wanted: tuple[str, ...], allowed: frozenset[str]) -> tuple[str, ...]:
    """Give each permission once, in order. Raises Validation, and Forbidden beyond `allowed`."""
    for n, name in enumerate(wanted):
        if name not in ADMIN:
            raise Validation.at(f"/permissions/{n}", "There is no such permission.")
    check_grants(frozenset(wanted), allowed)
    return tuple(sorted(set(wanted)))


def check_grants(granted: frozenset[str], allowed: frozenset[str]) -> None:
    """Raise Forbidden when somebody would give, or take from, others more than they have."""
    if missing := sorted(granted - allowed):
        raise Forbidden(f"You do not have {', '.join(missing[:5])} yourself.")
