"""Facets, counted once for many: the same question within moments has the same answer."""

import asyncio
import time
from collections import OrderedDict
from typing import Any

import msgspec

from merkato.catalog.store import listing as store
from merkato.catalog.store.listing import Asked, Facets, Wanted
from merkato.chassis.db import Database

MANY = 100  # an answer that counted so many products is given again …
FRESH_S = 30.0  # … for so long
KEPT_MAX = 500  # answers
AT_ONCE = 4  # different questions counted at the same time


class Counts:
    """The facets of lists. Those of many products take long to count, and change little."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[bytes, tuple[float, asyncio.Future[Any]]] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, wanted: Wanted) -> Facets:
        """Count what the products have that fit; up to 30 s old where they are many."""
        parts = [await self._part(one) for one in store.asked(wanted)]
        attributes = {
            name: values for part in parts for name, values in part.get("attributes", {}).items()
        }
        whole = {name: value for part in parts for name, value in part.items()}
        capped = any(part["capped"] for part in parts)
        return msgspec.convert({**whole, "attributes": attributes, "capped": capped}, Facets)

    async def _part(self, asked: Asked) -> dict[str, Any]:
        key = msgspec.msgpack.encode(asked)
        good_until, waiting = self._kept.get(key, (0.0, None))
        if waiting is None or time.monotonic() > good_until:
            waiting = asyncio.ensure_future(self._count(key, asked))
            self._kept[key] = (float("inf"), waiting)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        part: dict[str, Any] = await asyncio.shield(waiting)
        return part

    async def _count(self, key: bytes, asked: Asked) -> dict[str, Any]:
        try:
            async with self._room, self._db.reading() as tx:
                found = await store.facets(tx, asked)
        except BaseException:
            self._kept.pop(key, None)
            raise
        if found["counted"] < MANY:
            self._kept.pop(key, None)
        elif key in self._kept:
            self._kept[key] = (time.monotonic() + FRESH_S, self._kept[key][1])
        return found
