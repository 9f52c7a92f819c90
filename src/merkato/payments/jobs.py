"""What payments does by the clock: ask the processor, outside of any transaction.

Claim (committed, with a lease) | ask | lock, decide, write, say. A crash between two of them ends
with the lease: the question is asked again, under the same key.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import structlog

from merkato.chassis.db import Database
from merkato.chassis.failpoints import reach
from merkato.chassis.service import Resources
from merkato.payments import actions
from merkato.payments.domain.payment import Verdict
from merkato.payments.providers.provider import Provider
from merkato.payments.store import webhooks
from merkato.payments.store.claims import Claim, claim

log = structlog.get_logger()
Answered: TypeAlias = tuple[Claim, Verdict]

KEY_LIFE_S = 23 * 3_600  # the processor knows a key for 24 h; later the same key might act twice
GIVE_UP_S = 48 * 3_600  # then a person has to look
LOOK_S = 0.1  # how soon new work is seen while some is under way
WEBHOOKS_MAX = 200  # looked at in one turn


async def ask_provider(resources: Resources, *, provider: Provider, concurrency: int) -> int:
    """Ask about everything that is due, so many at once; a slow answer holds up nobody else.

    Answers that come while others are written down are written together.
    """
    db, under_way, done = resources.db, set[asyncio.Task[Answered]](), 0
    try:
        while True:
            free = concurrency - len(under_way)
            claims = await _claim(db, free) if free > 0 else []
            reach("payments-claimed")
            under_way |= {asyncio.create_task(_answered(provider, one)) for one in claims}
            if not under_way:
                return done
            ended, under_way = await asyncio.wait(
                under_way, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
            )
            done += len(ended)
            await _settle(db, [task.result() for task in ended if _went_well(task)])
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _claim(db: Database, limit: int) -> list[Claim]:
    async with db.transaction() as tx:
        return await claim(tx, limit)


async def _answered(provider: Provider, claimed: Claim) -> Answered:
    reach("payments-asked")
    verdict = await _ask(provider, claimed)
    reach("payments-answered")
    return claimed, verdict


def _went_well(task: asyncio.Task[Answered]) -> bool:
    """Tell whether there is an answer; if not, the question is asked again after its lease."""
    if (error := task.exception()) is not None:
        log.warning("will be asked again", exc_info=error)
    return error is None


async def _settle(db: Database, answered: Sequence[Answered]) -> None:
    """Write answers down together; if that fails, each alone, so that one holds up no other."""
    if not answered:
        return
    try:
        async with db.transaction() as tx:
            await actions.take_words(tx, answered, GIVE_UP_S)
    except Exception as error:
        if len(answered) == 1:
            log.warning("will be asked again", key=answered[0][0].operation.key, exc_info=error)
            return
        for one in answered:
            await _settle(db, [one])


async def _ask(provider: Provider, claimed: Claim) -> Verdict:
    """Ask in the safest way: by the provider's name, else by ours, else once more with our key."""
    operation = claimed.operation
    if operation.reference is not None and operation.kind in ("authorise", "refund"):
        return await provider.get(operation)
    again = operation.tries > 1
    if again and operation.kind in ("authorise", "refund"):
        found = await provider.find(operation)
        if found is not None:
            return found
    if operation.kind in ("authorise", "refund") and claimed.age_s > KEY_LIFE_S:
        return Verdict(outcome="unknown", reason="not-known-to-the-processor")
    if operation.kind != "authorise":
        return await provider.carry_out(operation)
    if again and claimed.wanted != "pay":  # nobody wants it any more: wait whether it shows up
        return Verdict(outcome="unknown", reason="not-known-to-the-processor")
    return await provider.authorise(operation, claimed.order_id)


async def look_at_webhooks(resources: Resources) -> int:
    """Have the processor asked about what it told us; those about nothing known are parked."""
    async with resources.db.transaction() as tx:
        looked = await webhooks.look_at(tx, WEBHOOKS_MAX)
        if looked:
            tx.wake(actions.ASK)
    return looked
