"""API keys at the door of every service: users is asked once whose a key is, then it is remembered.

What goes to users, and what is remembered, is a key's SHA-256, never the key: its 256 random bits
need no slow hash. A key that was ended is refused everywhere within FRESH_S, while users answers.
"""

import asyncio
import hashlib
import re
import time
from collections import OrderedDict

import structlog

from merkato.chassis.ask import Asks, Refusal
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import (
    DependencyUnavailable,
    RateLimited,
    Unauthenticated,
    UpstreamTimeout,
)
from merkato.contracts.users import KeyGrant

log = structlog.get_logger()

FORM = re.compile(r"[Bb]earer +(mk_[0-9a-f]{8}_[0-9a-f]{64})\Z")
FRESH_S = 30.0  # how long an answer of users counts
PATIENCE_S = 3.0  # longest wait for that answer
SILENCE_S = 900.0  # a known key goes on while users is silent, as long as an access token would …
AGAIN_S = 5.0  # … and users is asked again so often
KNOWN_MAX = 10_000  # keys remembered, and as many that are none
STRANGERS_PER_S = 50.0  # keys not known here that users is asked about per second …
STRANGERS_AT_ONCE = 200.0  # … and in a burst


def shown_key(authorization: str | None) -> str | None:
    """Give the API key in an Authorization header, None when there is none in it."""
    match = FORM.match(authorization) if authorization else None
    return match[1] if match else None


def key_hash(key: str) -> bytes:
    """Hash a key into the form that is kept and asked about."""
    return hashlib.sha256(key.encode()).digest()


class _Known:
    """What users said of a key: whom it makes the caller, or that it is none."""

    def __init__(self, caller: Caller | None, expires_at: float, now: float) -> None:
        self.caller, self.expires_at = caller, expires_at
        self.asked_at, self.fresh_until = now, now + FRESH_S


class ApiKeys:
    """The keys that one process of a service has seen of late."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._strangers: OrderedDict[bytes, _Known] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[_Known]] = {}
        self._room, self._room_at = STRANGERS_AT_ONCE, time.monotonic()

    async def caller(self, key: str) -> Caller:
        """Say who is calling with a key.

        Raises Unauthenticated for a key that is none, was ended or ran out, RateLimited when
        too many unknown ones are tried, DependencyUnavailable when it is not known and users does
        not answer.
        """
        name = key_hash(key)
        known = self._known.get(name) or self._strangers.get(name)
        if known is None or time.monotonic() >= known.fresh_until:
            known = await self._ask(name, self._known.get(name))
        if known.caller is None or time.time() >= known.expires_at:
            raise Unauthenticated("This API key is not valid, or no longer.")
        return known.caller

    async def _ask(self, name: bytes, before: _Known | None) -> _Known:
        """Ask once for all who wait; keep what was known when users is silent."""
        if name not in self._flights:
            if before is None:
                self._admit_stranger()
            flight = asyncio.create_task(self._look_up(name))
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        try:
            return await asyncio.shield(self._flights[name])
        except (DependencyUnavailable, UpstreamTimeout, TimeoutError) as silent:
            now = time.monotonic()
            if before is None or now >= before.asked_at + SILENCE_S:
                raise DependencyUnavailable("Whose key this is cannot be asked.") from silent
            log.warning("users is silent, a known key goes on", error=repr(silent))
            before.fresh_until = now + AGAIN_S
            return before

    async def _look_up(self, name: bytes) -> _Known:
        path = f"/api/v1/auth/keys/{name.hex()}"
        now = time.monotonic()
        self._strangers.pop(name, None)
        try:
            async with asyncio.timeout(PATIENCE_S):
                grant = await self._asks.ask("users", "GET", path, KeyGrant)
        except Refusal as refusal:
            if refusal.status != 404:
                raise DependencyUnavailable("Whose key this is cannot be asked.") from refusal
            self._known.pop(name, None)
            return _remember(self._strangers, name, _Known(None, 0.0, now))
        caller = Caller(kind="key", key_id=grant.id, permissions=frozenset(grant.scopes))
        expires_at = grant.expires_at.timestamp() if grant.expires_at else float("inf")
        return _remember(self._known, name, _Known(caller, expires_at, now))

    def _admit_stranger(self) -> None:
        """Bound what guessing costs users. Raises RateLimited."""
        now = time.monotonic()
        grown = self._room + (now - self._room_at) * STRANGERS_PER_S
        self._room, self._room_at = min(grown, STRANGERS_AT_ONCE), now
        if self._room < 1:
            raise RateLimited("Too many unknown API keys are tried.", 1)
        self._room -= 1


def _remember(kept: OrderedDict[bytes, _Known], name: bytes, known: _Known) -> _Known:
    kept[name] = known
    kept.move_to_end(name)
    if len(kept) > KNOWN_MAX:
        kept.popitem(last=False)
    return known
