"""API keys: what one is, and what it may do at most."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.contracts.permissions import ADMIN
from merkato.contracts.problem import Forbidden, Validation


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A program's key as staff see it: `prefix` is how it begins."""

    id: UUID
    prefix: str
    name: str
    scopes: tuple[str, ...]
    made_by: UUID
    made_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


def check_scopes(scopes: Sequence[str], allowed: frozenset[str]) -> tuple[str, ...]:
    """Give each scope once, in order. Raises Validation for one that does not exist.

    Raises Forbidden for one that is not `allowed`: nobody gives away what they do not have.
    """
    for n, scope in enumerate(scopes):
        if scope not in ADMIN:
            raise Validation.at(f"/scopes/{n}", "There is no such permission.")
    if missing := sorted(set(scopes) - allowed):
        raise Forbidden(f"You do not have {', '.join(missing)} yourself.")
    return tuple(sorted(set(scopes)))
