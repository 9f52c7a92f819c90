"""Facets, counted once for many: the same question within moments has the same answer."""

import asyncio
import time
from collections import OrderedDict
from typing import NamedTuple

import msgspec

from merkato.catalog.domain.categories import Known
from merkato.catalog.store import categories
from merkato.catalog.store import listing as store
from merkato.catalog.store.listing import Asked, CategoryCount, Counted, Facets, Wanted
from merkato.chassis.db import Database, Tx

MANY = 100  # an answer that counted so many products is given again …
FRESH_S = 30.0  # … for so long
KEPT_MAX = 500  # answers
TREES_MAX = 20  # trees of categories, by locale
AT_ONCE = 4  # different questions counted at the same time


class _Part(NamedTuple):
    """What was counted at once, and its categories by name."""

    counted: Counted
    category: list[CategoryCount] | None


class Counts:
    """The facets of lists. Those of many products take long to count, and change little."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[bytes, tuple[float, asyncio.Future[_Part]]] = OrderedDict()
        self._trees: OrderedDict[tuple[str, ...], Known] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, wanted: Wanted) -> Facets:
        """Count what the products have that fit; up to 30 s old where they are many."""
        parts = [await self._part(one) for one in store.asked(wanted)]
        found = [part.counted for part in parts]
        return Facets(
            total=found[0].total,
            capped=any(one.capped for one in found),
            category=next(part.category for part in parts if part.category is not None),
            price=next(one.price for one in found if one.price),
            in_stock=next(one.in_stock for one in found if one.in_stock),
            attributes={
                name: values for one in found for name, values in (one.attributes or {}).items()
            },
        )

    async def _part(self, asked: Asked) -> _Part:
        key = msgspec.msgpack.encode(asked)
        good_until, waiting = self._kept.get(key, (0.0, None))
        if waiting is None or time.monotonic() > good_until:
            waiting = asyncio.ensure_future(self._count(key, asked))
            self._kept[key] = (float("inf"), waiting)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return await asyncio.shield(waiting)

    async def _count(self, key: bytes, asked: Asked) -> _Part:
        try:
            async with self._room, self._db.reading() as tx:
                counted = await store.facets(tx, asked)
                category = await self._named(tx, asked, counted)
        except BaseException:
            self._kept.pop(key, None)
            raise
        if counted.total < MANY:
            self._kept.pop(key, None)
        elif key in self._kept:
            self._kept[key] = (time.monotonic() + FRESH_S, self._kept[key][1])
        return _Part(counted, category)

    async def _named(self, tx: Tx, asked: Asked, counted: Counted) -> list[CategoryCount] | None:
        """Name the categories, by a tree that is no older than what was counted."""
        if counted.category is None:
            return None
        locales = tuple(asked.wanted.locales)
        tree = self._trees.pop(locales, None)
        if tree is None or tree.version < counted.tree:
            tree = await categories.known(tx, locales)
        self._trees[locales] = tree
        if len(self._trees) > TREES_MAX:
            self._trees.popitem(last=False)
        return [
            CategoryCount(
                id=node.id, parent_id=node.parent_id, slug=node.slug, title=node.title, count=count
            )
            for node, count in tree.counted(counted.category)
        ]
