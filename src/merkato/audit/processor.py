"""M5: the card operations that moved money, compared with the stand-in processor's own ledger."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec.structs import replace

from merkato.audit.laws.money import ALL_MOVED, MOVED
from merkato.audit.reading import PIECE, Stream, started_at
from merkato.audit.result import Tally
from merkato.chassis.ask import App, call
from merkato.chassis.db import Tx
from merkato.chassis.remote import remote
from merkato.payments.providers.units import from_stripe


class Movement(msgspec.Struct):
    """Money that moved, as the processor's ledger has it; its amount in our minor units."""

    kind: str
    reference: str
    amount: int
    currency: str
    created: int  # Unix seconds


class _Page(msgspec.Struct):
    items: list[Movement]
    next_after: int | None


class Silent(Exception):
    """The processor does not answer, or has no such ledger."""


async def check_processor(tx: Tx, url: str, settle_s: float, tally: Tally) -> None:
    """Compare by reference, kind, amount and currency, both ways. Raises Silent."""
    before = (await started_at(tx)).timestamp() - settle_s
    seen: set[str] = set()
    async with remote(url) as app:
        async for page in _ledger(app):
            seen.update(movement.reference for movement in page)
            await _compare(tx, page, before, tally)
    ours = Stream(tx, "audit_moved", ALL_MOVED, settle_s)
    await ours.refill()
    while ours.rows:
        for row in ours.take(None).values():
            tally.checked += 1
            if row["id"] not in seen:
                tally.blame(
                    row["id"], f"{row['kind']} of {row['amount_minor']} is not in its ledger"
                )
        await ours.refill()


async def _compare(tx: Tx, page: list[Movement], before: float, tally: Tally) -> None:
    rows = await tx.fetch(MOVED, [movement.reference for movement in page])
    ours = {row["reference"]: row for row in rows}
    for movement in page:
        row: Any = ours.get(movement.reference)
        theirs = (movement.kind, movement.amount, movement.currency)
        if row is None:
            if movement.created < before:
                tally.blame(movement.reference, f"{theirs} is known to the processor alone")
        elif theirs != (row["kind"], row["amount"], row["currency"]):
            known = (row["kind"], row["amount"], row["currency"])
            tally.blame(movement.reference, f"the processor says {theirs}, we say {known}")


def _in_our_units(movement: Movement) -> Movement:
    return replace(movement, amount=from_stripe(movement.amount, movement.currency.upper()))


async def _ledger(app: App) -> AsyncIterator[list[Movement]]:
    after: int | None = 0
    while after is not None:
        path = f"/standin/ledger?after={after}&limit={PIECE}"
        status, body = await call(app, "GET", path, [])
        if status != 200:
            raise Silent(f"its ledger answers {status}")
        try:
            page = msgspec.json.decode(body, type=_Page)
            items = [_in_our_units(movement) for movement in page.items]
        except ValueError as error:
            raise Silent(f"its ledger cannot be read: {error}") from error
        yield items
        after = page.next_after
