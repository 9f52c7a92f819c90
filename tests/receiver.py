"""Endpoints of webhooks, for tests: real servers that note what they get and answer as told."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web
from standardwebhooks.webhooks import Webhook


class Receiver:
    """One endpoint; `answers` are taken in turn, the last one for ever: a status, or a function."""

    def __init__(self):
        self.got, self.answers, self.secrets, self.port = [], [200], [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    async def handle(self, request):
        body = await request.read()
        self.got.append((dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return await answer(request)
        return web.Response(status=answer)

    def events(self):
        """What came, in order, each verified by the foreign library with every secret known."""
        found = []
        for headers, body in self.got:
            names = {name.lower(): value for name, value in headers.items()}
            for secret in self.secrets:
                found.append(Webhook(secret).verify(body, names))
                break
        return found

    def ids(self):
        return [{k.lower(): v for k, v in headers.items()}["webhook-id"] for headers, _ in self.got]


@asynccontextmanager
async def receiving():
    """Open an endpoint on a free port."""
    one = Receiver()
    app = web.Application()
    app.router.add_post("/hook", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = site._server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        await runner.cleanup()


class Counter:
    """A socket that counts who connects, and says nothing."""

    def __init__(self):
        self.connections = 0

    async def met(self, reader, writer):
        self.connections += 1
        await asyncio.sleep(0.05)
        writer.close()


@asynccontextmanager
async def counting(host="127.0.0.1"):
    """Listen on a forbidden address: (counter, port)."""
    one = Counter()
    server = await asyncio.start_server(one.met, host, 0)
    try:
        yield one, server.sockets[0].getsockname()[1]
    finally:
        server.close()
