"""Invitations to become staff."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from merkato.contracts.problem import Gone

State = Literal["open", "accepted", "revoked", "expired"]


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation as staff see it."""

    id: UUID
    email: str
    role: str
    locale: str
    invited_by: UUID
    invited_at: datetime
    expires_at: datetime
    state: State


def check_open(state: State) -> None:
    """Raise Gone for an invitation that nobody can accept (any more)."""
    if state != "open":
        raise Gone("This invitation was used, taken back, or is too old.")
