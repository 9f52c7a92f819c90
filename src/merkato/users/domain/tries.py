"""How often something may be tried: when to wait, and when there were enough mails."""

from datetime import datetime, timedelta

import msgspec

from merkato.contracts.problem import RateLimited

FIRST_PAUSE_S = 30  # after too many failed logins; doubles with each further one
MAILS_MAX = 5  # mails of one kind per address and MAILS_WINDOW
MAILS_WINDOW = timedelta(hours=1)


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was tried of late."""

    count: int
    last_at: datetime
    paused_until: datetime | None = None


def try_login(tries: Tries, now: datetime, failures_max: int, window: timedelta) -> Tries:
    """Count an attempt to log in before it is judged. Raises RateLimited while there is a pause.

    After `failures_max` failures every further one is followed by a pause that doubles, up to
    `window`; a window without attempts forgets them all. So nobody is locked out for ever.
    """
    if tries.paused_until is not None and now < tries.paused_until:
        wait_s = int((tries.paused_until - now).total_seconds()) + 1
        raise RateLimited("Too many attempts to log in; wait, or reset the password.", wait_s)
    count = 1 if now - tries.last_at >= window else tries.count + 1
    pause = timedelta()
    if count >= failures_max:
        pause = min(window, timedelta(seconds=FIRST_PAUSE_S) * 2 ** min(count - failures_max, 16))
    return Tries(count=count, last_at=now, paused_until=now + pause if pause else None)


def try_mail(tries: Tries, now: datetime) -> Tries | None:
    """Count a wish for a mail; None when there have been enough of late."""
    if now - tries.last_at >= MAILS_WINDOW:
        return Tries(count=1, last_at=now)
    if tries.count >= MAILS_MAX:
        return None
    return Tries(count=tries.count + 1, last_at=now)
