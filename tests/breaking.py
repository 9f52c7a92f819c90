"""How a running shop is broken, and how it is looked over afterwards."""

import asyncio
import json
import os
import shutil
import signal
from contextlib import asynccontextmanager

import aiohttp
import nats
from harness import eventually
from shopping import load, whose

from merkato.chassis.bus import STREAM
from merkato.config import SERVICES

HEAL_S = 60.0  # after a fault everything is well again within this


def kill(pid):
    """As a power cut does it to one process."""
    os.kill(pid, signal.SIGKILL)


async def ready(shop, *, seconds=HEAL_S):
    """Wait until the shop says that it is ready."""

    async def says_so():
        try:
            return (await shop("GET", "/readyz", timeout_s=5)).status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    await eventually(says_so, seconds=seconds, pause=0.1)


async def settled(shop):
    """Wait until nothing is left to be done: nothing to say, hear, send, or tell by the clock."""

    async def nothing_waits():
        last, unheard = await on_the_bus(shop)
        left = [await shop.sql(service, query) for service, query in LEFT_TO_DO]
        return not unheard and not any(left) and (last, 0) == await on_the_bus(shop)

    await eventually(nothing_waits, seconds=90)


async def on_the_bus(shop):
    """(the last event's place in the stream, how many are still to be heard by somebody)"""
    client = await nats.connect(shop.engines.nats_url)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info(STREAM)).state.last_seq
        consumers = await stream.consumers_info(STREAM)
        return last, sum(one.num_pending + one.num_ack_pending for one in consumers)
    finally:
        await client.close()


@asynccontextmanager
async def stopped(shop, name):
    """Keep one of its processes from running: killed, and not started again until the end."""
    supervisor = shop.state()["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        pid = shop.pid(name)
        kill(pid)
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)

    async def another():
        return shop.pid(name) not in (0, pid)

    await eventually(another, seconds=HEAL_S)


def wipe_broker(shop):
    """Take away everything the broker ever stored; it must not be running."""
    for entry in (shop.home / "nats").iterdir():
        shutil.rmtree(entry)


def kill_everything(shop):
    """Kill the supervisor and all it runs, at once."""
    state = shop.state()
    for pid in [state["pid"], *(child["pid"] for child in state["children"])]:
        if pid:
            kill(pid)


def disarm(shop):
    """Let the next start of the shop's process be without failpoints."""
    file = shop.home / "run/shop.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "failpoints": {}}))


async def buying(shop, fault, *, before_s=1.5, after_s=1.5, per_s=15.0, people=25):
    """Break the shop by `await fault()` while people buy; then look whether all is well."""
    members = await shop.members(people)
    tokens = [token for _, token in members]
    sku = await shop.sell(stock=100_000)
    stop = asyncio.Event()
    buyers = asyncio.create_task(load(shop, sku, tokens, stop, per_s=per_s))
    await asyncio.sleep(before_s)
    await fault()
    await asyncio.sleep(after_s)
    stop.set()
    sent = await buyers
    await ready(shop)
    await healed(shop, sku, tokens, sent)


async def healed(shop, sku, tokens, sent):
    """See that nothing acknowledged was lost and nothing done twice; `sent`: key -> order id."""
    assert any(sent.values()), "nobody could buy anything"
    orders = {}
    for key, order_id in sent.items():
        body, token = shop.order_of({sku: 1}, f"{key}@example.org"), whose(tokens, key)
        again = await shop.place(body, token=token, key=key)
        assert again.status == 202, again
        orders[key] = again.json()["id"]
        assert order_id in (None, orders[key])
    ids = set(orders.values())
    assert len(ids) == len(sent)

    async def all_confirmed():
        rows = await shop.sql("orders", STANDING, list(ids))
        return not rows or _Told(map(dict, rows[:5]))

    await eventually(all_confirmed, seconds=HEAL_S, pause=0.3)
    rows = await shop.sql("orders", "select from order_lines where sku = $1", sku)
    assert len(rows) == len(ids)

    await lawful(shop)
    assert await shop.shelf(sku) == (100_000 - len(ids), 0)
    await one_mail_each(shop, list(sent)[:300])


async def lawful(shop):
    """Wait until every law holds."""

    async def nothing_broken():
        wrong = await shop.broken_laws()
        return not wrong or _Told(wrong)

    await eventually(nothing_broken, seconds=HEAL_S, pause=0.5)
    await asyncio.to_thread(shop.command, "audit")


async def one_mail_each(shop, keys):
    """Whoever ordered has one confirmation in the mailbox, by Message-ID."""
    counts = {}
    for key in keys:
        mails = await shop.mails(f"{key}@example.org")
        names = {mail["message_id"] for mail in mails if ".confirmed." in mail["message_id"]}
        counts[key] = len(names)
    assert set(counts.values()) == {1}, {key: n for key, n in counts.items() if n != 1}


class _Told(list):
    """A list that is shown when it did not become empty in time."""

    def __bool__(self):
        return False


LEFT_TO_DO = [
    *((name, "select from outbox where published_at is null") for name in SERVICES),
    ("notifications", "select from due"),
    (
        "inventory",
        "select from stock where location = 'main' and said is distinct from on_hand - reserved",
    ),
]
STANDING = "select id, status from orders where id = any($1::uuid[]) and status <> 'confirmed'"
