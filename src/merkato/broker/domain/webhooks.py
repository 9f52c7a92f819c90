"""How webhooks are signed and retried, after Standard Webhooks (standardwebhooks.com), and judged.

pending --2xx--> delivered
pending --the last try failed, 410, endpoint disabled--> failed
delivered, failed --asked for again--> pending
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import msgspec

MINUTE, HOUR = 60, 3_600
PAUSES_S = (  # before the second try, the third …
    5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
TRIES_MAX = len(PAUSES_S) + 1
JITTER_PERCENT = 10  # a pause is up to so much shorter or longer
RETRY_AFTER_MAX_S = 24 * HOUR
FAILING_MAX = timedelta(days=5)  # an endpoint that failed for so long is disabled
BREAK_AFTER = 5  # failed tries in a row, then the endpoint is left alone …
BREAK_S = 30  # … for so long, and twice as long each time …
BREAK_MAX_S = 15 * MINUTE  # … up to this
DATA_MAX_BYTES = 65_536  # larger data are left out, and an address says where they are
GONE = 410
PREFIX = "whsec_"
SECRETS_MAX = 5  # that sign for one endpoint
FORGOTTEN = "the log keeps this event no more"


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A try that has begun."""

    id: UUID
    subscription_id: UUID
    position: int
    event_id: UUID
    tries: int
    attempts: int
    event: str | None  # the body, as the log has it; None when it is kept no more


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint did: `status` None when it did not answer, `error` why that failed."""

    status: int | None = None
    error: str | None = None
    retry_after_s: int | None = None
    duration_ms: int = 0
    at: datetime


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a delivery after a try."""

    outgoing: Outgoing
    answer: Answer
    state: str  # pending | delivered | failed
    pause_s: int = 0  # until the next try
    reason: str | None = None

    @property
    def delivered(self) -> bool:
        """Tell whether it arrived."""
        return self.state == "delivered"


def judge(outgoing: Outgoing, answer: Answer, chance_percent: int) -> Verdict:
    """Decide what follows from a try; `chance_percent` (0 to 100) makes the jitter."""
    verdict = Verdict(outgoing=outgoing, answer=answer, state="delivered")
    if answer.error is None:
        return verdict
    last = outgoing.position < 0 or outgoing.tries >= TRIES_MAX
    if last or answer.status == GONE or answer.error == FORGOTTEN:
        return msgspec.structs.replace(verdict, state="failed", reason=answer.error)
    pause_s = max(pause(outgoing.tries, chance_percent), answer.retry_after_s or 0)
    return msgspec.structs.replace(verdict, state="pending", pause_s=pause_s, reason=answer.error)


def pause(tries: int, chance_percent: int) -> int:
    """Give the seconds to wait after so many tries (1 to 9)."""
    plain = PAUSES_S[min(tries, len(PAUSES_S)) - 1]
    return plain + plain * JITTER_PERCENT * (2 * chance_percent - 100) // 10_000


def break_s(failures: int) -> int:
    """Give the seconds an endpoint is left alone after so many failures in a row; 0: not yet."""
    if failures < BREAK_AFTER:
        return 0
    return min(BREAK_S << min(failures - BREAK_AFTER, 10), BREAK_MAX_S)


def error_of(status: int) -> str | None:
    """Say what is wrong with a status; None for success. A redirection is none."""
    if 200 <= status < 300:
        return None
    return "gone" if status == GONE else f"answered {status}"


def retry_after(value: str | None, now: datetime) -> int | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3), as seconds from now, bounded."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(value)
        seconds = int((at - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0, min(seconds, RETRY_AFTER_MAX_S))


def body_of(event: str, cursor: str, public_url: str) -> bytes:
    """Make the body to send: the event with its cursor; large data as the address to get them."""
    body = event.encode()
    if len(body) > DATA_MAX_BYTES:
        whole: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if len(bytes(whole["data"])) > DATA_MAX_BYTES:
            del whole["data"]
            ref: Any = {"dataref": f"{public_url}/api/v1/events/{cursor}"}
            body = msgspec.json.encode(whole | ref)
    return body[:-1] + f',"cursor":"{cursor}"}}'.encode()


def signature(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message with every secret: ``v1,<base64>`` for each, separated by spaces."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in secrets
    )


def shown(secret: bytes) -> str:
    """Write a secret as the other side's library reads it."""
    return PREFIX + b64encode(secret).decode()
