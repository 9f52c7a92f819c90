"""The desk of orders: what routes read and write for many callers at once, in shared statements."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from merkato.chassis.ask import Asks
from merkato.chassis.batch import Batch
from merkato.chassis.db import Database, Row
from merkato.chassis.failpoints import reach
from merkato.config import Orders
from merkato.orders.actions import placing as actions
from merkato.orders.domain.coupons import Coupon
from merkato.orders.domain.offers import Offer
from merkato.orders.domain.terms import Terms
from merkato.orders.store import carts, coupons, life, offers
from merkato.orders.store import placing as store
from merkato.orders.store import terms as terms_store
from merkato.orders.store.carts import Cart, NewCart, NewLine
from merkato.orders.store.placing import NewOrder

TERMS_S = 5.0  # how long rates and methods are remembered
OFFERS_S = 1.0  # how long an offer is
SHELF_MAX = 20_000  # offers remembered


def _apart(_: object) -> object:
    """Tell any two reads apart: they may share a statement whatever they ask for."""
    return object()


class Desk:
    """Reads and writes for concurrent callers; each call is answered as if it were alone."""

    def __init__(self, db: Database, asks: Asks, settings: Orders) -> None:
        self.db, self.asks, self.settings = db, asks, settings
        self.known: Batch[store.Wish, store.Known] = Batch(self._known, key=_apart)
        self.coupon: Batch[str, Coupon | None] = Batch(self._coupons, key=_apart)
        self.place: Batch[NewOrder, actions.Outcome] = Batch(
            self._place, key=lambda order: (order.principal, order.key)
        )
        self.order: Batch[UUID, Row | None] = Batch(self._orders, key=_apart)
        self.cart: Batch[UUID, Cart | None] = Batch(self._carts, key=_apart)
        self._read_offers: Batch[tuple[str, ...], dict[str, Offer]] = Batch(
            self._offers, key=_apart
        )
        self._shelf: dict[str, tuple[Offer, float]] = {}  # offers read a moment ago
        self.new_cart: Batch[NewCart, datetime] = Batch(self._new_carts, key=lambda new: new.id)
        self.set_cart: Batch[Cart, bool] = Batch(
            self._set_carts, key=lambda cart: cart.id, repeatable=False
        )
        self.add_line: Batch[NewLine, int | None] = Batch(
            self._add_lines, key=lambda line: line.cart_id, repeatable=False
        )
        self._terms: tuple[Terms, float] | None = None

    async def offers(self, skus: Sequence[str]) -> dict[str, Offer]:
        """Give the offers of skus, at most OFFERS_S old; what places compares versions again."""
        now = asyncio.get_running_loop().time()
        found = {}
        missing = []
        for sku in skus:
            offer, read_at = self._shelf.get(sku, (None, 0.0))
            if offer is None or now - read_at > OFFERS_S:
                missing.append(sku)
            else:
                found[sku] = offer
        if missing:
            fresh = await self._read_offers(tuple(missing))
            if len(self._shelf) > SHELF_MAX:
                self._shelf.clear()
            self._shelf |= {sku: (offer, now) for sku, offer in fresh.items()}
            found |= fresh
        return found

    def forget(self, skus: Iterable[str]) -> None:
        """Read these offers anew when they are asked for: one of them was old."""
        for sku in skus:
            self._shelf.pop(sku, None)

    async def terms(self) -> Terms:
        """Give rates and methods, at most TERMS_S old."""
        now = asyncio.get_running_loop().time()
        if self._terms is None or now - self._terms[1] > TERMS_S:
            async with self.db.reading() as tx:
                self._terms = (await terms_store.terms(tx), now)
        return self._terms[0]

    def forget_terms(self) -> None:
        """Read rates and methods anew when they are asked for: they were changed here."""
        self._terms = None

    async def _known(self, batch: Sequence[store.Wish]) -> list[store.Known]:
        async with self.db.reading() as tx:
            return await store.known(tx, batch)

    async def _coupons(self, batch: Sequence[str]) -> list[Coupon | None]:
        async with self.db.reading() as tx:
            found = await coupons.coupons(tx, sorted(set(batch)))
        return [found.get(code) for code in batch]

    async def _place(self, batch: Sequence[NewOrder]) -> list[actions.Outcome]:
        async with self.db.transaction() as tx:
            outcomes = await actions.place(tx, batch)
            reach("orders-before-commit")
        reach("orders-after-commit")
        return outcomes

    async def _orders(self, batch: Sequence[UUID]) -> list[Row | None]:
        async with self.db.reading() as tx:
            found = await life.views(tx, batch)
        return [found.get(order_id) for order_id in batch]

    async def _carts(self, batch: Sequence[UUID]) -> list[Cart | None]:
        async with self.db.reading() as tx:
            found = await carts.carts(tx, batch)
        return [found.get(cart_id) for cart_id in batch]

    async def _offers(self, batch: Sequence[tuple[str, ...]]) -> list[dict[str, Offer]]:
        async with self.db.reading() as tx:
            found = await offers.offers(tx, sorted({sku for skus in batch for sku in skus}))
        return [{sku: found[sku] for sku in skus if sku in found} for skus in batch]

    async def _new_carts(self, batch: Sequence[NewCart]) -> list[datetime]:
        async with self.db.reading() as tx:
            found = await carts.insert(tx, batch)
        return [found[new.id] for new in batch]

    async def _set_carts(self, batch: Sequence[Cart]) -> list[bool]:
        async with self.db.reading() as tx:
            done = await carts.update(tx, batch)
        return [cart.id in done for cart in batch]

    async def _add_lines(self, batch: Sequence[NewLine]) -> list[int | None]:
        async with self.db.reading() as tx:
            versions = await carts.add_lines(tx, batch)
        return [versions.get(line.cart_id) for line in batch]
