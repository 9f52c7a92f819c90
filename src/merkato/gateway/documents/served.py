"""The documents as they are served: made once, when somebody first asks."""

import asyncio
from collections.abc import Mapping

import msgspec

from merkato.chassis.service import Service
from merkato.gateway.documents import openapi


class Documents:
    """Makes and keeps what describes the shop."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self._made: dict[str, bytes] = {}

    async def page(self, path: str) -> tuple[bytes, bytes] | None:
        """Give media type and body of a document, None for what is none."""
        if path != "/openapi.json":
            return None
        if path not in self._made:
            self._made[path] = await asyncio.to_thread(self._make)
        return b"application/json", self._made[path]

    def _make(self) -> bytes:
        return msgspec.json.encode(openapi.document(self._services))
