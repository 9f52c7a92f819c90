"""Events and their delivery: signed as Stripe signs, repeated until taken, kept over a restart.

The signature is documented at https://docs.stripe.com/webhooks#verify-manually: the header says
`t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
"""

import asyncio
import hashlib
import heapq
import hmac
import secrets
import time

import aiohttp
import msgspec

from merkato.outside.database import Database
from merkato.outside.processor import store
from merkato.outside.processor.cards import Webhooks as How
from merkato.outside.processor.domain import Charge, Dispute, Intent, Refund

API_VERSION = "2026-10-28.endive"
PAUSES_S = (1, 2, 5, 15, 60, 300, 1_800, *[3_600] * 72)  # about three days, then given up
CONCURRENCY = 16  # deliveries under way at once
DEADLINE_S = 10  # of one delivery
REORDER_S = 1.5  # how late an early event is, for the card that reorders
LATE_TYPES = ("payment_intent.created", "payment_intent.amount_capturable_updated")


def signature(secret: str, payload: bytes, at: int) -> str:
    """Give the Stripe-Signature header of `payload` signed at `at`, in Unix seconds."""
    digest = hmac.new(secret.encode(), b"%d." % at + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """The queue of deliveries owed to the shop; in SQLite, with a heap of what is due before it."""

    def __init__(self, db: Database, url: str, secret: str) -> None:
        self._db = db
        self._url = url
        self._secret = secret
        self._due = store.owed(db)  # a heap: the list comes sorted
        self._wake = asyncio.Event()
        self.paused_until = 0.0  # Unix seconds

    def say(
        self, type: str, about: Intent | Refund | Charge | Dispute, key: str, how: How = "once"
    ) -> None:
        """Keep an event and owe its delivery, in the transaction that is open."""
        now = time.time()
        id = f"evt_{secrets.token_hex(12)}"
        content = {
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": int(now),
            "data": {"object": about},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": key or None},
            "type": type,
        }
        store.insert_event(self._db, id, type, msgspec.json.encode(content), int(now))
        late = REORDER_S if how == "reordered" and type in LATE_TYPES else 0.0
        for _ in range(2 if how == "twice" else 1):
            self._owe(id, type, now + late)

    def resend(self, seq: int) -> bool:
        """Owe a delivery once more, as a row of its own; False if there is none of that number."""
        delivery = store.webhook(self._db, seq)
        if delivery is None:
            return False
        self._owe(delivery.event, delivery.type, time.time())
        return True

    def forget(self) -> None:
        """Owe nothing any more."""
        self._due.clear()

    async def run(self) -> None:
        """Deliver what is due until cancelled."""
        room = asyncio.Semaphore(CONCURRENCY)
        deadline = aiohttp.ClientTimeout(total=DEADLINE_S)
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with (
            aiohttp.ClientSession(timeout=deadline, connector=connector) as client,
            asyncio.TaskGroup() as tasks,
        ):
            while True:
                await room.acquire()
                seq = await self._next()
                task = tasks.create_task(self._deliver(client, seq))
                task.add_done_callback(lambda _: room.release())

    def _owe(self, event: str, type: str, due_at: float) -> None:
        if self._url:
            seq = store.insert_webhook(self._db, event, type, due_at)
            heapq.heappush(self._due, (due_at, seq))
            self._wake.set()

    async def _next(self) -> int:
        while True:
            now = time.time()
            due_at = max(self._due[0][0], self.paused_until) if self._due else now + 3_600
            if due_at <= now:
                return heapq.heappop(self._due)[1]
            self._wake.clear()
            try:
                # a pause may be ended by hand, so never sleep long
                async with asyncio.timeout(min(due_at - now, 1.0)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _deliver(self, client: aiohttp.ClientSession, seq: int) -> None:
        await self._db.committed()
        delivery = store.webhook(self._db, seq)
        payload = store.event(self._db, delivery.event) if delivery else None
        if delivery is None or payload is None:
            return  # forgotten meanwhile
        delivery.tries += 1
        delivery.status, delivery.error = await self._post(client, payload)
        if delivery.status is not None and 200 <= delivery.status < 300:
            delivery.state = "delivered"
        elif delivery.tries > len(PAUSES_S):
            delivery.state = "given_up"
        else:
            delivery.due_at = time.time() + PAUSES_S[delivery.tries - 1]
            heapq.heappush(self._due, (delivery.due_at, seq))
        store.update_webhook(self._db, delivery)

    async def _post(
        self, client: aiohttp.ClientSession, payload: bytes
    ) -> tuple[int | None, str | None]:
        """Give the status of the answer, or what went wrong."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(self._secret, payload, int(time.time())),
        }
        try:
            async with client.post(
                self._url, data=payload, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(65_536)  # the rest is none of our business
                return answer.status, None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
