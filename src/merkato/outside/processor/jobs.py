"""What the processor does by the clock: settles refunds, forgets old answers."""

import asyncio
import time

from merkato.outside.processor import actions, store
from merkato.outside.processor.actions import Desk
from merkato.outside.processor.idempotency import KEPT_S

EVERY_S = 0.5
EVENTS_KEPT_S = 7 * 86_400  # longer than any delivery is tried


async def run(desk: Desk) -> None:
    """Do what is due, twice a second, until cancelled."""
    tidied_at = 0.0
    while True:
        now = time.time()
        for refund, become in store.unsettled(desk.db, now):
            actions.settle(desk, refund, become)
        if now - tidied_at > 3_600:
            store.delete_answers(desk.db, int(now) - KEPT_S)
            store.delete_webhooks(desk.db, int(now) - EVENTS_KEPT_S)
            store.delete_events(desk.db, int(now) - EVENTS_KEPT_S)
            tidied_at = now
        await asyncio.sleep(EVERY_S)
