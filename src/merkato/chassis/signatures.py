"""Signed messages over HTTP, after Standard Webhooks (https://www.standardwebhooks.com), version 1.

Three headers: `webhook-id` (the same at every try), `webhook-timestamp` (Unix seconds) and
`webhook-signature`, a list parted by spaces of ``v1,<base64 of HMAC-SHA256>`` over
``<id>.<timestamp>.<body>``. A secret is ``whsec_<base64>``, or any text, which is then taken as it
is.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from merkato.contracts.problem import Unauthenticated

TOLERANCE_S = 300  # how old, or early, a message may be
SIGNATURES_MAX = 10  # of one message
SECRET_CHARS_MIN = 24


def sign(secrets: Sequence[str], id: str, at: int, body: bytes) -> dict[str, str]:
    """Give the headers of a message; one signature per secret, so that secrets can be changed."""
    signatures = " ".join(f"v1,{_digest(secret, id, at, body)}" for secret in secrets)
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signatures}


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Give the id of a message that was signed by `secret` just now. Raises Unauthenticated."""
    id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    shown = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    if not id or "." in id or not at.isascii() or not at.isdigit() or len(at) > 12:
        raise Unauthenticated("The message is not signed.")
    if abs(now - int(at)) > TOLERANCE_S:
        raise Unauthenticated("The message is too old, or from the future.")
    wanted = f"v1,{_digest(secret, id, int(at), body)}".encode()
    good = [hmac.compare_digest(wanted, one.encode("utf-8", "replace")) for one in shown]
    if not any(good):
        raise Unauthenticated("The signature is not right.")
    return id


def _digest(secret: str, id: str, at: int, body: bytes) -> str:
    content = f"{id}.{at}.".encode() + body
    return base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    named, _, encoded = secret.partition("_")
    if named == "whsec":
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            pass
    return secret.encode()
