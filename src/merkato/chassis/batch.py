"""Many concurrent calls, one statement: whoever comes while it runs goes with the next one.

No timer: an idle system adds no latency, a busy one grows its batches. Each caller gets a verdict
of its own. Rules a to g of docs/protocols.md, 13.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from merkato.chassis.db import house_is_down
from merkato.contracts.problem import Overloaded

Item = TypeVar("Item")
Verdict = TypeVar("Verdict")

BATCH_MAX = 200  # callers per statement
QUEUE_MAX = 2_000  # callers waiting


class Batch(Generic[Item, Verdict]):
    """Collects concurrent calls for `run`, which gives one verdict per item, in order.

    `run` is tried once more with the same items after a lost connection, unless it is not
    `repeatable`. `key` tells items apart that must not share a statement.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Verdict]]],
        key: Callable[[Item], Hashable],
        *,
        repeatable: bool = True,
    ) -> None:
        self._run = run
        self._key = key
        self._repeatable = repeatable
        self._waiting: deque[tuple[Item, asyncio.Future[Verdict]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Verdict:
        """Wait for the verdict. Raises Overloaded when too many wait, and what `run` raises."""
        if len(self._waiting) >= QUEUE_MAX:
            raise Overloaded
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, verdict))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await verdict  # cancelling a caller cancels only its own future

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            if batch:
                await self._decide(batch, again=self._repeatable)

    def _take(self) -> list[tuple[Item, asyncio.Future[Verdict]]]:
        """Take from the head, leaving out callers who left and keys already taken."""
        batch: list[tuple[Item, asyncio.Future[Verdict]]] = []
        later: list[tuple[Item, asyncio.Future[Verdict]]] = []
        taken: set[Hashable] = set()
        while self._waiting and len(batch) < BATCH_MAX:
            item, verdict = self._waiting.popleft()
            if verdict.done():
                continue
            key = self._key(item)
            if key in taken:
                later.append((item, verdict))
            else:
                taken.add(key)
                batch.append((item, verdict))
        self._waiting.extendleft(reversed(later))
        return batch

    async def _decide(
        self, batch: list[tuple[Item, asyncio.Future[Verdict]]], *, again: bool
    ) -> None:
        try:
            verdicts = await self._run([item for item, _ in batch])
        except Exception as error:
            if house_is_down(error) and again:
                await self._decide(batch, again=False)
            elif house_is_down(error) or len(batch) == 1:
                for _, verdict in batch:
                    if not verdict.done():
                        verdict.set_exception(error)
            else:
                half = len(batch) // 2
                await self._decide(batch[:half], again=again)
                await self._decide(batch[half:], again=again)
            return
        for (_, waiting), decided in zip(batch, verdicts, strict=True):
            if not waiting.done():
                waiting.set_result(decided)
