"""What inventory says, and what it may be asked by other services."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from merkato.contracts.event import Event
from merkato.contracts.values import Quantity, Sku


class StockLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of one sku."""

    sku: Sku
    quantity: Quantity


class Reserve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PUT /api/v1/reservations/{order_id}``; only tracked skus, each once."""

    lines: Annotated[tuple[StockLine, ...], msgspec.Meta(min_length=1, max_length=2_000)]
    ttl_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)]
    principal: Annotated[str, msgspec.Meta(max_length=100)]  # for whom; limits provisional holds


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation as other services see it."""

    order_id: UUID
    state: str  # held | committed | released | expired
    lines: tuple[StockLine, ...]


class StockChanged(Event, frozen=True, kw_only=True):
    """So many pieces can be had now. At most one a second per sku; the last is always said."""

    type: ClassVar[str] = "inventory.stock_changed.v1"
    last_value: ClassVar[bool] = True
    public: ClassVar[tuple[str, ...]] = ("sku", "available", "version")

    sku: str
    available: int
    version: int

    @property
    def key(self) -> str:
        """See Event."""
        return self.sku


class StockLow(Event, frozen=True, kw_only=True):
    """Stock fell to the threshold or below; said again only after it had been above."""

    type: ClassVar[str] = "inventory.stock_low.v1"
    public: ClassVar[tuple[str, ...]] = ("sku", "available", "threshold")

    sku: str
    available: int
    threshold: int
    crossing: int  # counts the crossings of this sku

    @property
    def key(self) -> str:
        """See Event."""
        return self.sku


class ReservationLost(Event, frozen=True, kw_only=True):
    """An order lives whose hold had ended, and its goods are gone: it has to be cancelled."""

    type: ClassVar[str] = "inventory.reservation_lost.v1"
    public: ClassVar[tuple[str, ...]] = ("order_id", "lines")

    order_id: UUID
    lines: tuple[StockLine, ...]  # the lines that could not be had again

    @property
    def key(self) -> str:
        """See Event."""
        return str(self.order_id)
