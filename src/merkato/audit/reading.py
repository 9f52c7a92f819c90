"""One moment of each database, and long answers read in pieces, so that memory stays flat."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from merkato.chassis import db
from merkato.chassis.db import Row, Tx

PIECE = 5_000  # rows that are held of one answer at a time

_PATIENT = """
set local statement_timeout = 0;
set local transaction_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local work_mem = '64MB';
set local cursor_tuple_fraction = 1.0;
"""
_NOW = "select now()"
_HAS_MIGRATIONS = "select to_regclass('migrations') is not null"
_MIGRATED = "select exists (select from migrations where starts_with(name, $1))"


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. Without `orders` and `since`: everything."""

    settle_s: float  # what is younger has not come to rest, and is left alone
    orders: tuple[UUID, ...] | None = None  # these orders only
    since: datetime | None = None  # of events and messages, those since then only


@asynccontextmanager
async def snapshots(dsns: Mapping[str, str]) -> AsyncIterator[dict[str, Tx]]:
    """Give a read-only transaction for each service whose tables exist; each sees one moment.

    Orders is read last: what it is told by the others, it may know of; never the other way round.
    """
    async with AsyncExitStack() as stack:
        opened = {}
        for name in sorted(dsns, key=lambda name: (name == "orders", name)):
            database = await stack.enter_async_context(db.connected(dsns[name], pool_max=1))
            tx = await stack.enter_async_context(database.transaction(snapshot=True))
            await tx.execute(_PATIENT)
            if await tx.fetchval(_HAS_MIGRATIONS) and await tx.fetchval(
                _MIGRATED, f"merkato.{name}/"
            ):
                opened[name] = tx
        yield opened


async def started_at(tx: Tx) -> datetime:
    """Give the moment that a snapshot shows, by the database's clock."""
    moment: datetime = await tx.fetchval(_NOW)
    return moment


class Stream:
    """The answer to a query that begins with a text column `id` and is sorted by it."""

    def __init__(self, tx: Tx, name: str, sql: str, *values: Any) -> None:
        self._tx, self._name, self._sql, self._values = tx, name, sql, values
        self._opened = self._ended = False
        self.rows: dict[str, Row] = {}

    @property
    def last(self) -> str | None:
        """Give the id up to which everything is known; None when that is everything."""
        return None if self._ended else next(reversed(self.rows))

    async def refill(self) -> None:
        """Read the next piece when there is nothing left of the one before."""
        if self.rows or self._ended:
            return
        if not self._opened:
            declare = f"declare {self._name} no scroll cursor for {self._sql}"
            await self._tx.execute(declare, *self._values)
            self._opened = True
        found = await self._tx.fetch(f"fetch forward {PIECE} from {self._name}")
        self.rows = {row["id"]: row for row in found}
        if len(found) < PIECE:
            self._ended = True
            await self._tx.execute(f"close {self._name}")

    def take(self, bound: str | None) -> dict[str, Row]:
        """Hand over the rows up to `bound`, all of them without one."""
        if bound is None or not self.rows or next(reversed(self.rows)) <= bound:
            taken, self.rows = self.rows, {}
            return taken
        taken = {id: row for id, row in self.rows.items() if id <= bound}
        self.rows = {id: row for id, row in self.rows.items() if id > bound}
        return taken


async def side_by_side(streams: Sequence[Stream]) -> AsyncIterator[list[dict[str, Row]]]:
    """Walk several sorted answers together: pieces of each that cover the same ids."""
    while True:
        await asyncio.gather(*(stream.refill() for stream in streams))
        bounds = [stream.last for stream in streams if stream.last is not None]
        pieces = [stream.take(min(bounds, default=None)) for stream in streams]
        if any(pieces):
            yield pieces
        if not bounds:
            return
