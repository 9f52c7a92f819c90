"""Receivers of webhooks in a process of their own: `python bench/receivers.py KIND…`.

Prints their addresses as JSON and serves until its standard input ends. It stands for machines of
others, so it takes what the shop leaves of the processor. A GET of an address tells what came
there, a DELETE forgets it. Kinds: healthy, slow (3 s for an answer), flapping (refuses every
other), failing (refuses all), silent (takes all and answers nothing), refusing (nobody listens).
"""

import asyncio
import os
import secrets
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web

NICE = 10
SLOW_S = 3
SILENT_S = 60


class Told(msgspec.Struct, frozen=True):
    """What came to a receiver and was taken: how many ids, copies of them, and seconds since."""

    ids: int
    copies: int
    late_s: list[float]


class Receiver:
    """One endpoint."""

    def __init__(self, kind: str) -> None:
        self.kind, self.ids = kind, Counter[str]()
        self.late_s: list[float] = []

    async def take(self, request: web.Request) -> web.Response:
        """Answer a webhook, as this kind does."""
        came = time.time()
        event = msgspec.json.decode(await request.read())
        if self.kind in ("slow", "silent"):
            await asyncio.sleep(SLOW_S if self.kind == "slow" else SILENT_S)
        if self.kind == "failing" or (self.kind == "flapping" and secrets.randbelow(2)):
            return web.Response(status=500)
        self.ids[request.headers["webhook-id"]] += 1
        if "time" in event:
            self.late_s.append(came - datetime.fromisoformat(event["time"]).timestamp())
        return web.Response()

    async def tell(self, _: web.Request) -> web.Response:
        """Tell what came."""
        told = Told(len(self.ids), self.ids.total() - len(self.ids), self.late_s)
        return web.Response(body=msgspec.json.encode(told))

    async def forget(self, _: web.Request) -> web.Response:
        """Begin anew."""
        self.ids.clear()
        self.late_s.clear()
        return web.Response()


async def serve(kinds: list[str]) -> None:
    """Open receivers on free ports and serve until nobody needs them."""
    async with AsyncExitStack() as stack:
        urls = []
        for kind in kinds:
            one, app = Receiver(kind), web.Application()
            app.add_routes(
                [web.post("/", one.take), web.get("/", one.tell), web.delete("/", one.forget)]
            )
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            if kind == "refusing":
                await runner.cleanup()
        print(msgspec.json.encode(urls).decode(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Receivers:
    """The receivers of a bench, seen from its own process."""

    def __init__(self, session: aiohttp.ClientSession, kinds: list[str]) -> None:
        self._session, self.kinds = session, kinds
        self.urls: list[str] = []

    async def __aenter__(self) -> "Receivers":
        """Start them."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, *self.kinds,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.urls = msgspec.json.decode(await self._process.stdout.readline())
        return self

    async def __aexit__(self, *_: Any) -> None:
        """Stop them."""
        await self._process.communicate(b"")  # the end of its input ends it

    def of(self, kind: str) -> list[str]:
        """Give the addresses of a kind."""
        return [url for url, is_ in zip(self.urls, self.kinds, strict=True) if is_ == kind]

    async def told(self, kind: str) -> list[Told]:
        """Ask those of a kind what came."""
        found = []
        for url in self.of(kind):
            async with self._session.get(url) as answer:
                found.append(msgspec.json.decode(await answer.read(), type=Told))
        return found

    async def forget(self) -> None:
        """Have all begin anew."""
        for url, kind in zip(self.urls, self.kinds, strict=True):
            if kind != "refusing":
                async with self._session.delete(url):
                    pass


if __name__ == "__main__":
    os.nice(NICE)
    uvloop.run(serve(sys.argv[1:]))
