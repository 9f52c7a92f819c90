"""Webhooks and the log: latency beside dead receivers, cost for the checkout, a burst, reading.

`.venv/bin/python bench/broker.py` starts a new shop. It measures

- webhooks: 20 receivers of which 3 are dead (one refuses, one is silent, one fails), 2 slow and
  one flaps, events said at 20 a second;
- checkout: the latency of POST /orders at a fixed rate while those events are said, without and
  with those receivers, in turns;
- burst: 10,000 events at once for ten of them (one dead, one slow, one flapping), while people go
  on buying;
- log: reading 100,000 events by cursor, and the replay of 50,000 into one of two subscriptions.

Receivers and clients are processes of their own on the same machine. Exit status 0: all holds.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import asyncpg
import msgspec
from gauges import Gauges
from receivers import Receivers
from report import Floor, console
from shop import Shop, running

from merkato.chassis.http import encode_cursor

SECONDS = 30.0
CHECKOUT_S = 12.0  # of one turn; there are eight
EVENTS_PER_S = 20.0
ORDERS_PER_S = 50.0
CUSTOMERS = 40  # each may have 20 orders that wait for their verdict
BURST = 10_000
BATCH = 100
BURST_MAX_S = 420.0
READ_EVENTS = 100_000
REPLAY_EVENTS = 50_000
REPLAY_MAX_S = 150.0
HEALTHY_P99_S = 2.0
READ_PER_S = 20_000
PASSWORD = "a long and quiet river"
TOPIC, FILLED = "bench.tick", "bench.fill"
KINDS = ["refusing", "silent", "failing", "slow", "slow", "flapping"] + ["healthy"] * 14
IN_BURST = [0, 3, 5, *range(6, 13)]  # of those
FILL = """
select append_to_log(array_agg(uuidv7()), array_agg('bench.fill.v1'::text),
                     array_agg('k' || n % 997), array_agg(event::text))
  from (select n, json_build_object(
            'specversion', '1.0', 'id', n::text, 'source', '/bench', 'type', 'bench.fill.v1',
            'subject', 'k' || n % 997, 'data', json_build_object('n', n, 'text', repeat('x', 400))
        ) as event from generate_series($1::int, $2::int) n) e
"""
STATES = "select state, reason, count(*) as n from deliveries group by 1, 2 order by 3 desc"
# Every endpoint has a row for every event, or a full queue and the rest in the log; whatever ended
# otherwise than by success says why; what waits has a time.
UNEXPLAINED = """
select count(*) filter (where made < $2 and (waiting < $3 or position >= $4)) as missing,
       coalesce(sum(silent), 0) as silent
  from (select s.id, s.position, count(d.id) as made,
               count(*) filter (where d.state = 'pending') as waiting,
               count(*) filter (where (d.state = 'failed' and d.reason is null)
                                   or (d.state = 'pending' and d.due_at is null)) as silent
          from subscriptions s left join deliveries d on d.subscription_id = s.id
         where s.id = any($1::uuid[]) group by s.id) e
"""


class Client:
    """An administrator's requests to the shop."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session, self.url, self.token = session, url, token

    async def status(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send a request; give the status, 0 for no answer, and the body."""
        sent = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self.session.request(
                method, self.url + path, data=data, headers=sent | headers
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 0, repr(error).encode()

    async def __call__(self, method: str, path: str, body: object = None, **headers: str) -> dict:
        """Send a request and decode the answer; anything but success ends the bench."""
        status, raw = await self.status(method, path, body, **headers)
        if not 200 <= status < 300:
            raise SystemExit(f"{method} {path}: {status} {raw[:300]!r}")
        return msgspec.json.decode(raw) if raw else {}

    async def subscribe(self, url: str, topics: list[str], **more: object) -> str:
        """Have an address be sent events. Gives the subscription."""
        wanted = {"url": url, "topics": topics, **more}
        return (await self("POST", "/api/v1/subscriptions", wanted))["id"]

    async def say(self, first: int, count: int, source: str) -> None:
        """Publish events in one request."""
        now = datetime.now(UTC)
        events = [
            {"specversion": "1.0", "id": str(n), "source": source, "type": f"{TOPIC}.v1",
             "time": now, "subject": f"k{n % 97}", "data": {"n": n}}
            for n in range(first, first + count)
        ]  # fmt: skip
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        await self("POST", f"/api/v1/topics/{TOPIC}/events", events, **kind)

    async def say_for(self, seconds: float, per_s: float = EVENTS_PER_S) -> int:
        """Publish events one by one at a fixed rate. Gives how many."""
        began, sent, source = time.monotonic(), 0, f"/bench/{uuid4().hex}"
        while time.monotonic() - began < seconds:
            await self.say(sent, 1, source)
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / per_s - time.monotonic()))
        return sent


class Bench:
    """A running shop, its administrator, its broker's database, receivers and what was found."""

    def __init__(
        self, shop: Shop, client: Client, db: asyncpg.Connection, receivers: Receivers
    ) -> None:
        self.shop, self.client, self.db, self.receivers = shop, client, db, receivers
        self.floors: list[Floor] = []
        self.tokens: list[str] = []
        self.sku = ""

    def floor(self, what: str, found: str, holds: bool) -> None:
        """Note a floor."""
        self.floors.append(Floor(what, found, holds))

    async def subscribed(self, which: Sequence[int] = range(len(KINDS))) -> list[str]:
        """Have receivers be told of the topic."""
        await self.receivers.forget()
        return [await self.client.subscribe(self.receivers.urls[n], [TOPIC]) for n in which]

    async def unsubscribed(self, ids: list[str]) -> None:
        """Remove endpoints with their deliveries."""
        for id in ids:
            await self.client("DELETE", f"/api/v1/subscriptions/{id}")
        await asyncio.sleep(1)  # the last event is logged then, and is none of the next part's

    async def explained(self, name: str, ids: list[str], said: int) -> None:
        """See that every delivery was made, is scheduled, or was given up with a reason."""
        head = await self.db.fetchval("select position from log_head")
        row = await self.db.fetchrow(UNEXPLAINED, ids, said, 1_000, head)
        rows = await self.db.fetch(STATES)
        console.print("  " + ", ".join(f"{r['state']} {r['reason'] or ''}: {r['n']}" for r in rows))
        wrong = row["missing"] + row["silent"]
        self.floor(
            f"{name}: every delivery made, scheduled or explained", f"{wrong} not", not wrong
        )


def p99_ms(seconds: list[float]) -> float:
    """Give the milliseconds that 99 % do not exceed."""
    return statistics.quantiles(seconds, n=100)[98] * 1000 if len(seconds) > 1 else float("nan")


async def webhooks(bench: Bench) -> None:
    """Say events at a fixed rate to 20 receivers; tell how fast the healthy ones had them."""
    ids, gauges = await bench.subscribed(), Gauges(bench.shop)
    before = gauges.cpu()
    said = await bench.client.say_for(SECONDS)
    await asyncio.sleep(3)
    used = {name: s - before.get(name, 0.0) for name, s in gauges.cpu().items()}
    healthy = await bench.receivers.told("healthy")
    late = [seconds for one in healthy for seconds in one.late_s]
    [flapping] = await bench.receivers.told("flapping")
    complete = sum(one.ids == said for one in healthy)
    console.print(
        f"webhooks: {said} events to {len(ids)} receivers; healthy ones: median "
        f"{statistics.median(late) * 1000:.0f} ms, p99 {p99_ms(late):.0f} ms, slowest "
        f"{max(late) * 1000:.0f} ms; {complete} of {len(healthy)} had all, "
        f"{sum(one.copies for one in healthy)} copies; the flapping one had {flapping.ids}"
    )
    each = {name: s * 1000 / sum(one.ids for one in healthy) for name, s in sorted(used.items())}
    spent = ", ".join(f"{name} {ms:.2f}" for name, ms in each.items() if ms >= 0.01)
    console.print(f"  CPU ms for each of these deliveries: {spent}")
    bench.floor("healthy receivers had all", f"{complete}", complete == len(healthy))
    bench.floor("healthy p99 ≤ 2 s", f"{p99_ms(late):.0f} ms", p99_ms(late) <= HEALTHY_P99_S * 1000)
    await bench.explained("webhooks", ids, said)
    await bench.unsubscribed(ids)


async def open_for_business(bench: Bench) -> None:
    """Put something on the shelf that does not run out, and let customers log in."""
    client, bench.sku = bench.client, f"BENCH-{uuid4().hex[:8]}"
    row = {"sku": bench.sku, "prices": [{"currency": "EUR", "amount_minor": 1000}]}
    goods = {"status": "active", "texts": {"en": {"title": "Bench"}}, "variants": [row]}
    await client("POST", "/api/v1/products", goods)
    await client("PUT", f"/api/v1/stock/{bench.sku}", {"on_hand": 1_000_000})
    for n in range(CUSTOMERS):
        who = {"email": f"{n}-{uuid4().hex[:8]}@merkato.example", "password": PASSWORD}
        await client("POST", "/api/v1/auth/register", who)
        bench.tokens.append((await client("POST", "/api/v1/auth/token", who))["access_token"])


async def checkout(
    bench: Bench, seconds: float, stop: asyncio.Event | None = None
) -> tuple[list[float], Counter[int]]:
    """Place orders at a fixed rate, until `stop`; how long each took, in seconds, and statuses."""
    took: list[float] = []
    statuses: Counter[int] = Counter()

    async def one(n: int) -> None:
        body = {
            "lines": [{"sku": bench.sku, "quantity": 1}],
            "contact": {"email": "a@merkato.example"},
            "shipping_address": {"name": "A", "lines": ["1"], "city": "B", "postal_code": "28195",
                                 "country": "DE"},
            "shipping_method": "standard", "payment": {"method": "on_account"},
        }  # fmt: skip
        who = {"Authorization": f"Bearer {bench.tokens[n % CUSTOMERS]}"}
        began = time.perf_counter()
        status, _ = await bench.client.status("POST", "/api/v1/orders", body, **who)
        took.append(time.perf_counter() - began)
        statuses[status] += 1

    began, n = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while time.monotonic() - began < seconds and not (stop and stop.is_set()):
            group.create_task(one(n))
            n += 1
            await asyncio.sleep(max(0.0, began + n / ORDERS_PER_S - time.monotonic()))
    return took, statuses


async def checkouts(bench: Bench) -> None:
    """Compare the checkout without and with 20 receivers of what is said meanwhile, in turns."""
    await checkout(bench, 5)
    found: dict[bool, list[list[float]]] = {False: [], True: []}
    for turn in range(8):
        ids = await bench.subscribed() if turn % 2 else []
        (took, statuses), _ = await asyncio.gather(
            checkout(bench, CHECKOUT_S), bench.client.say_for(CHECKOUT_S)
        )
        assert set(statuses) == {202}, statuses
        found[bool(ids)].append(took)
        await bench.unsubscribed(ids)
    without, with_ = ([one for turn in found[way] for one in turn] for way in (False, True))
    before, after = p99_ms(without), p99_ms(with_)
    each = {k: ", ".join(f"{p99_ms(one):.1f}" for one in turns) for k, turns in found.items()}
    medians = [statistics.median(one) * 1000 for one in (without, with_)]
    console.print(
        f"checkout at {ORDERS_PER_S:.0f}/s beside {EVENTS_PER_S:.0f} events/s: p99 {before:.1f} ms "
        f"without receivers (turns: {each[False]}), {after:.1f} ms with 20 (turns: {each[True]}); "
        f"medians {medians[0]:.1f} and {medians[1]:.1f} ms"
    )
    bench.floor(
        "checkout's p99 ≤ 10 % or 5 ms more with webhooks", f"{before:.1f} → {after:.1f} ms",
        after <= before * 1.1 or after <= before + 5,
    )  # fmt: skip


async def burst(bench: Bench) -> None:
    """Publish 10,000 events at once while people buy, until every healthy receiver has all."""
    ids, wanted = await bench.subscribed(IN_BURST), len(IN_BURST) - 3
    stop, source = asyncio.Event(), f"/bench/{uuid4().hex}"
    buying = asyncio.create_task(checkout(bench, BURST_MAX_S + 60, stop))
    began = time.monotonic()
    for first in range(0, BURST, BATCH):
        await bench.client.say(first, BATCH, source)
    published_s, healthy = time.monotonic() - began, []
    while time.monotonic() - began < BURST_MAX_S:
        await asyncio.sleep(1)
        healthy = (await bench.receivers.told("healthy"))[:wanted]
        if all(one.ids == BURST for one in healthy):
            break
    seconds = time.monotonic() - began
    stop.set()
    took, statuses = await buying
    came = sum(one.ids + one.copies for one in healthy)
    refused = statuses.total() - statuses[202]
    console.print(
        f"burst: {BURST:,} events published in {published_s:.1f} s; {came:,} deliveries to "
        f"{len(healthy)} healthy receivers in {seconds:.0f} s ({came / seconds:,.0f}/s, "
        f"{sum(one.copies for one in healthy)} copies); meanwhile {statuses.total():,} orders at "
        f"{ORDERS_PER_S:.0f}/s: {refused} refused {dict(statuses)}, p99 {p99_ms(took):.0f} ms"
    )
    fewest = min(one.ids for one in healthy)
    bench.floor(f"burst of {BURST:,} worked off", f"{fewest:,} at the last one", fewest == BURST)
    bench.floor("no checkout refused meanwhile", f"{refused} of {statuses.total():,}", refused == 0)
    await bench.explained("burst", ids, BURST)
    await bench.unsubscribed(ids)


async def read_log(bench: Bench) -> None:
    """Read by cursor."""
    for start in range(0, READ_EVENTS, 10_000):
        await bench.db.execute(FILL, start + 1, start + 10_000)
    began, read, size, cursor = time.perf_counter(), 0, 0, ""
    headers = {"Authorization": f"Bearer {bench.client.token}", "Accept": "application/x-ndjson"}
    while True:
        path = f"{bench.client.url}/api/v1/events?limit=1000{cursor}"
        async with bench.client.session.get(path, headers=headers) as answer:
            body = await answer.read()
            assert answer.status == 200, body[:300]
            read += body.count(b"\n")
            size += len(body)
            if "Next-Cursor" not in answer.headers:
                break
            cursor = f"&after={answer.headers['Next-Cursor']}"
    rate = read / (time.perf_counter() - began)
    console.print(f"log: {read:,} events ({size / 1e6:.0f} MB) by cursor: {rate:,.0f}/s")
    holds = rate >= READ_PER_S and read >= READ_EVENTS
    bench.floor(f"{READ_EVENTS:,} events read ≥ {READ_PER_S:,}/s", f"{rate:,.0f}/s", holds)


async def replay(bench: Bench) -> None:
    """Replay into one subscription while another gets new events."""
    await bench.receivers.forget()
    replayed, other = bench.receivers.of("healthy")[:2]
    id = await bench.client.subscribe(replayed, [FILLED])
    ids = [id, await bench.client.subscribe(other, [TOPIC])]
    first = await bench.db.fetchval(
        "select position from log where type = 'bench.fill.v1' order by position desc "
        "offset $1 limit 1", REPLAY_EVENTS,
    )  # fmt: skip
    body = {"cursor": encode_cursor(first)}
    await bench.client("POST", f"/api/v1/subscriptions/{id}/replay", body)
    began, said, seconds, came = time.monotonic(), 0, 0.0, 0
    while came < REPLAY_EVENTS and seconds < REPLAY_MAX_S:
        said += await bench.client.say_for(1, per_s=10)
        came = (await bench.receivers.told("healthy"))[0].ids
        seconds = time.monotonic() - began
    await asyncio.sleep(2)
    told = (await bench.receivers.told("healthy"))[1]
    console.print(
        f"replay: {came:,} of {REPLAY_EVENTS:,} events in {seconds:.0f} s "
        f"({came / seconds:,.0f}/s); another subscription meanwhile: {told.ids} of {said} events, "
        f"median {statistics.median(told.late_s) * 1000:.0f} ms, p99 {p99_ms(told.late_s):.0f} ms"
    )
    bench.floor(f"{REPLAY_EVENTS:,} events replayed", f"{came:,}", came == REPLAY_EVENTS)
    holds = told.ids == said and p99_ms(told.late_s) <= HEALTHY_P99_S * 1000
    bench.floor("others meanwhile p99 ≤ 2 s", f"{p99_ms(told.late_s):.0f} ms", holds)
    await bench.unsubscribed(ids)


PARTS = {"webhooks": (webhooks,), "checkout": (checkouts,), "burst": (burst,),
         "log": (read_log, replay)}  # fmt: skip


async def measure(shop: Shop, parts: list[str]) -> list[Floor]:
    """Measure the parts asked for on a shop."""
    made = shop.merkato("create-admin", "bench@merkato.example", given=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=64)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        client = Client(session, shop.url, "")
        body = {"email": "bench@merkato.example", "password": PASSWORD}
        client.token = (await client("POST", "/api/v1/auth/token", body))["access_token"]
        for name in (TOPIC, FILLED):
            await client("POST", "/api/v1/topics", {"name": name, "schema": {"type": "object"}})
        db = await asyncpg.connect(shop.engines.database_urls["broker"])
        stack.push_async_callback(db.close)
        receivers = await stack.enter_async_context(Receivers(session, KINDS))
        bench = Bench(shop, client, db, receivers)
        if {"checkout", "burst"} & {*parts}:
            await open_for_business(bench)
        for name in parts:
            for part in PARTS[name]:
                await part(bench)
        audit = await asyncio.to_thread(shop.merkato, "audit", "--settle", "1")
        holds = "hold" if audit.returncode == 0 else audit.stdout[-1_500:]
        bench.floor("the laws hold (merkato audit)", holds, audit.returncode == 0)
        return bench.floors


def main() -> int:
    """Run the parts asked for. Gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of these")
    parser.add_argument("--each", action="store_true", help="a process per service")
    given = parser.parse_args()
    with running(None, each=given.each) as shop:
        floors = asyncio.run(measure(shop, given.parts.split(",")))
    for floor in floors:
        console.print(f"{'✓' if floor.holds else '✗'} {floor.what}: {floor.found}")
    return 0 if all(floor.holds for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
