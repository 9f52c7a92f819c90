"""The HTTP face of inventory."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter

from merkato.chassis.batch import Batch
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import (
    ANYONE,
    SERVICE,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.inventory import Reservation, Reserve, StockLine
from merkato.contracts.problem import NotFound, RateLimited, StateConflict, Validation
from merkato.contracts.values import Line, Sku
from merkato.inventory import actions, domain, store

Pieces = Annotated[int, msgspec.Meta(ge=0, le=domain.ON_HAND_MAX)]
SkuPath = Annotated[str, Parameter(min_length=1, max_length=64)]
Skus = Annotated[list[str] | None, Parameter(query="sku", max_items=100)]


class Wanted(msgspec.Struct, frozen=True):
    """A reservation on its way into a batch."""

    order_id: UUID
    request: Reserve
    lines: dict[str, int]


class Verdict(msgspec.Struct, frozen=True):
    """What the batch decided."""

    verdict: str
    missing: list[str]


class Reservations:
    """Decides reservations, many in one statement."""

    def __init__(self, db: Database, holds_max: int) -> None:
        self._db = db
        self._holds_max = holds_max
        self._batch: Batch[Wanted, Verdict] = Batch(
            self._decide, key=lambda wanted: wanted.order_id
        )

    async def reserve(self, wanted: Wanted) -> Verdict:
        """Hold all lines or none; safe to repeat."""
        return await self._batch(wanted)

    async def _decide(self, batch: Sequence[Wanted]) -> list[Verdict]:
        orders = [
            (one.order_id, domain.body_of(one.lines), one.request.principal,
             timedelta(seconds=one.request.ttl_s))
            for one in batch
        ]  # fmt: skip
        lines = [(n, sku, q) for n, one in enumerate(batch, 1) for sku, q in one.lines.items()]
        async with self._db.reading() as tx:  # one statement: it is its own transaction
            rows = await store.reserve(tx, orders, lines, self._holds_max)
        verdicts = {row["order_id"]: Verdict(row["verdict"], row["missing"]) for row in rows}
        return [verdicts[one.order_id] for one in batch]


@put("/api/v1/reservations/{order_id:uuid}", policy=SERVICE)
async def put_reservation(
    order_id: UUID, data: Reserve, reservations: Reservations
) -> Response[Reservation]:
    """Hold all lines for an order, or none.

    201; 200 when repeated; 409 out-of-stock with `missing`, state-conflict for other lines or an
    order that was cancelled.
    """
    lines = domain.merged(data.lines)
    if any(quantity > 1_000_000 for quantity in lines.values()):
        raise Validation.at("/lines", "At most 1,000,000 pieces of a sku.")
    decided = await reservations.reserve(Wanted(order_id, data, lines))
    match decided.verdict:
        case "refused":
            missing = ", ".join(decided.missing)
            raise domain.OutOfStock(f"Too few of: {missing}.", missing=decided.missing)
        case "differs" | "closed":
            raise StateConflict("This order's reservation has other lines or was ended.")
        case "hoarding":
            raise RateLimited("Too many unfinished orders at once.", retry_after_s=data.ttl_s)
    held = tuple(StockLine(sku=sku, quantity=quantity) for sku, quantity in lines.items())
    view = Reservation(order_id=order_id, state="held", lines=held)
    return Response(view, status_code=201 if decided.verdict == "held" else 200)


@get("/api/v1/reservations/{order_id:uuid}", policy=SERVICE)
async def get_reservation(order_id: UUID, db: Database) -> Reservation:
    """Show a reservation."""
    async with db.reading() as tx:
        row = await store.hold(tx, order_id)
    if row is None:
        raise NotFound("No reservation for this order.")
    pairs = zip(row["skus"], row["quantities"], strict=True)
    lines = tuple(StockLine(sku=sku, quantity=n) for sku, n in pairs if sku is not None)
    return Reservation(order_id=order_id, state=row["state"], lines=lines)


@delete("/api/v1/reservations/{order_id:uuid}", policy=SERVICE, status_code=204)
async def delete_reservation(order_id: UUID, db: Database) -> None:
    """Give a provisional hold back; a later PUT may hold again. Harmless to repeat."""
    async with db.transaction() as tx:
        await actions.end_provisional(tx, [order_id])


class Availability(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be had of a sku; the numbers are for staff."""

    sku: str
    available: str  # yes | few | no
    on_hand: int | None = None
    reserved: int | None = None
    free: int | None = None
    threshold: int | None = None


class Settings(msgspec.Struct, frozen=True):
    """What routes need of the configuration."""

    threshold: int


@get("/api/v1/stock", policy=ANYONE)
async def get_stock(
    caller: Caller,
    db: Database,
    settings: Settings,
    sku: Skus = None,
    low: bool = False,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[Availability]:
    """Tell for up to 100 skus whether they can be had; staff may list all, or what is low."""
    numbers = caller.may("inventory:read")
    if not sku and not numbers:
        raise Validation.at("/sku", "Name the skus you ask for.")
    async with db.reading() as tx:
        if sku:
            rows = await store.stock(tx, sku, settings.threshold)
            return Page(items=[_availability(row, numbers) for row in rows])
        after = decode_cursor(cursor, tuple[str]) or ("",)
        rows = await store.list_stock(tx, after[0], low, limit + 1, settings.threshold)
    more = encode_cursor(rows[limit - 1]["sku"]) if len(rows) > limit else None
    return Page(items=[_availability(row, numbers) for row in rows[:limit]], next_cursor=more)


def _availability(row: Row, numbers: bool) -> Availability:
    word = domain.availability(row["available"], row["threshold"])
    if not numbers:
        return Availability(sku=row["sku"], available=word)
    return Availability(
        sku=row["sku"], available=word, on_hand=row["on_hand"], reserved=row["reserved"],
        free=row["available"], threshold=row["threshold"],
    )  # fmt: skip


class PutStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many pieces there are, and from how many on that is low."""

    on_hand: Pieces
    threshold: Pieces | None = None
    reason: Line | None = None


class Adjust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pieces to add, or to take when negative, and why."""

    delta: Annotated[int, msgspec.Meta(ge=-domain.ON_HAND_MAX, le=domain.ON_HAND_MAX)]
    reason: Line
    received: bool = False  # goods that came in, rather than a correction


def _sku(sku: str) -> str:
    try:
        return msgspec.convert(sku, Sku)
    except msgspec.ValidationError as error:
        raise Validation.at("/sku", "1 to 64 visible characters.") from error


async def _stock_answer(tx: Tx, sku: str, threshold: int) -> Answer:
    [row] = await store.stock(tx, [sku], threshold)
    return answer(200, _availability(row, numbers=True))


@put("/api/v1/stock/{sku:str}", policy=staff("inventory:write"), answers=Availability)
async def put_stock(
    sku: SkuPath,
    data: PutStock,
    caller: Caller,
    db: Database,
    settings: Settings,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Say how many there are. 409 state-conflict below what is reserved. Needs a key."""
    key = parse_key(idempotency_key, required=True)
    _sku(sku)

    async def work(tx: Tx) -> Answer:
        await actions.set_stock(
            tx, sku, data.on_hand, data.threshold, actor=caller.principal, reason=data.reason
        )
        note(tx, caller, "inventory.stock_set", f"sku:{sku}", after=data)
        return await _stock_answer(tx, sku, settings.threshold)

    return respond(await once(db, (caller.principal, f"PUT /stock/{sku}", key), data, work))


@post(
    "/api/v1/stock/{sku:str}/adjustments", policy=staff("inventory:write"), status_code=200,
    answers=Availability,
)  # fmt: skip
async def adjust_stock(
    sku: SkuPath,
    data: Adjust,
    caller: Caller,
    db: Database,
    settings: Settings,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Add or take pieces, with a reason. 409 state-conflict below what is reserved. Needs a key."""
    key = parse_key(idempotency_key, required=True)
    kind = "received" if data.received else "adjusted"

    async def work(tx: Tx) -> Answer:
        await actions.adjust(
            tx, sku, data.delta, kind=kind, actor=caller.principal, reason=data.reason
        )
        note(tx, caller, f"inventory.stock_{kind}", f"sku:{sku}", after=data)
        return await _stock_answer(tx, sku, settings.threshold)

    route = f"POST /stock/{sku}/adjustments"
    return respond(await once(db, (caller.principal, route, key), data, work))


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of on_hand."""

    id: int
    delta: int
    kind: str
    reason: str | None
    order_id: UUID | None
    actor: str
    at: datetime


@get("/api/v1/stock/{sku:str}/journal", policy=staff("inventory:read"))
async def get_journal(
    sku: SkuPath, db: Database, limit: Limit = 20, cursor: Cursor = None
) -> Page[JournalEntry]:
    """List what changed a sku's stock, newest first."""
    before = decode_cursor(cursor, tuple[int]) or (2**63 - 1,)
    async with db.reading() as tx:
        rows = await store.journal_of(tx, sku, before[0], limit + 1)
    items = [msgspec.convert(dict(row), JournalEntry) for row in rows[:limit]]
    return Page(items=items, next_cursor=encode_cursor(items[-1].id) if len(rows) > limit else None)


class Location(msgspec.Struct, frozen=True):
    """Where stock is kept."""

    id: str
    name: str


@get("/api/v1/locations", policy=staff("inventory:read"))
async def get_locations(db: Database) -> Page[Location]:
    """List where stock is kept."""
    async with db.reading() as tx:
        rows = await store.locations(tx)
    return Page(items=[Location(row["id"], row["name"]) for row in rows])


ROUTES = (
    put_reservation, get_reservation, delete_reservation, get_stock, put_stock, adjust_stock,
    get_journal, get_locations,
)  # fmt: skip
