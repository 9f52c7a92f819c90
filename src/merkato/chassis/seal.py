"""Seal what a browser keeps for us: it can neither read nor change it."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Seal:
    """AES-256-GCM (NIST SP 800-38D) under a key made of a secret and of what it is for."""

    def __init__(self, secret: str, purpose: str) -> None:
        self._purpose = purpose.encode()
        self._cipher = AESGCM(sha256(self._purpose + b"\0" + secret.encode()).digest())

    def close(self, value: bytes) -> str:
        """Seal a value as text that is safe in a cookie."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, value, self._purpose)
        return urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, text: str) -> bytes | None:
        """Give back what was sealed; None for anything that was not sealed by `close`."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], self._purpose)
        except (ValueError, InvalidTag):
            return None
