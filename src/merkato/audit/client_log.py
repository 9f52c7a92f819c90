"""D1: orders compared with what a client wrote down of what it sent and what it was told.

The log is JSON Lines. A line with a `key` alone: an order was sent with this Idempotency-Key. One
with `key` and `order_id`: it was acknowledged with 2xx. One with `since` (RFC 3339): orders placed
before are none of this client's.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from merkato.audit.laws.orders import KEYS, KNOWN
from merkato.audit.reading import PIECE, Stream
from merkato.audit.result import Tally
from merkato.chassis.db import Tx


class _Line(msgspec.Struct):
    key: str | None = None
    order_id: UUID | None = None
    since: datetime | None = None


async def check_client_log(tx: Tx, log: Path, tally: Tally) -> None:
    """Look for acknowledged orders that do not exist, and orders that nobody sent.

    Raises OSError and ValueError for a log that cannot be read.
    """
    sent: set[str] = set()
    acknowledged: dict[str, str | None] = {}
    since: datetime | None = None
    for line in _lines(log):
        since = line.since or since
        if line.key is not None:
            sent.add(line.key)
        if line.order_id is not None:
            acknowledged[str(line.order_id)] = line.key
        if len(acknowledged) >= PIECE:
            await _look_up(tx, acknowledged, tally)
            acknowledged = {}
    await _look_up(tx, acknowledged, tally)
    stream = Stream(tx, "audit_keys", KEYS, since)
    await stream.refill()
    while stream.rows:
        for id, row in stream.take(None).items():
            tally.checked += 1
            if row["idempotency_key"] not in sent:
                tally.blame(id, f"nobody sent its key {row['idempotency_key']}")
        await stream.refill()


async def _look_up(tx: Tx, acknowledged: dict[str, str | None], tally: Tally) -> None:
    rows = await tx.fetch(KNOWN, list(acknowledged))
    known = {row["id"]: row["idempotency_key"] for row in rows}
    tally.checked += len(acknowledged)
    for id, key in acknowledged.items():
        if id not in known:
            tally.blame(id, f"acknowledged for key {key}, and lost")
        elif key is not None and known[id] != key:
            tally.blame(id, f"acknowledged for key {key}, it has key {known[id]}")


def _lines(log: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    with log.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                return  # it is being written just now
            try:
                yield decoder.decode(text)
            except msgspec.DecodeError as error:
                raise ValueError(f"{log}, line {number}: {error}") from error
