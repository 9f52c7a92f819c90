"""Killed while webhooks are sent to real receivers: all arrive, copies carry one id, order is kept.

What was under way when a process died is sent once more when its lease has run out.
"""

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest
import shopping
from aiohttp import web
from breaking import _Told, disarm, kill, kill_everything, lawful, ready
from harness import eventually
from receiver import receiving
from shopping import new_key

KEYS = 12
SLOW = pytest.mark.slow
pytestmark = pytest.mark.timeout(400)


async def slowly(request):
    await asyncio.sleep(0.03)
    return web.Response()


class Telling:
    """A topic whose events go to four receivers: plain, in order, one that falters, a dead one."""

    def __init__(self, shop):
        self.shop, self.topic = shop, f"fault.told_{new_key()[:8]}"
        self.told, self.faltered = 0, set()

    async def __aenter__(self):
        self.stack = AsyncExitStack()
        opened = [await self.stack.enter_async_context(receiving()) for _ in range(3)]
        self.plain, self.ordered, self.faltering = self.alive = opened
        self.ordered.answers = [slowly]
        self.faltering.answers = [self.falter]
        async with receiving() as self.dead:
            pass
        body = {"name": self.topic, "schema": {"type": "object"}}
        await self.ask("POST", "/api/v1/topics", body)
        self.ids = {}
        for one in (*self.alive, self.dead):
            wanted = {"url": one.url, "topics": [self.topic], "ordered": one is self.ordered}
            made = await self.ask("POST", "/api/v1/subscriptions", wanted)
            one.secrets.append(made["secret"])
            self.ids[one] = made["id"]
        return self

    async def __aexit__(self, *_):
        for id in self.ids.values():
            await self.ask("DELETE", f"/api/v1/subscriptions/{id}")
        await self.stack.aclose()

    async def falter(self, request):
        """Refuse every fortieth the first time."""
        id = request.headers["webhook-id"]
        if id not in self.faltered and len(self.faltering.got) % 40 == 0:
            self.faltered.add(id)
            return web.Response(status=503)
        return web.Response()

    async def ask(self, method, path, body=None, **more):
        more.setdefault("key", new_key())
        return await self.shop.ok(method, path, body, token=self.shop.admin, **more)

    async def tell(self, n):
        """Publish events until they are taken, whatever happens to the shop meanwhile."""
        kind = {"content-type": "application/cloudevents-batch+json"}
        path = f"/api/v1/topics/{self.topic}/events"
        for start in range(self.told, self.told + n, 100):
            body = msgspec.json.encode(
                [
                    {"specversion": "1.0", "id": f"{i}", "source": f"/{self.topic}",
                     "type": f"{self.topic}.v1", "subject": f"k{i % KEYS}", "data": {"n": i}}
                    for i in range(start, min(start + 100, self.told + n))
                ]
            )  # fmt: skip
            key = new_key()

            async def taken(body=body, key=key):
                try:
                    await self.ask("POST", path, body, key=key, headers=kind)
                except (aiohttp.ClientError, TimeoutError, OSError, AssertionError):
                    return False
                return True

            await eventually(taken, seconds=60, pause=0.2)
        self.told += n

    async def got(self, n):
        """Wait until the plain receiver was asked so often."""

        async def so_many():
            return len(self.plain.got) >= n

        await eventually(so_many, seconds=60, pause=0.01)

    async def all_came(self):
        """Wait until all is settled, then see that nothing was lost, renamed or mixed up."""

        async def settled():
            rows = await self.shop.sql("broker", STATES, [self.ids[one] for one in self.alive])
            arrived = sum(row["n"] for row in rows if row["state"] == "delivered")
            return arrived == self.told * len(self.alive) or _Told(map(dict, rows))

        await eventually(settled, seconds=200, pause=0.5)
        for one in self.alive:
            ids = defaultdict(set)
            for event, id in zip(one.events(), one.ids(), strict=True):
                ids[event["id"]].add(id)
            assert {*ids} == {f"{i}" for i in range(self.told)}
            assert {len(same) for same in ids.values()} == {1}, "a copy under another id"
            assert len({id for [id] in ids.values()}) == self.told
        for key in range(KEYS):
            told = [e["data"]["n"] for e in self.ordered.events() if e["subject"] == f"k{key}"]
            assert told == sorted(told), "out of order"
        unexplained = await self.shop.sql("broker", UNEXPLAINED, self.ids[self.dead])
        assert [tuple(row) for row in unexplained] == [(self.told, 0)]


COUNTED = """
select d.tries, d.attempts, count(a.n) as known
  from deliveries d left join attempts a on a.delivery_id = d.id
 where d.subscription_id = any($1::uuid[]) group by d.id
"""
STATES = """
select s.ordered, d.state, d.tries, d.reason, s.failures, s.open_until, s.position,
       h.position as head, count(*) as n, min(d.due_at) as due
  from subscriptions s join deliveries d on d.subscription_id = s.id, log_head h
 where s.id = any($1::uuid[]) group by s.id, h.position, d.state, d.tries, d.reason
"""
UNEXPLAINED = """
select count(*), count(*) filter (where state <> 'pending' and reason is null)
  from deliveries where subscription_id = $1
"""


async def killed_in_the_middle(shop, *faults):
    """Break the shop by each of `faults` in turn, while deliveries are under way."""
    async with Telling(shop) as telling:
        for fault in faults:
            before = len(telling.plain.got)
            await telling.tell(300)
            publishing = asyncio.create_task(telling.tell(300))
            await telling.got(before + 60)
            await fault()
            await ready(shop)
            await publishing
        await telling.all_came()
        await lawful(shop)
        return telling


async def test_the_shop_is_killed_while_webhooks_are_sent(shop):
    async def fault():
        kill(shop.pid("shop"))
        await asyncio.sleep(0.3)

    await killed_in_the_middle(shop, fault)


@SLOW
async def test_everything_is_killed_while_webhooks_are_sent(shop):
    async def fault():
        kill_everything(shop)
        await asyncio.sleep(0.3)
        await shop.up()

    await killed_in_the_middle(shop, fault, fault)


@SLOW
async def test_the_brokers_process_alone_is_killed_while_webhooks_are_sent():
    folder = Path(tempfile.mkdtemp(prefix="merkato-fault-"))
    async with shopping.open_shop(folder, each=True) as shop:

        async def fault():
            pid = shop.pid("broker")
            kill(pid)

            async def another():
                return shop.pid("broker") not in (0, pid)

            await eventually(another, seconds=60)

        await killed_in_the_middle(shop, fault, fault)
    shopping.removed(folder)


@SLOW
@pytest.mark.parametrize("place", ["webhook-claimed", "webhook-sent"])
async def test_a_crash_at_a_place_sends_again_under_the_same_id(shop, place):
    async with Telling(shop) as telling:
        await shop.down()
        await shop.up(failpoints={place: "kill"})
        disarm(shop)
        pid = shop.pid("shop")
        await telling.tell(30)

        async def died():
            return shop.pid("shop") not in (0, pid)

        await eventually(died, seconds=60)
        await ready(shop)
        await telling.all_came()
        rows = await shop.sql("broker", COUNTED, [telling.ids[one] for one in telling.alive])
        assert any(row["attempts"] > row["known"] for row in rows)
        assert all(row["tries"] == row["known"] for row in rows)  # a lost one makes no pause longer
        await lawful(shop)
