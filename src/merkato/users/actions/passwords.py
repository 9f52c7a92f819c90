"""Passwords as hashes: argon2id (RFC 9106) in a few threads of its own, so nobody else waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from prometheus_client import Counter, Gauge

from merkato.chassis.telemetry import REGISTRY
from merkato.config import Users
from merkato.contracts.problem import Overloaded

T = TypeVar("T")

WAITING_MAX = 256  # hashes waiting for a thread; beyond that the caller hears 503
HASHES = Counter("merkato_password_hashes", "Password hashes computed.", registry=REGISTRY)
WAITING = Gauge("merkato_password_hashes_waiting", "Hashes not finished yet.", registry=REGISTRY)


class Passwords:
    """Hashes and compares passwords in normal form. Both take the same time, some 20 ms."""

    def __init__(self, settings: Users, shop_name: str = "Merkato") -> None:
        self.shop_name = shop_name  # of which no password may be made
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
        )
        # Well formed, of the usual cost, and the hash of nothing we know.
        self._nobody = (
            f"$argon2id$v=19$m={settings.argon2_memory_kib},t={settings.argon2_time_cost},p=1"
            f"${'A' * 22}${'A' * 43}"
        )
        self._threads = ThreadPoolExecutor(settings.argon2_concurrency, "argon2")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Hash a new password. Raises Overloaded when too many wait."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, password: str, hash_: str | None) -> bool:
        """Compare with a hash; without one it takes as long and gives False."""

        def compare() -> bool:
            try:
                return self._hasher.verify(hash_ or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(compare) and hash_ is not None

    def is_outdated(self, hash_: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(hash_)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded
        self._waiting += 1
        WAITING.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
            WAITING.dec()
            HASHES.inc()
