"""How much one caller may ask: token buckets in memory, whose counts replicas tell each other.

A bucket is one number, the time at which it will be full again (GCRA, ITU-T I.371). Addresses of
version 6 count by their /64, for whoever has one has all of it. Addresses of
`unlimited` networks have no limits: this machine by default, where loads are measured and files
are replayed. Counts are told once a second, so replicas together let through at most one second's
worth too much.
"""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Any

import msgspec

from merkato.chassis.keys import shown_key
from merkato.chassis.tokens import Tokens
from merkato.config import Gateway
from merkato.contracts.problem import RateLimited, Unauthenticated

BUCKETS_MAX = 200_000
TOLD_MAX = 5_000  # buckets told of at once, the busiest first
LOGIN = "/api/v1/auth/"


class Rate(msgspec.Struct, frozen=True):
    """So many a second for ever, and so many at once."""

    name: str
    per_s: float
    burst: int

    @property
    def window_s(self) -> float:
        """Give the time in which an empty bucket is full again."""
        return self.burst / self.per_s

    @property
    def policy(self) -> str:
        """Say it as RateLimit-Policy does (IETF draft, RateLimit header fields)."""
        return f'"{self.name}";q={self.burst};w={math.ceil(self.window_s)}'


def rates(settings: Gateway) -> dict[str, Rate]:
    """Give the limits by what they count."""
    return {
        "address": Rate("address", settings.address_per_s, settings.address_burst),
        "principal": Rate("principal", settings.principal_per_s, settings.principal_burst),
        "login": Rate("login", settings.login_per_s, settings.login_burst),
    }


class Limits:
    """The buckets of one gateway."""

    def __init__(self, settings: Gateway, tokens: Tokens) -> None:
        self._tokens = tokens
        self._rates = rates(settings)
        self._full_at: dict[str, float] = {}
        self._untold: defaultdict[str, int] = defaultdict(int)

    def take(self, scope: Mapping[str, Any], address: str) -> list[tuple[bytes, bytes]]:
        """Count a request; give the header fields that say what is left. Raises RateLimited."""
        network = _digest(_network(address))
        keys = [f"address:{network}"]
        if scope["method"] == "POST" and scope["path"].startswith(LOGIN):
            keys.append(f"login:{network}")
        now = time.time()
        self._admit(keys, now)
        if whose := self._whose(scope["headers"]):  # to verify costs more than to count
            keys.append(f"principal:{_digest(whose)}")
            self._admit(keys[-1:], now)
        left = [(self._spend(key, 1, now), self._rate(key)) for key in keys]
        remaining, rate = min(left, key=lambda one: one[0] / one[1].burst)
        return _told(rate, remaining)

    def _whose(self, fields: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """Name who asks: the person of a good token, or a key or guest's token by its text.

        What proves nothing names nobody, or a forged token would spend what is its victim's.
        """
        said = dict(fields)
        shown = said.get(b"authorization")
        if shown is None:
            return said.get(b"x-cart-token") or said.get(b"x-order-token")
        if key := shown_key(shown.decode("latin-1")):
            return key.encode()
        try:
            return self._tokens.caller(shown.decode("latin-1")).principal.encode()
        except Unauthenticated:
            return None

    def _admit(self, keys: Sequence[str], now: float) -> None:
        for key in keys:
            rate = self._rate(key)
            if self._full_at.get(key, 0.0) - now > rate.window_s - 1 / rate.per_s:
                raise self._refusal(rate, self._full_at[key] - now)

    def _rate(self, key: str) -> Rate:
        return self._rates[key.partition(":")[0]]

    def _spend(self, key: str, count: int, now: float, *, ours: bool = True) -> float:
        """Take `count` out of a bucket; give how many are left."""
        rate = self._rate(key)
        if len(self._full_at) >= BUCKETS_MAX:
            self._forget(now)
        full_at = max(self._full_at.get(key, 0.0), now) + count / rate.per_s
        self._full_at[key] = min(full_at, now + 2 * rate.window_s)
        if ours:
            self._untold[key] += count
        return max(0.0, rate.burst - (full_at - now) * rate.per_s)

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full; under attack, all of them."""
        kept = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        self._full_at = kept if len(kept) < BUCKETS_MAX // 2 else {}

    def _refusal(self, rate: Rate, until_full_s: float) -> RateLimited:
        wait_s = max(1, math.ceil(until_full_s - rate.window_s + 1 / rate.per_s))
        said = f"At most {rate.per_s:g} requests a second ({rate.burst} at once) per {rate.name}."
        refused = RateLimited(said, wait_s)
        refused.headers |= {name.decode(): text.decode() for name, text in _told(rate, 0.0)}
        return refused

    def tell(self) -> bytes:
        """Give what was counted here since the last time, for the other replicas; empty if none."""
        if not self._untold:
            return b""
        most = sorted(self._untold.items(), key=lambda one: -one[1])[:TOLD_MAX]
        self._untold.clear()
        return msgspec.json.encode(dict(most))

    def hear(self, told: bytes) -> None:
        """Count what another replica let through. Anything else is ignored."""
        try:
            counts = msgspec.json.decode(told, type=dict[str, int])
        except msgspec.DecodeError:
            return
        now = time.time()
        for key, count in counts.items():
            if key.partition(":")[0] in self._rates and count > 0:
                self._spend(key, count, now, ours=False)


def _told(rate: Rate, remaining: float) -> list[tuple[bytes, bytes]]:
    """Say a limit and what is left of it."""
    left = f'"{rate.name}";r={int(remaining)};t={math.ceil((rate.burst - remaining) / rate.per_s)}'
    return [(b"ratelimit-policy", rate.policy.encode()), (b"ratelimit", left.encode())]


def _network(address: str) -> bytes:
    """Give what counts as one address: of version 6 the /64, or the one of version 4 within."""
    if ":" not in address:
        return address.encode()
    one = IPv6Address(address)
    return str(one.ipv4_mapped).encode() if one.ipv4_mapped else one.packed[:8]


def _digest(value: bytes) -> str:
    """Name a caller without keeping, or telling, who it is."""
    return blake2b(value, digest_size=12).hexdigest()
