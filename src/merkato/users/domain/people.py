"""Who has an account: what one is, what an e-mail address is, and that an admin remains."""

import re
import unicodedata
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.contracts.problem import StateConflict, Validation
from merkato.contracts.values import Address

ADDRESSES_MAX = 50  # per user

DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\Z")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account; `email` and the hash are None once it was erased."""

    id: UUID
    email: str | None
    email_key: str | None
    email_verified: bool
    name: str | None
    locale: str
    password_hash: str | None
    role: str
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


def check_admin_remains(admins: set[UUID], loses: UUID) -> None:
    """Raise StateConflict when the last admin would lose that role."""
    if admins == {loses}:
        raise StateConflict("This is the last admin; make somebody else one first.")
