"""Identifiers: time-ordered ones for what is new, derived ones for what must be found again."""

import os
import time
from datetime import datetime
from uuid import UUID


def new_id() -> UUID:
    """Mint a UUIDv7 (RFC 9562, 5.7): milliseconds since 1970, then 74 random bits."""
    millis = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10))
    high = tail >> 68  # 12 bits
    low = tail & ((1 << 62) - 1)
    return UUID(int=(millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def first_id(moment: datetime) -> UUID:
    """Give the smallest UUIDv7 of a moment: ids minted before are smaller."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | (0b10 << 62))


def derived_id(digest: bytes) -> UUID:
    """Make a UUIDv8 (RFC 9562, 5.8) of the first 122 usable bits of a digest."""
    bits = int.from_bytes(digest[:16])
    bits &= ~(0xF << 76) & ~(0b11 << 62)
    return UUID(int=bits | (0x8 << 76) | (0b10 << 62))
