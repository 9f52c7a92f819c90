"""Secrets at rest: sealed with keys from the configuration; a copy of the database has none.

Fernet (AES-128-CBC with HMAC-SHA256) of the `cryptography` package. The first key seals, all open:
put a new one in front, and take the old one out when nothing is sealed with it any more.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from merkato.contracts.problem import DependencyUnavailable

KEY_MIN_CHARS = 32


class Vault:
    """Seals and opens short secrets. Raises ValueError for a key that is too short."""

    def __init__(self, keys: Sequence[str], setting: str) -> None:
        if any(len(key) < KEY_MIN_CHARS for key in keys):
            raise ValueError(f"{setting}: a key has at least {KEY_MIN_CHARS} characters")
        made = [Fernet(urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys]
        self._fernet = MultiFernet(made) if made else None
        self._setting = setting

    def seal(self, secret: bytes) -> bytes:
        """Encrypt. Raises DependencyUnavailable where no key is configured."""
        if self._fernet is None:
            raise DependencyUnavailable(f"No secret can be kept: {self._setting} is not set.")
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes | None:
        """Decrypt; None when no key opens it."""
        try:
            return self._fernet.decrypt(sealed) if self._fernet is not None else None
        except InvalidToken:
            return None
