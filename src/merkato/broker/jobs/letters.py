"""Notice events that a service gave up on, and say so each time."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

import structlog

from merkato.broker.store import letters as store
from merkato.chassis.outbox import say
from merkato.chassis.service import Resources
from merkato.contracts.broker import DeadLetterAppeared
from merkato.contracts.letters import Letter, Letters
from merkato.contracts.problem import Problem

log = structlog.get_logger()

PAGE = 100
LATE = timedelta(minutes=1)  # longer than a death waits for its commit


class Notice:
    """Asks services for their dead letters: for all at first, then for those that died since."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = services
        self._asked: dict[str, datetime] = {}  # when, by each service's own clock

    async def notice(self, resources: Resources) -> int:
        """Ask every service and say of each letter that it died. Gives 0: once is enough.

        A service that does not answer is asked the next time.
        """
        for name in self._services:
            try:
                found, at = await self._dead(resources, name)
            except Problem as silent:
                log.warning(
                    "a service does not tell its dead letters", service=name, why=str(silent)
                )
                continue
            if found:
                await _tell(resources, name, found)
            if at is not None:
                self._asked[name] = at
        return 0

    async def _dead(
        self, resources: Resources, service: str
    ) -> tuple[list[Letter], datetime | None]:
        """Give what may have died since the service was asked last, and when it was asked now."""
        asked: dict[str, object] = {"state": "dead", "limit": PAGE}
        if service in self._asked:
            asked["died_after"] = (self._asked[service] - LATE).isoformat()
        found: list[Letter] = []
        at: datetime | None = None
        while True:
            path = f"/set-aside?{urlencode(asked)}"
            page = await resources.asks.ask(service, "GET", path, Letters)
            found += page.items
            at = at or page.at
            if len(page.items) < PAGE:
                return found, at
            last = page.items[-1]
            asked |= {"before": last.set_aside_at.isoformat(), "before_id": last.event_id}


async def _tell(resources: Resources, service: str, found: list[Letter]) -> None:
    async with resources.db.transaction() as tx:
        new = await store.note(tx, service, found)
        for letter in found:
            if letter.event_id in new:
                said = DeadLetterAppeared(
                    service=service,
                    event_id=letter.event_id,
                    event_type=letter.type,
                    tries=letter.tries,
                    set_aside_at=letter.set_aside_at,
                )
                say(tx, said)
