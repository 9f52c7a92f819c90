"""Codes by time (TOTP, RFC 6238): six digits, SHA-1, steps of 30 s, as every authenticator has."""

import hmac
from base64 import b32encode
from datetime import datetime

STEP_S = 30
DIGITS = 6
SKEW_STEPS = 1  # clocks may differ by so many steps
SECRET_BYTES = 20  # RFC 4226, 4, R6
RECOVERY_CODES = 10
RECOVERY_BYTES = 10


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """Give the code of a step: HOTP of RFC 4226, 5.3."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, now: datetime, last_step: int) -> int | None:
    """Give the step whose code this is, near `now` and after `last_step`; None when there is none.

    Each code counts once: whoever looked over a shoulder is late (RFC 6238, 5.2).
    """
    step = int(now.timestamp()) // STEP_S
    found = None
    for near in range(step - SKEW_STEPS, step + SKEW_STEPS + 1):
        fits = hmac.compare_digest(code_at(secret, near).encode(), code.encode())
        if fits and near > last_step:
            found = near
    return found


def readable(secret: bytes) -> str:
    """Write a secret for people: base 32 without padding."""
    return b32encode(secret).decode().rstrip("=")


def recovery_code(chance: bytes) -> str:
    """Write a recovery code for people: four groups of four letters and digits."""
    text = readable(chance).lower()
    return "-".join(text[n : n + 4] for n in range(0, len(text), 4))


def plain_code(code: str) -> str:
    """Read a code as people type it: without spaces and hyphens, in small letters."""
    return "".join(code.split()).replace("-", "").lower()
