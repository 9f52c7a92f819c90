"""A service in another process: what its callers do wrong is not its failure."""

import pytest
from aiohttp import web

from merkato.chassis.edge import PayloadTooLarge, RequestTimeout, metered
from merkato.chassis.remote import FAILURES_MAX, remote
from merkato.contracts.problem import Malformed

PART = b"x" * 600_000


@pytest.fixture
async def elsewhere():
    """An app that forwards to a service which reads bodies whole, and answers 200."""

    async def read(request):
        await request.read()
        return web.json_response({})

    service = web.Application(client_max_size=2**30)
    service.router.add_route("*", "/{path:.*}", read)
    runner = web.AppRunner(service)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with remote(f"http://127.0.0.1:{runner.addresses[0][1]}") as app:
        yield app
    await runner.cleanup()


async def ask(app, parts, most=10_000_000, *, meter=True):
    """Send a body in parts, whose end is an empty one; give the status."""
    coming, statuses = iter(parts), []

    async def receive():
        part = next(coming, None)
        if isinstance(part, Exception):
            raise part
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/imports", "headers": [],
        "raw_path": b"/api/v1/imports", "query_string": b"",
    }  # fmt: skip
    await app(scope, metered(receive, most) if meter else receive, send)
    [status] = statuses
    return status


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        ([PART] * 8 + [b""], PayloadTooLarge),
        ([PART] * 3, Malformed),  # the caller leaves
        ([PART] * 3 + [TimeoutError()], RequestTimeout),
    ],
)
async def test_a_body_that_breaks_off_is_its_callers_fault(elsewhere, parts, refusal):
    for _ in range(FAILURES_MAX + 1):
        with pytest.raises(refusal):
            await ask(elsewhere, parts, 2_000_000)
    assert await ask(elsewhere, [PART, PART, PART, b""]) == 200
    with pytest.raises(Malformed):
        await ask(elsewhere, [PART] * 3, meter=False)
