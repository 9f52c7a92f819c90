"""Staying logged in: which refresh token goes on."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token that was shown, and how its family is."""

    session_id: UUID
    user_id: UUID
    seed: bytes
    expires_at: datetime
    used_at: datetime | None
    session_ended: bool
    successor_used: bool


Verdict = Literal["rotate", "repeat", "reused", "refused"]


def judge_refresh(token: RefreshToken, now: datetime, grace: timedelta) -> Verdict:
    """Decide about a refresh token (RFC 9700, 4.14).

    `rotate` it for its successor; `repeat` the answer, when it was used within `grace` and the
    successor was not: an answer got lost or two tabs raced; `reused`: two hold it, so neither
    may go on; `refused`: it expired or its family had ended.
    """
    if token.session_ended or token.expires_at <= now:
        return "refused"
    if token.used_at is None:
        return "rotate"
    return "repeat" if now - token.used_at <= grace and not token.successor_used else "reused"
