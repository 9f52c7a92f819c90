"""Append to the log."""

from collections.abc import Sequence

from merkato.broker.store import log
from merkato.broker.store.log import Entry
from merkato.chassis.db import Tx

FAN_OUT = "fan-out"  # the bell of the job that makes deliveries
LOG = "log"  # the bell of whoever follows the log, in every process


async def append(tx: Tx, entries: Sequence[Entry]) -> None:
    """Add events at the end of the log and wake who follows it."""
    await log.append(tx, entries)
    tx.wake(LOG)
    tx.wake(FAN_OUT)
