"""Webhooks and the log: latency beside dead receivers, cost for the checkout, reading, replay.

`.venv/bin/python bench/broker.py` starts a new shop. It measures

- webhooks: 20 receivers of which 3 are dead, 2 slow and 1 flaps, events said at 20 a second;
- checkout: the latency of POST /orders at a fixed rate with and without those receivers;
- log: reading 100,000 events by cursor, and the replay of 50,000 into one of two subscriptions.

Receivers and clients run in this process, on the same machine. Exit status: 0 all floors hold.
"""

import argparse
import asyncio
import secrets
import statistics
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import asyncpg
import msgspec
from aiohttp import web
from report import console
from shop import Shop, running

from merkato.chassis.http import encode_cursor

SECONDS = 30.0
EVENTS_PER_S = 20.0
ORDERS_PER_S = 50.0
READ_EVENTS = 100_000
REPLAY_EVENTS = 50_000
HEALTHY_P99_S = 2.0
READ_PER_S = 20_000
PASSWORD = "a long and quiet river"
TOPIC = "bench.tick"
FILL = """
select append_to_log(array_agg(uuidv7()), array_agg('bench.fill.v1'::text),
                     array_agg('k' || n % 997), array_agg(event::text))
  from (select n, json_build_object(
            'specversion', '1.0', 'id', n::text, 'source', '/bench', 'type', 'bench.fill.v1',
            'subject', 'k' || n % 997, 'data', json_build_object('n', n, 'text', repeat('x', 400))
        ) as event from generate_series($1::int, $2::int) n) e
"""


class Receiver:
    """An endpoint of webhooks that notes when what came."""

    def __init__(self, kind: str) -> None:
        self.kind, self.came, self.ids, self.url = kind, [], Counter(), ""

    async def take(self, request: web.Request) -> web.Response:
        """Answer a webhook, as this kind does."""
        event = msgspec.json.decode(await request.read())
        if self.kind == "slow":
            await asyncio.sleep(3)
        if self.kind == "flapping" and secrets.randbelow(2):
            return web.Response(status=500)
        self.ids[request.headers["webhook-id"]] += 1
        if "time" in event:
            said = datetime.fromisoformat(event["time"])
            self.came.append((datetime.now(UTC) - said).total_seconds())
        return web.Response()


async def opened(stack: AsyncExitStack, kinds: list[str]) -> list[Receiver]:
    """Open receivers; a dead one has an address and nobody behind it."""
    made = []
    for kind in kinds:
        one = Receiver(kind)
        app = web.Application()
        app.router.add_post("/", one.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        one.url = f"http://127.0.0.1:{port}/"
        if kind == "dead":
            await runner.cleanup()
        else:
            stack.push_async_callback(runner.cleanup)
        made.append(one)
    return made


class Client:
    """An administrator's requests to the shop."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session, self.url, self.token = session, url, token

    async def __call__(self, method: str, path: str, body: object = None, **headers: str) -> dict:
        """Send a request and decode the answer; anything but success ends the bench."""
        sent = {"Idempotency-Key": uuid4().hex}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= headers
        sent.setdefault("Content-Type", "application/json")
        data = None if body is None else msgspec.json.encode(body)
        async with self.session.request(method, self.url + path, data=data, headers=sent) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise SystemExit(f"{method} {path}: {answer.status} {raw[:300]!r}")
            return msgspec.json.decode(raw) if raw else {}

    async def subscribe(self, receiver: Receiver, topics: list[str], **more: object) -> str:
        """Have a receiver be sent events. Gives the subscription."""
        body = {"url": receiver.url, "topics": topics, **more}
        return (await self("POST", "/api/v1/subscriptions", body))["id"]


async def admin(shop: Shop, session: aiohttp.ClientSession) -> Client:
    """Make an administrator and log in."""
    made = shop.merkato("create-admin", "bench@merkato.example", given=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    body = {"email": "bench@merkato.example", "password": PASSWORD}
    client = Client(session, shop.url, "")
    client.token = (await client("POST", "/api/v1/auth/token", body))["access_token"]
    return client


def p99(values: list[float]) -> float:
    """Give the value that 99 % do not exceed."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else float("nan")


async def webhooks(client: Client, db: asyncpg.Connection, stack: AsyncExitStack) -> bool:
    """Say events at a fixed rate to 20 receivers; tell how fast the healthy ones had them."""
    kinds = ["dead"] * 3 + ["slow"] * 2 + ["flapping"] + ["healthy"] * 14
    receivers = await opened(stack, kinds)
    for one in receivers:
        await client.subscribe(one, [TOPIC])
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        event = {
            "specversion": "1.0", "id": str(sent), "source": f"/bench/{began}",
            "type": f"{TOPIC}.v1", "time": datetime.now(UTC), "data": {"n": sent},
        }  # fmt: skip
        kind = {"Content-Type": "application/cloudevents+json"}
        await client("POST", f"/api/v1/topics/{TOPIC}/events", event, **kind)
        sent += 1
        await asyncio.sleep(max(0.0, began + sent / EVENTS_PER_S - time.monotonic()))
    await asyncio.sleep(3)
    healthy = [one for one in receivers if one.kind == "healthy"]
    late = [seconds for one in healthy for seconds in one.came]
    complete = all(len(one.ids) == sent for one in healthy)
    rows = await db.fetch("select state, reason, count(*) from deliveries group by 1, 2 order by 3")
    unexplained = await db.fetchval(
        "select count(*) from deliveries where (state = 'failed' and reason is null) "
        "or (state = 'pending' and due_at is null)"
    )
    made = await db.fetchval("select count(*) from deliveries")
    console.print(
        f"webhooks: {sent} events to {len(receivers)} receivers, {made} deliveries; healthy ones: "
        f"median {statistics.median(late) * 1000:.0f} ms, p99 {p99(late) * 1000:.0f} ms, all came: "
        f"{complete}"
    )
    console.print("  " + ", ".join(f"{r['state']} {r['reason'] or ''}: {r['count']}" for r in rows))
    flapping = next(one for one in receivers if one.kind == "flapping")
    console.print(f"  the flapping one had {len(flapping.ids)} of {sent} by then")
    for page in (await client("GET", "/api/v1/subscriptions?limit=100"))["items"]:
        await client("DELETE", f"/api/v1/subscriptions/{page['id']}")
    return complete and p99(late) <= HEALTHY_P99_S and unexplained == 0


async def goods(client: Client) -> str:
    """Put something on the shelf that does not run out."""
    sku = f"BENCH-{uuid4().hex[:8]}"
    row = {"sku": sku, "prices": [{"currency": "EUR", "amount_minor": 1000}]}
    body = {"status": "active", "texts": {"en": {"title": sku}}, "variants": [row]}
    await client("POST", "/api/v1/products", body)
    await client("PUT", f"/api/v1/stock/{sku}", {"on_hand": 1_000_000})
    await asyncio.sleep(3)
    return sku


async def checkout(client: Client, shop: Shop, sku: str, seconds: float) -> list[float]:
    """Place orders at a fixed rate; gives how long each POST took, in seconds."""
    tokens = []
    for n in range(10):
        email = f"bench-{n}-{uuid4().hex[:8]}@merkato.example"
        who = {"email": email, "password": PASSWORD}
        await client("POST", "/api/v1/auth/register", who)
        tokens.append((await client("POST", "/api/v1/auth/token", who))["access_token"])
    took: list[float] = []

    async def one(n: int) -> None:
        body = {
            "lines": [{"sku": sku, "quantity": 1}], "contact": {"email": "a@merkato.example"},
            "shipping_address": {"name": "A", "lines": ["1"], "city": "B", "postal_code": "28195",
                                 "country": "DE"},
            "shipping_method": "standard", "payment": {"method": "on_account"},
        }  # fmt: skip
        began = time.perf_counter()
        await client("POST", "/api/v1/orders", body, Authorization=f"Bearer {tokens[n % 10]}")
        took.append(time.perf_counter() - began)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for n in range(int(seconds * ORDERS_PER_S)):
            await asyncio.sleep(max(0.0, began + n / ORDERS_PER_S - time.monotonic()))
            group.create_task(one(n))
    return took


async def checkouts(client: Client, shop: Shop, stack: AsyncExitStack) -> bool:
    """Compare the checkout without and with 20 receivers, in turns."""
    sku = await goods(client)
    await checkout(client, shop, sku, 5)
    without, with_, ids = [], [], []
    receivers = await opened(stack, ["dead"] * 3 + ["slow"] * 2 + ["flapping"] + ["healthy"] * 14)
    for _ in range(2):
        without += await checkout(client, shop, sku, 10)
        ids = [await client.subscribe(one, ["orders.order_confirmed"]) for one in receivers]
        with_ += await checkout(client, shop, sku, 10)
        for id in ids:
            await client("DELETE", f"/api/v1/subscriptions/{id}")
    before, after = p99(without) * 1000, p99(with_) * 1000
    console.print(
        f"checkout at {ORDERS_PER_S:.0f}/s: p99 {before:.1f} ms without webhooks, {after:.1f} ms "
        f"with 20 receivers of every confirmed order (medians "
        f"{statistics.median(without) * 1000:.1f} and {statistics.median(with_) * 1000:.1f} ms)"
    )
    return after <= before * 1.1 or after <= before + 5


async def log(client: Client, db: asyncpg.Connection, stack: AsyncExitStack) -> bool:
    """Read by cursor, then replay into one subscription while another gets new events."""
    for start in range(0, READ_EVENTS, 10_000):
        await db.execute(FILL, start + 1, start + 10_000)
    began, read, size, cursor = time.perf_counter(), 0, 0, ""
    headers = {"Authorization": f"Bearer {client.token}", "Accept": "application/x-ndjson"}
    while True:
        path = f"{client.url}/api/v1/events?limit=1000{cursor}"
        async with client.session.get(path, headers=headers) as answer:
            body = await answer.read()
            read += body.count(b"\n")
            size += len(body)
            if "Next-Cursor" not in answer.headers:
                break
            cursor = f"&after={answer.headers['Next-Cursor']}"
    seconds = time.perf_counter() - began
    console.print(f"log: {read:,} events ({size / 1e6:.0f} MB) by cursor: {read / seconds:,.0f}/s")
    [replayed, other] = await opened(stack, ["healthy", "healthy"])
    id = await client.subscribe(replayed, ["bench.fill"])
    await client.subscribe(other, [TOPIC])
    first = await db.fetchval(
        "select position from log where type = 'bench.fill.v1' order by position desc "
        "offset $1 limit 1", REPLAY_EVENTS,
    )  # fmt: skip
    await client("POST", f"/api/v1/subscriptions/{id}/replay", {"cursor": encode_cursor(first)})
    began, n = time.monotonic(), 0
    while len(replayed.ids) < REPLAY_EVENTS and time.monotonic() - began < 90:
        event = {
            "specversion": "1.0", "id": f"r{n}", "source": f"/bench/{began}", "type": f"{TOPIC}.v1",
            "time": datetime.now(UTC), "data": {"n": n},
        }  # fmt: skip
        kind = {"Content-Type": "application/cloudevents+json"}
        await client("POST", f"/api/v1/topics/{TOPIC}/events", event, **kind)
        n += 1
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    console.print(
        f"replay: {len(replayed.ids):,} of {REPLAY_EVENTS:,} events in {seconds:.0f} s "
        f"({len(replayed.ids) / seconds:,.0f}/s); another subscription meanwhile: "
        f"{len(other.came)} of {n} events, p99 {p99(other.came) * 1000:.0f} ms"
    )
    return read / (seconds or 1) > 0 and p99(other.came) <= HEALTHY_P99_S


async def main() -> int:
    """Run the parts asked for. Gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="webhooks,checkout,log")
    parts = parser.parse_args().parts.split(",")
    with running(None) as shop:
        db = await asyncpg.connect(shop.engines.database_urls["broker"])
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=64)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            client = await admin(shop, session)
            for name in (TOPIC, "bench.fill"):
                topic = {"name": name, "schema": {"type": "object"}}
                await client("POST", "/api/v1/topics", topic)
            held = []
            if "webhooks" in parts:
                held.append(await webhooks(client, db, stack))
            if "checkout" in parts:
                held.append(await checkouts(client, shop, stack))
            if "log" in parts:
                held.append(await log(client, db, stack))
            audit = await asyncio.to_thread(shop.merkato, "audit", "--settle", "1")
            console.print("laws: " + ("hold" if audit.returncode == 0 else audit.stdout[-1_500:]))
        await db.close()
    return 0 if all(held) and audit.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
