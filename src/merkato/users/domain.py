"""Rules of accounts: what an e-mail address is, what a good password, when to wait, who goes on."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from merkato.contracts.permissions import ADMIN
from merkato.contracts.problem import Forbidden, RateLimited, StateConflict, Validation
from merkato.contracts.values import Address

Role = Literal["customer", "staff", "admin"]

PASSWORD_CHARS_MIN = 15  # NIST SP 800-63B-4, 3.1.1.2, for a password that is the only factor
PASSWORD_CHARS_MAX = 128
UNGUESSABLE_CHARS = 6  # so many must be left of a password without its well-known parts
PERIOD_CHARS_MAX = 8  # "abcabcabc" repeats three; a unit this short is refused
ADDRESSES_MAX = 50  # per user
FIRST_PAUSE_S = 30  # after too many failed logins; doubles with each further one
MAILS_MAX = 5  # mails of one kind per address and MAILS_WINDOW
MAILS_WINDOW = timedelta(hours=1)

DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\Z")

# What people begin and end passwords with, longest first; the shop's name is added.
WELL_KNOWN = (
    "correcthorsebatterystaple", "thequickbrownfox", "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm", "administrator", "01234567890", "1234567890", "qwertyuiop",
    "987654321", "123456789", "qazwsxedc", "iloveyou", "password", "passwort", "motdepasse",
    "asdfghjkl", "superman", "baseball", "football", "sunshine", "princess", "trustno", "letmein",
    "welcome", "qwertz", "qwerty", "azerty", "zxcvbnm", "dragon", "monkey", "master", "shadow",
    "secret", "changeme", "login", "admin", "abcdef", "abc", "123456", "12345", "1234", "123",
)  # fmt: skip
SIGNS_AS_LETTERS = str.maketrans("@$!", "asi")
DIGITS_AS_LETTERS = str.maketrans("03457", "oeast")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account; `email` and the hash are None once it was erased."""

    id: UUID
    email: str | None
    email_key: str | None
    email_verified: bool
    name: str | None
    locale: str
    password_hash: str | None
    role: Role
    blocked: bool
    metadata: dict[str, str]
    version: int
    not_before: datetime
    registered_at: datetime
    erased_at: datetime | None

    def __repr__(self) -> str:
        return f"Account({self.id})"


class SavedAddress(Address, frozen=True, kw_only=True):
    """An address in a user's book. At most one is the default."""

    id: UUID
    is_default: bool


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was tried of late."""

    count: int
    last_at: datetime
    paused_until: datetime | None = None


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token that was shown, and how its family is."""

    session_id: UUID
    user_id: UUID
    seed: bytes
    expires_at: datetime
    used_at: datetime | None
    session_ended: bool
    successor_used: bool


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


def email_key(email: str) -> str:
    """Fold an address: two spellings of one mailbox have one key. Raises Validation.

    NFKC and case folding (the local part too, as every large mail service does), domain by IDNA.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())
    local, _, domain = folded.rpartition("@")
    try:
        domain = domain.rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    strange = "@" in local or " " in local or not local.isprintable()
    if not local or strange or not DOMAIN.match(domain):
        raise Validation.at("/email", "This is not an e-mail address.")
    return f"{local}@{domain}"


def normal_password(password: str) -> str:
    """Bring a password into the form that is hashed: NFKC, so that any keyboard gives the same."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, email: str, shop_name: str, pointer: str = "/password") -> str:
    """Give a new password in normal form. Raises Validation when it is short or easily guessed.

    After NIST SP 800-63B-4: length and a list of what is guessed first, no rules of composition.
    """
    normal = normal_password(password)
    if len(normal) < PASSWORD_CHARS_MIN:
        raise Validation.at(
            pointer, f"A password has at least {PASSWORD_CHARS_MIN} characters; a few words do."
        )
    if len(normal) > PASSWORD_CHARS_MAX:
        raise Validation.at(pointer, f"A password has at most {PASSWORD_CHARS_MAX} characters.")
    local = email.rpartition("@")[0]
    if is_guessable(normal, (shop_name, local, email)):
        raise Validation.at(
            pointer,
            "This password is guessed first: it repeats itself, or is little more than well-known "
            "words, your address or the shop's name. A few unrelated words are better.",
        )
    return normal


def is_guessable(password: str, names: tuple[str, ...]) -> bool:
    """Tell whether a password is repetition, or little more than well-known words and `names`."""
    folded = password.casefold()
    if (folded + folded).find(folded, 1) <= PERIOD_CHARS_MAX or len(set(folded)) < 5:
        return True
    own = {_letters(name) for name in ("merkato", *names)}
    known = sorted({*WELL_KNOWN, *(name for name in own if len(name) >= 3)}, key=len, reverse=True)
    whole = _letters(folded)
    rest = _without(_without(whole, known).translate(DIGITS_AS_LETTERS), known)
    return len(rest) < len(whole) and len(set(rest)) < UNGUESSABLE_CHARS


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold().translate(SIGNS_AS_LETTERS)))


def _without(text: str, pieces: list[str]) -> str:
    for piece in pieces:
        text = text.replace(piece, "")
    return text


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


def check_admin_remains(admins: set[UUID], loses: UUID) -> None:
    """Raise StateConflict when the last admin would lose that role."""
    if admins == {loses}:
        raise StateConflict("This is the last admin; make somebody else one first.")
