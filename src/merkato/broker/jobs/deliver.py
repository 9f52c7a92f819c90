"""Send what is due: each endpoint has its own queue, its own few connections and its own breaker.

Requests go first: what is done here waits a little for a moment in which this process has none.
One loop claims, a task sends. A crash leaves leases, which run out: the same id is sent once
more then. Results of many tries are written in one transaction.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import structlog

from merkato.broker.actions import webhooks as actions
from merkato.broker.actions.webhooks import WEBHOOKS
from merkato.broker.domain import webhooks
from merkato.broker.domain.webhooks import Answer, Outgoing, Verdict
from merkato.broker.providers.post import Post
from merkato.broker.store import deliveries as store
from merkato.broker.store.webhooks import MOST as ENDPOINTS
from merkato.chassis.batch import Batch
from merkato.chassis.db import Row
from merkato.chassis.failpoints import reach
from merkato.chassis.http import encode_cursor
from merkato.chassis.load import a_moment, in_turn
from merkato.chassis.service import Resources
from merkato.chassis.telemetry import DELIVERIES
from merkato.chassis.vault import Vault

log = structlog.get_logger()

PER_ENDPOINT = 8  # tries at once to one endpoint …
PER_QUICK_ENDPOINT = 24  # … and to one …
QUICK_MS = 100  # … whose last answer came sooner
PROBES = 1  # the same, while its breaker is about to close or open
LOOK_S = 0.5  # retries that fall due are seen so soon
LEAST_S = 0.05  # between two claims: what falls due meanwhile goes together …
SETTLE_S = 0.1  # … and between two settlements
PATIENCE_S = 0.02  # a send's with requests, and …
PATIENCE_ALL_S = 0.2  # … that of all sends of a claim together
TYPE = "application/cloudevents+json; charset=utf-8"


class Dispatcher:
    """Sends for ever, in the one process that leads."""

    def __init__(
        self, post: Post, vault: Vault, resources: Resources, public_url: str, concurrency: int
    ) -> None:
        self._post, self._db = post, resources.db
        self._opened = lru_cache(ENDPOINTS * webhooks.SECRETS_MAX)(vault.open)
        self._public_url, self._most = public_url, concurrency
        self._under_way: Counter[UUID] = Counter()
        self._last_ms: dict[UUID, int] = {}
        self._free = asyncio.Event()
        self._results: Batch[Verdict, None] = Batch(self._settle, lambda one: one.outgoing.id)

    async def run(self) -> None:
        """Claim and send until cancelled."""
        async with self._post.opened(), asyncio.TaskGroup() as tasks:
            with self._db.listening(WEBHOOKS, self._free) as bell:
                while True:
                    bell.clear()
                    try:
                        async with in_turn():
                            claimed = await self._claim()
                    except Exception as error:  # what is under way goes on
                        log.warning("nothing could be claimed", error=repr(error))
                        claimed = []
                    patience_s = min(PATIENCE_S, PATIENCE_ALL_S / max(1, len(claimed)))
                    for outgoing, endpoint in claimed:
                        self._under_way[endpoint["id"]] += 1
                        tasks.create_task(self._deliver(outgoing, endpoint))
                        await asyncio.sleep(0)
                        await a_moment(patience_s)
                    await asyncio.sleep(LEAST_S)
                    if not claimed:
                        with suppress(TimeoutError):
                            async with asyncio.timeout(LOOK_S):
                                await bell.wait()

    async def _claim(self) -> list[tuple[Outgoing, Row]]:
        room = self._most - self._under_way.total()
        if room <= 0:
            return []
        async with self._db.reading() as tx:
            endpoints = {row["id"]: row for row in await store.ready(tx)}
        slots = {id: self._slots(row) for id, row in endpoints.items()}
        open_ = [id for id in endpoints if slots[id] > 0]
        random.shuffle(open_)  # when there is room for a few only, each has its turn
        taken: list[UUID] = []
        for n, id in enumerate(open_):
            if room > 0:
                slots[id] = min(slots[id], max(1, room // (len(open_) - n)))
                room -= slots[id]
                taken.append(id)
        if not taken:
            return []
        async with self._db.transaction() as tx:
            claimed = await store.claim(
                tx, taken, [slots[id] for id in taken], [endpoints[id]["ordered"] for id in taken]
            )
        reach("webhook-claimed")
        return [(one, endpoints[one.subscription_id]) for one in claimed]

    def _slots(self, endpoint: Row) -> int:
        most = PER_ENDPOINT
        if endpoint["failures"]:
            most = PROBES
        elif self._last_ms.get(endpoint["id"], QUICK_MS) < QUICK_MS:
            most = PER_QUICK_ENDPOINT
        return most - self._under_way[endpoint["id"]]

    async def _deliver(self, outgoing: Outgoing, endpoint: Row) -> None:
        with ExitStack() as place:
            place.callback(self._leave, endpoint["id"])
            try:
                answer = await self._send(outgoing, endpoint)
                self._last_ms[endpoint["id"]] = QUICK_MS if answer.error else answer.duration_ms
                reach("webhook-sent")
                verdict = webhooks.judge(outgoing, answer, random.randint(0, 100))
                DELIVERIES.labels("delivered" if verdict.delivered else "failed").inc()
                if verdict.delivered:  # a failure counts before the next is sent
                    place.close()
                await self._results(verdict)
            except Exception as error:  # its lease runs out, and it is tried again
                log.warning("a delivery was left", id=outgoing.id, error=repr(error))

    def _leave(self, endpoint_id: UUID) -> None:
        self._under_way[endpoint_id] -= 1
        self._free.set()

    async def _send(self, outgoing: Outgoing, endpoint: Row) -> Answer:
        now = datetime.now(UTC)
        if outgoing.event is None:
            return Answer(error=webhooks.FORGOTTEN, at=now)
        secrets = [self._opened(one) for one in endpoint["secrets"]]
        opened = [one for one in secrets if one is not None]
        if not opened:
            return Answer(error="its secret cannot be opened", at=now)
        body = webhooks.body_of(outgoing.event, encode_cursor(outgoing.position), self._public_url)
        timestamp = int(now.timestamp())
        message_id = str(outgoing.event_id)
        headers = {
            "Content-Type": TYPE,
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": webhooks.signature(opened, message_id, timestamp, body),
        }
        return await self._post.send(endpoint["url"], headers, body)

    async def _settle(self, verdicts: Sequence[Verdict]) -> list[None]:
        async with in_turn(), self._db.transaction() as tx:
            await actions.settle(tx, verdicts, datetime.now(UTC))
        await asyncio.sleep(SETTLE_S)
        return [None] * len(verdicts)
