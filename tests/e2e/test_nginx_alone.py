"""What nginx adds, counts and refuses by itself, before stand-ins that answer everything."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import web
from e2e import test_nginx
from e2e.test_nginx import NGINX, ended
from harness import eventually

from merkato import topology
from merkato.chassis.engines import ports
from merkato.config import SERVICES, Config, Gateway
from merkato.gateway.headers import READABLE, SAFE
from merkato.gateway.nginx import configuration

pytestmark = test_nginx.pytestmark
PARTNER = "https://partner.example"


def door(**settings):
    """Settings of the gateway behind which whoever asks says where they are."""
    return Gateway(unlimited=(), trusted_proxies=("127.0.0.0/8",), **settings)


@asynccontextmanager
async def asked(folder, settings):
    """Give a function that asks nginx; an answer is its status, fields and body."""
    front, back = ports.pick(), ports.pick()

    async def say(request):
        by = request.headers.get("x-by")  # as the gateway, which says more than a service
        more = {"content-security-policy": "its own", "ratelimit-policy": "its own"} if by else {}
        return web.json_response([request.method, request.path], headers=more)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", back).start()
    elsewhere = {name: f"http://127.0.0.1:{back}" for name in (*SERVICES, "gateway")}
    config = Config(here=("admin",), elsewhere=elsewhere, gateway=settings)
    await asyncio.to_thread(folder.chmod, 0o711)
    file, services = folder / "nginx.conf", topology.services(config)
    file.write_text(configuration(config, services, f"127.0.0.1:{front}", {}, str(folder)))
    process = await asyncio.create_subprocess_exec(NGINX, "-c", str(file), "-g", "daemon off;")
    async with aiohttp.ClientSession() as session:

        async def ask(path="/api/v1/products", method="GET", address="198.51.100.1", **fields):
            headers = {"x-forwarded-for": address}
            headers |= {name.replace("_", "-"): value for name, value in fields.items()}
            url = f"http://127.0.0.1:{front}{path}"
            async with session.request(method, url, headers=headers) as answer:
                return answer.status, answer.headers, await answer.read()

        async def starts():
            with contextlib.suppress(aiohttp.ClientError):
                return await ask(address="203.0.113.250")

        try:
            await eventually(starts)
            yield ask
        finally:
            await ended(process)
            await runner.cleanup()


async def statuses(ask, *addresses, **more):
    return [(await ask(address=one, **more))[0] for one in addresses]


async def test_an_address_of_version_6_counts_by_its_64(tmp_path):
    async with asked(tmp_path, door(address_per_s=0.02, address_burst=2)) as ask:
        of_one = [f"2001:db8:a00:7::{n:x}" for n in range(3)]
        assert await statuses(ask, *of_one) == [200] * 3
        far = "2001:db8:a00:7:ffff:ffff:ffff:ffff"
        assert await statuses(ask, far, "2001:db8:a00:8::1") == [429, 200]
        of_4 = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"]
        assert await statuses(ask, *of_4, "::ffff:192.0.2.2") == [200, 200, 200, 429, 200]


@pytest.mark.parametrize("name", ["authorization", "x_cart_token", "x_order_token"])
async def test_each_token_has_a_limit_wherever_it_comes_from(tmp_path, name):
    addresses = [f"192.0.2.{n}" for n in range(4)]
    prefix = f"Bearer {'e' * 300}." if name == "authorization" else ""
    async with asked(tmp_path, door(principal_per_s=0.02, principal_burst=2)) as ask:
        token = {name: prefix + "a" * 64}
        assert await statuses(ask, *addresses, **token) == [200, 200, 200, 429]
        status, fields, body = await ask(**token)
        assert (status, fields["retry-after"]) == (429, "50")
        assert fields["content-type"] == "application/problem+json"
        assert msgspec.json.decode(body)["type"] == "/problems/rate-limited"
        assert await statuses(ask, *addresses, **{name: prefix + "b" * 64}) == [200, 200, 200, 429]
        assert await statuses(ask, *addresses * 2) == [200] * 8
        if name == "authorization":  # what else is said makes no other caller
            assert await statuses(ask, *addresses, **token, x_cart_token="x") == [429] * 4


async def test_limits_are_told(tmp_path):
    settings = door(login_per_s=0.1, login_burst=2)
    usual = '"address";q=500;w=10, "principal";q=1000;w=10'
    async with asked(tmp_path, settings) as ask:
        for path, policy in (("/api/v1/products", usual), ("/docs", usual)):
            assert (await ask(path))[1].getall("ratelimit-policy") == [policy]
        said = (await ask("/docs", x_by="gateway"))[1]
        assert said.getall("ratelimit-policy") == ["its own"]
        for n in range(4):
            status, fields, _ = await ask("/api/v1/auth/token", "POST")
            assert fields.getall("ratelimit-policy") == [f'{usual}, "login";q=2;w=20']
            assert (status, fields.get("retry-after")) == ((200, None) if n < 3 else (429, "10"))
    ours = Gateway(unlimited=("127.0.0.0/8",))
    async with asked(tmp_path, ours) as ask:
        assert "ratelimit-policy" not in (await ask())[1]


async def test_answers_are_as_safe_as_at_the_gateway(tmp_path):
    async with asked(tmp_path, door(address_per_s=0.02, address_burst=2)) as ask:
        answers = [await ask(), await ask(), await ask(), await ask(), await ask("/x" * 20_000)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429, 414]
        for _, fields, _ in answers:
            for name, value in SAFE:
                assert fields.getall(name.decode()) == [value.decode()]
        _, fields, _ = await ask("/", address="192.0.2.1", x_by="gateway")
        assert fields.getall("content-security-policy") == ["its own"]
        assert "cross-origin-resource-policy" not in fields


async def test_pages_of_configured_origins_may_call(tmp_path):
    async with asked(tmp_path, door(cors_origins=(PARTNER,))) as ask:
        _, fields, _ = await ask(origin=PARTNER)
        assert fields.getall("access-control-allow-origin") == [PARTNER]
        assert fields.getall("access-control-expose-headers") == [READABLE.decode()]
        assert fields["vary"].lower() == "origin"
        _, evil, _ = await ask(origin="https://evil.example")
        assert "access-control-allow-origin" not in evil
        assert "access-control-expose-headers" not in evil
        _, page, _ = await ask("/", origin=PARTNER)  # the gateway speaks for itself
        assert "access-control-allow-origin" not in page
        preflight = {"origin": PARTNER, "access_control_request_method": "POST"}
        assert (await ask("/api/v1/carts", "OPTIONS", **preflight))[0] == 200
