"""The audit trail as a chain: each entry's hash covers its text and the hash before it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from merkato.contracts.trail import ActionNoted


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in its place. `body` is the entry as JSON, `hash` SHA-256."""

    n: int
    at: datetime
    body: str
    hash: bytes


def chained(n: int, last_hash: bytes, entries: Sequence[ActionNoted]) -> list[Link]:
    """Give entries their places behind the n-th, whose hash is `last_hash`."""
    links = []
    for entry in entries:
        text = msgspec.json.encode(entry)
        n, last_hash = n + 1, hashlib.sha256(last_hash + text).digest()
        links.append(Link(n=n, at=entry.at, body=text.decode(), hash=last_hash))
    return links
