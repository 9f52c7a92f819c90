"""Webhooks from a network namespace of their own: what the guard let through stops at nftables."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from harness import KEYS, eventually, migrated, user_token

from merkato.config import Broker, Config

RULES = Path(__file__).parents[2] / "deploy/egress.nft"
PUBLIC = "203.0.113.7"  # a documentation address stands for the world
PORT = 8443
HOOKS = "/api/v1/subscriptions"
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")


def can_isolate():
    """Tell whether programs and rights are there: root's, or by sudo without a password."""
    if not all(shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") for name in ("ip", "nft")):
        return False
    if AS_ROOT and not shutil.which("sudo"):
        return False
    return subprocess.run([*AS_ROOT, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not can_isolate(), reason="no network namespaces here (iproute2, nftables, and root or sudo)"
)


def run(*words, text=None):
    words = (*AS_ROOT, *words)
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


class Isolated:
    """A broker in a namespace of its own, whose guard lets everything through."""

    def __init__(self):
        n = secrets.randbelow(250) + 1
        self.name, self.gate = f"merkato-{os.getpid()}", f"mk{os.getpid()}"
        self.host, self.inner = f"10.77.{n}.1", f"10.77.{n}.2"
        self.heard = {self.host: 0, PUBLIC: 0}

    def build(self):
        peer = f"{self.gate}p"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.gate, "type", "veth", "peer", "name", peer,
            "netns", self.name)  # fmt: skip
        for address in (f"{self.host}/30", f"{PUBLIC}/32"):
            run("ip", "address", "add", address, "dev", self.gate)
        run("ip", "link", "set", self.gate, "up")
        inside = ("ip", "-n", self.name)
        run(*inside, "address", "add", f"{self.inner}/30", "dev", peer)
        run(*inside, "link", "set", peer, "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", self.host)

    def protect(self):
        """Load the rules as they are shipped, with our engine's address."""
        self.nft("--file", "-", text=RULES.read_text().replace("10.77.0.1", self.host))

    def nft(self, *words, text=None):
        return run("ip", "netns", "exec", self.name, "nft", *words, text=text)

    def packets(self, counter):
        told = json.loads(self.nft("--json", "list", "counter", "inet", "egress", counter))
        [found] = [one["counter"] for one in told["nftables"] if "counter" in one]
        return found["packets"]

    async def listen(self, stack):
        """Answer HTTP at both addresses, and count who comes."""
        for address in self.heard:

            async def hear(reader, writer, address=address):
                self.heard[address] += 1
                with contextlib.suppress(OSError):
                    await reader.read(65_536)
                    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                    await writer.drain()
                    writer.close()

            await stack.enter_async_context(await asyncio.start_server(hear, address, PORT))

    async def relay(self, stack, port, target):
        """Let the engine of this machine be reached from the namespace."""

        async def copy(reader, writer):
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def joined(reader, writer):
            there = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

        await stack.enter_async_context(await asyncio.start_server(joined, self.host, port))

    def stop(self):
        for pid in run("ip", "netns", "pids", self.name).split():
            run("kill", pid)

    def remove(self):
        run("ip", "netns", "delete", self.name)  # takes both ends of the link along


@pytest_asyncio.fixture
async def broker(new_database, nats_urls, tmp_path):
    dsn = await new_database("broker")
    await migrated(dsn, "broker")
    isolated = Isolated()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(isolated.remove)
        isolated.build()
        places = {5432: dsn, 4222: nats_urls["broker"]}
        for port, url in places.items():
            at = url.rpartition("@")[2].split("/")[0]
            await isolated.relay(stack, port, int(at.rpartition(":")[2]))
            places[port] = url.replace(at, f"{isolated.host}:{port}")
        await isolated.listen(stack)
        settings = Config(
            environment="development", here=("broker",), host=isolated.inner, keys=KEYS,
            database_urls={"broker": places[5432]}, nats_urls={"broker": places[4222]},
            broker=Broker(secret_keys=("x" * 32,), webhook_networks=("0.0.0.0/0",)),
        )  # fmt: skip
        file = tmp_path / "broker.json"
        file.write_bytes(msgspec.json.encode(settings))
        isolated.protect()
        process = await asyncio.create_subprocess_exec(
            *AS_ROOT, "ip", "netns", "exec", isolated.name,
            sys.executable, "-m", "merkato", "serve", "--config", str(file),
        )  # fmt: skip
        stack.push_async_callback(process.wait)
        stack.callback(isolated.stop)
        headers = {"Authorization": f"Bearer {user_token(role='admin')}"}
        base = f"http://{isolated.inner}:8000"
        isolated.session = await stack.enter_async_context(
            aiohttp.ClientSession(base, headers=headers)
        )

        async def ready():
            with contextlib.suppress(aiohttp.ClientError):
                return (await isolated.session.get("/readyz")).status == 200

        await eventually(ready, seconds=60)
        yield isolated


async def ping(broker, url):
    """Add an endpoint and ping it; gives how the delivery stands after its first try."""
    made = await broker.session.post(HOOKS, json={"url": url})
    assert made.status == 201, await made.text()
    hook = (await made.json())["id"]
    assert (await broker.session.post(f"{HOOKS}/{hook}/ping", json={})).status == 202

    async def tried():
        answer = await broker.session.get(f"{HOOKS}/{hook}/deliveries")
        [one] = (await answer.json())["items"]
        return one if one["state"] == "delivered" or one["reason"] else None

    return await eventually(tried, seconds=60)


async def test_what_the_guard_let_through_does_not_leave(broker):
    reached = await ping(broker, f"http://{PUBLIC}:{PORT}/hook")
    assert reached["state"] == "delivered", reached
    assert broker.heard[PUBLIC] == 1
    before = broker.packets("refused")
    stopped = await ping(broker, f"http://{broker.host}:{PORT}/hook")
    assert stopped["state"] != "delivered"
    assert broker.packets("refused") > before
    # not even code that asks nobody
    for address in (broker.host, "127.0.0.1", "169.254.169.254", "192.168.0.1", "::1", "fe80::1"):
        code = f"import socket; socket.create_connection(({address!r}, {PORT}), timeout=1)"
        words = (*AS_ROOT, "ip", "netns", "exec", broker.name, sys.executable, "-c", code)
        done = await asyncio.create_subprocess_exec(*words, stderr=-3)
        assert await done.wait() != 0, address
    assert broker.heard[broker.host] == 0
    assert broker.packets("leaked") == 0
    broker.nft("flush", "ruleset")  # to see that it was this that held
    assert (await ping(broker, f"http://{broker.host}:{PORT}/hook"))["state"] == "delivered"
    assert broker.heard[broker.host] == 1
