"""The stand-ins as processes: what they refuse, and what a `kill -9` leaves behind."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import aiohttp
import msgspec
import pytest
import stripe
from aiohttp import web

from merkato.outside.running import Outside, serve

KEY, SECRET = "sk_test_standin", "whsec_standin"
RUN = """
import asyncio, sys, msgspec
from merkato.outside.running import Outside, serve
asyncio.run(serve(msgspec.json.decode(sys.argv[1], type=Outside)))
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def settings(folder, **changed):
    names = ("processor_port", "mailbox_smtp_port", "mailbox_port", "gateway_port")
    ports = {name: free_port() for name in names}
    fixed = {"api_key": KEY, "webhook_secret": SECRET, "gateway_secret": SECRET, "webhook_url": ""}
    return Outside(
        **{"folder": str(folder), "environment": "development", **ports, **fixed, **changed}
    )


class Running:
    """A process of the stand-ins, and a way to talk to its control."""

    def __init__(self, given):
        self.settings = given
        self.url = f"http://127.0.0.1:{given.processor_port}"
        self.mailbox = f"http://127.0.0.1:{given.mailbox_port}"
        self.process = None
        self.http = None
        self.clients = []

    def spawn(self):
        given = msgspec.json.encode(self.settings).decode()
        self.process = subprocess.Popen([sys.executable, "-c", RUN, given])

    async def start(self):
        self.spawn()
        for url in (self.url, self.mailbox):
            await eventually(lambda url=url: self.alive(url))

    async def alive(self, url):
        assert self.process.poll() is None, "the stand-ins ended"
        with contextlib.suppress(aiohttp.ClientError):
            async with self.http.get(f"{url}/livez") as answer:
                return answer.status == 200
        return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    async def get(self, path, **query):
        async with self.http.get(self.url + path, params=query) as answer:
            return await answer.json()

    async def post(self, path, content):
        async with self.http.post(self.url + path, json=content) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def ledger(self):
        rows, after = [], 0
        while after is not None:
            page = await self.get("/standin/ledger", after=after)
            rows += page["items"]
            after = page["next_after"]
        return rows

    def stripe(self, retries=0, timeout_s=10):
        client = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=timeout_s))
        self.clients.append(client)
        return stripe.StripeClient(
            KEY, base_addresses={"api": self.url}, http_client=client, max_network_retries=retries
        )


async def eventually(question, patience_s=15):
    """Ask until the answer is true; give it."""
    end = time.monotonic() + patience_s
    while not (answer := await question()):
        assert time.monotonic() < end, "it never became true"
        await asyncio.sleep(0.05)
    return answer


@contextlib.asynccontextmanager
async def started(folder, **changed):
    running = Running(settings(folder, **changed))
    async with aiohttp.ClientSession() as running.http:
        try:
            await running.start()
            yield running
        finally:
            for client in running.clients:
                await client.close_async()
            running.process.terminate()
            assert running.process.wait(10) == 0


class Shop:
    """Takes webhooks, verified by the SDK, and answers `status`."""

    def __init__(self, port):
        self.status = 200
        self.url = f"http://127.0.0.1:{port}/webhook"
        self.events = []  # taken
        self.refused = []

    async def take(self, request):
        payload = await request.read()
        event = stripe.Webhook.construct_event(payload, request.headers["Stripe-Signature"], SECRET)
        (self.events if self.status == 200 else self.refused).append(event)
        return web.Response(status=self.status)

    def types(self):
        return [event.type for event in self.events]


@contextlib.asynccontextmanager
async def shop():
    port = free_port()
    taking = Shop(port)
    app = web.Application()
    app.router.add_post("/webhook", taking.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield taking
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def processing(folder):
    """A process of the stand-ins whose webhooks a shop takes."""
    async with shop() as taking, started(folder, webhook_url=taking.url) as outside:
        outside.shop = taking
        yield outside


async def renew(outside):
    """Forget what tests before did."""
    await outside.post("/standin/reset", {})
    outside.shop.status = 200
    outside.shop.events.clear()
    outside.shop.refused.clear()


async def drained(outside):
    """Wait until no webhook is owed, so that none reaches the next test."""
    outside.shop.status = 200
    await outside.post("/standin/mode", {})

    async def nothing_owed():
        return not (await outside.get("/standin/webhooks", state="owed"))["items"]

    await eventually(nothing_owed)


def payment(token="pm_card_visa", **changed):
    return {
        "amount": 4599,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": True,
        "payment_method": token,
        **changed,
    }


async def create(outside, token="pm_card_visa", key=None, **changed):
    options = {"idempotency_key": key} if key else {}
    client = outside.stripe(timeout_s=changed.pop("timeout_s", 10))
    return await client.v1.payment_intents.create_async(payment(token, **changed), options)


async def heard(outside, *types):
    async def all_here():
        return sorted(outside.shop.types()) == sorted(types)

    await eventually(all_here)


@pytest.mark.parametrize("environment", ["production", "", "Development"])
async def test_refuses_to_run_outside_development(tmp_path, environment):
    with pytest.raises(ValueError, match="development only"):
        await serve(settings(tmp_path, environment=environment))
    assert not os.listdir(tmp_path)


async def test_refuses_to_run_without_secrets(tmp_path):
    with pytest.raises(ValueError, match="webhook_secret"):
        await serve(settings(tmp_path, webhook_secret=""))


async def test_names_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            await serve(settings(tmp_path, processor_port=port))


async def test_ends_when_cancelled_and_gives_its_ports_back(tmp_path):
    given = settings(tmp_path)
    for _ in range(2):
        task = asyncio.create_task(serve(given))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_kill_leaves_ledger_answers_and_owed_webhooks(tmp_path):
    async with shop() as taking, started(tmp_path, webhook_url=taking.url) as outside:
        taking.status = 503
        client = outside.stripe()
        automatic = payment(capture_method="automatic")
        intents = [
            await client.v1.payment_intents.create_async(automatic, {"idempotency_key": f"k{n}"})
            for n in range(20)
        ]
        before = await outside.ledger()
        outside.kill()
        taking.status = 200
        await outside.start()
        assert await outside.ledger() == before
        assert {row["reference"] for row in before} == {intent.id for intent in intents}
        again = await client.v1.payment_intents.create_async(automatic, {"idempotency_key": "k7"})
        assert again.id == intents[7].id

        async def all_told():
            told = {event.data.object.id for event in taking.events}
            return told == {intent.id for intent in intents}

        await eventually(all_told)


async def test_a_kill_in_the_middle_loses_no_answered_payment(tmp_path):
    async with started(tmp_path) as outside:
        client = outside.stripe()
        answered = []

        async def buy():
            while True:
                intent = await client.v1.payment_intents.create_async(
                    payment(capture_method="automatic")
                )
                answered.append(intent.id)

        buyers = [asyncio.create_task(buy()) for _ in range(8)]

        async def some():
            return len(answered) > 20

        await eventually(some)
        outside.kill()
        await asyncio.gather(*buyers, return_exceptions=True)
        await outside.start()
        assert {row["reference"] for row in await outside.ledger()} >= set(answered)


async def test_refuses_connections_for_a_while(tmp_path):
    async with started(tmp_path) as outside:
        await outside.post("/standin/mode", {"mode": "refuse", "seconds": 2})

        async def refused():
            try:
                async with aiohttp.ClientSession() as fresh, fresh.get(f"{outside.url}/livez"):
                    return False
            except aiohttp.ClientConnectorError:
                return True

        await eventually(refused)
        await eventually(lambda: outside.alive(outside.url))
