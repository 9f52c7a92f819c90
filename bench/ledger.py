"""What the databases say of the orders of a run: the only count that counts."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from shop import Shop

# The mail's fact is `<order id>.confirmed`; in-app messages of the same fact are not mails.
_CONFIRMED = """
select id::text from orders
 where status = 'confirmed' and idempotency_key >= $1 and idempotency_key < $1 || '.'
"""
_MAILED = """
select split_part(fact, '.', 1) from messages
 where channel = 'email' and template = 'order_confirmed' and created_at >= $1
"""
_QUEUED = "select count(*) from due"  # mails alone; what is for the inbox is there at once
_OFFERS = "select count(*) from offers"


class Count(NamedTuple):
    """Ids of orders, as of one moment."""

    confirmed: set[str]  # whose status is confirmed
    counted: set[str]  # and which have a mail row as well


class Ledger:
    """Reads the databases of orders and notifications, each as the role that only reads."""

    def __init__(self, orders: asyncpg.Pool, notifications: asyncpg.Pool) -> None:
        self._orders, self._notifications = orders, notifications

    @classmethod
    async def open(cls, shop: Shop) -> "Ledger":
        """Connect."""
        urls = shop.engines.audit_urls
        orders, notifications = [
            await asyncpg.create_pool(urls[name], min_size=1, max_size=2)
            for name in ("orders", "notifications")
        ]
        return cls(orders, notifications)

    async def close(self) -> None:
        """Disconnect."""
        await asyncio.gather(self._orders.close(), self._notifications.close())

    async def count(self, run: str, since: datetime) -> Count:
        """Give the orders of a run that are confirmed, and those with a mail row as well."""
        confirmed, mailed = await asyncio.gather(
            self._orders.fetch(_CONFIRMED, run), self._notifications.fetch(_MAILED, since)
        )
        ids = {row[0] for row in confirmed}
        return Count(ids, ids & {row[0] for row in mailed})

    async def wait(self, run: str, since: datetime, wanted: set[str], patience_s: float) -> Count:
        """Wait until every wanted order counts, or patience ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_s
        while True:
            count = await self.count(run, since)
            if wanted <= count.counted or loop.time() > end:
                return count
            await asyncio.sleep(0.25)

    async def wait_for_mails(self, patience_s: float) -> None:
        """Wait until no message waits to be sent, or patience ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_s
        while loop.time() < end:
            if not await self._notifications.fetchval(_QUEUED):
                return
            await asyncio.sleep(0.25)

    async def offers(self) -> int:
        """Give how many skus orders knows."""
        return int(await self._orders.fetchval(_OFFERS))

    async def states(self, ids: list[str]) -> dict[str, int]:
        """Count the statuses of these orders; `missing` for those that are not there."""
        rows = await self._orders.fetch(
            "select status, count(*) from orders where id = any($1::uuid[]) group by 1",
            [UUID(one) for one in ids],
        )
        found = {row[0]: row[1] for row in rows}
        missing = len(ids) - sum(found.values())
        return found | ({"missing": missing} if missing else {})


def now() -> datetime:
    """Give the time; the databases run on the same machine."""
    return datetime.now(UTC)
