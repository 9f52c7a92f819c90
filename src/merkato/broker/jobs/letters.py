"""Notice events that a service gave up on, and say so once for each."""

from datetime import datetime

import structlog

from merkato.broker.store import letters as store
from merkato.chassis.outbox import say
from merkato.chassis.service import Resources
from merkato.contracts.broker import DeadLetterAppeared
from merkato.contracts.letters import Letter, Letters
from merkato.contracts.problem import Problem

log = structlog.get_logger()

PAGE = 100


async def notice(resources: Resources, *, services: tuple[str, ...]) -> int:
    """Ask every service for its dead letters and say of each that is new. Gives 0: once is enough.

    A service that does not answer is asked the next time.
    """
    for name in services:
        try:
            found = await _dead(resources, name)
        except Problem as silent:
            log.warning("a service does not tell its dead letters", service=name, why=str(silent))
            continue
        if not found:
            continue
        async with resources.db.transaction() as tx:
            new = await store.note(tx, name, [one.event_id for one in found])
            for letter in found:
                if letter.event_id in new:
                    said = DeadLetterAppeared(
                        service=name,
                        event_id=letter.event_id,
                        event_type=letter.type,
                        tries=letter.tries,
                        set_aside_at=letter.set_aside_at,
                    )
                    say(tx, said)
    return 0


async def _dead(resources: Resources, service: str) -> list[Letter]:
    """Give all dead letters of a service, page after page."""
    found: list[Letter] = []
    before: tuple[datetime, str] | None = None
    while True:
        query = f"state=dead&limit={PAGE}"
        if before is not None:
            at = before[0].isoformat().replace("+", "%2B")
            query += f"&before={at}&before_id={before[1]}"
        page = (await resources.asks.ask(service, "GET", f"/set-aside?{query}", Letters)).items
        found += page
        if len(page) < PAGE:
            return found
        before = (page[-1].set_aside_at, str(page[-1].event_id))
