"""Webhooks under test: a broker whose dispatcher runs when told, and what is asked of it."""

import asyncio
from contextlib import asynccontextmanager

from harness import eventually
from service.test_broker_log import ADMIN

from merkato import topology
from merkato.config import Broker, Config

PATH = "/api/v1/subscriptions"
KEYS = ("a key of a test, long enough for one",)


def service(**more):
    settings = Broker(secret_keys=KEYS, **more)
    config = Config(here=("gateway",), environment="development", broker=settings)
    return topology.services(config)["broker"]


@asynccontextmanager
async def delivering(broker):
    """Have the dispatcher run beside the test."""
    [job] = [every for every in broker.service.jobs if every.name == "deliver"]
    task = asyncio.create_task(job.job(broker.resources))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def subscribe(broker, receiver, **more):
    answer = await broker.request("POST", PATH, {"url": receiver.url, **more}, token=ADMIN)
    assert answer.status == 201, answer
    made = answer.json()
    receiver.secrets.insert(0, made["secret"])
    return made["id"]


async def logged(broker, *events):
    """Log events and make deliveries of them."""
    await broker.hear(*events)
    await broker.run_job("fan-out")


async def ask(broker, method, path, body=None, **more):
    answer = await broker.request(method, path, body, token=ADMIN, **more)
    assert answer.status < 400, answer
    return answer.json() if answer.body else None


async def deliveries(broker, id, query=""):
    return (await ask(broker, "GET", f"{PATH}/{id}/deliveries?limit=100&{query}"))["items"]


async def settled(broker, id, n, state="delivered"):
    async def there():
        found = await deliveries(broker, id, f"state={state}")
        return found if len(found) >= n else None

    return await eventually(there)


async def due_now(broker):
    """Let the time pass until the next try."""
    async with broker.db.transaction() as tx:
        await tx.execute("update deliveries set due_at = clock_timestamp() where state = 'pending'")
        await tx.execute("update subscriptions set open_until = null")
