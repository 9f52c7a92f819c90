"""nginx at the door of a shop with a process per service, two of some: bought in like any other."""

import asyncio
import contextlib
import itertools
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio
import shopping
from breaking import lawful
from e2e.test_buying import (  # noqa: F401 - collected here too, against this file's shop
    test_a_guest_buys_a_cart_and_is_told_by_mail,
    test_a_guests_cart_is_poured_into_the_members,
    test_a_member_buys_lines_and_finds_the_order_in_the_list,
    test_all_lines_or_none_are_held,
    test_cancelling_gives_the_goods_back_once,
    test_fifty_parallel_adds_lose_nothing,
)
from e2e.test_cards import test_an_approved_card_is_charged_once  # noqa: F401
from e2e.test_events import Reader
from e2e.test_front_door import (  # noqa: F401
    test_a_request_keeps_its_id,
    test_answers_are_safe_and_private,
    test_bodies_end_where_they_must,
    test_claims_about_oneself_are_not_believed,
    test_crooked_paths_lead_nowhere,
    test_what_is_not_ready_is_told_in_one_place,
)
from e2e.test_once import (  # noqa: F401
    test_the_same_key_fifty_times_at_once_is_one_order,
    test_the_same_key_with_another_body_is_refused,
)
from harness import eventually
from shopping import new_key, removed

from merkato.chassis.engines import ports

TWICE = ("orders", "catalog")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(
    not Path(NGINX).exists(), reason="no nginx here (Debian package nginx)"
)


async def replica(shop, name):
    """Start a second process of a service: (process, URL)."""
    settings = msgspec.json.decode((shop.home / f"run/{name}.json").read_bytes())
    settings["port"] = ports.pick()
    file = shop.home / f"run/{name}-2.json"
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(settings))
    words = (sys.executable, "-m", "merkato", "serve", "--config", str(file))
    log = (shop.home / f"logs/{name}-2.log").open("wb")
    process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{settings['port']}"

    async def ready():
        with contextlib.suppress(aiohttp.ClientError):
            return (await shop("GET", f"{url}/readyz")).status == 200

    await eventually(ready, seconds=60)
    return process, url


async def ended(process):
    if process.returncode is None:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(scope="module")
async def shop():
    """A shop behind nginx; `shop.replicas`: the second processes."""
    home = Path(tempfile.mkdtemp(prefix="merkato-nginx-"))
    async with shopping.open_shop(home, each=True) as shop, contextlib.AsyncExitStack() as stack:
        shop.replicas, also = {}, []
        for name in TWICE:
            process, url = await replica(shop, name)
            stack.push_async_callback(ended, process)
            shop.replicas[name] = process
            also += ["--also", f"{name}={url}"]
        front = ports.pick()
        (home / "nginx").mkdir()
        await asyncio.to_thread(home.chmod, 0o711)  # started by root, nginx works as somebody else
        words = ("--config", str(home / "run/gateway.json"), "--listen", f"127.0.0.1:{front}")
        made = await asyncio.to_thread(
            shop.command, "nginx", *words, "--folder", str(home / "nginx"), *also
        )
        file = home / "nginx/nginx.conf"
        file.write_text(made)
        checked = await asyncio.create_subprocess_exec(NGINX, "-t", "-q", "-c", str(file))
        assert await checked.wait() == 0
        process = await asyncio.create_subprocess_exec(
            NGINX, "-c", str(file), "-g", "daemon off;",
            stderr=(home / "logs/nginx.log").open("wb"),
        )  # fmt: skip
        stack.push_async_callback(ended, process)
        shop.port, shop.base_url = front, f"http://127.0.0.1:{front}"

        async def answers():
            with contextlib.suppress(aiohttp.ClientError):
                return (await shop("GET", "/readyz")).status == 200

        await eventually(answers)
        yield shop
        await lawful(shop)
    removed(home)


async def test_routes_for_services_are_not_there(shop):
    for path in ("/api/v1/reservations/x", "/api/v1/orders/x/state", "/metrics"):
        answer = await shop("GET", path, token=shop.admin)
        assert answer.status == 404 or path == "/metrics", answer


async def count(shop, topic):
    """Publish 1, 2, 3 … of one key, for ever."""
    path, schema = f"/api/v1/topics/{topic}/events", {"type": "object"}
    await shop.ok("POST", "/api/v1/topics", {"name": topic, "schema": schema}, token=shop.admin)
    kind = {"content-type": "application/cloudevents+json"}
    for n in itertools.count(1):
        event = {
            "specversion": "1.0", "id": str(n), "source": "/counter", "type": f"{topic}.v1",
            "subject": "one", "data": {"n": n},
        }  # fmt: skip
        await shop.ok("POST", path, event, token=shop.admin, key=new_key(), headers=kind)
        await asyncio.sleep(0.02)


async def has_read(reader, more):
    wanted = len(reader.events) + more

    async def enough():
        return len(reader.events) >= wanted

    await eventually(enough, seconds=60)


async def test_streams_of_two_brokers_have_no_gap_and_no_copy(shop):
    process, url = await replica(shop, "broker")
    here = msgspec.json.decode((shop.home / "run/broker.json").read_bytes())["port"]
    there, topic = int(url.rpartition(":")[2]), f"test.counted_{new_key()[:8]}"
    counting, seen = asyncio.create_task(count(shop, topic)), ([], [])

    async def is_known():
        return (await shop("GET", f"/api/v1/topics/{topic}", token=shop.admin)).status == 200

    await eventually(is_known)
    try:
        for places in ((here, there), (there, here), (here, here)):
            last = [events[-1]["cursor"] if events else None for events in seen]
            readers = [
                Reader(shop, f"topic={topic}", behind, port=port)
                for behind, port in zip(last, places, strict=True)
            ]
            async with readers[0], readers[1]:
                await asyncio.gather(*(has_read(one, 20) for one in readers))
                if places == (there, here):
                    process.kill()  # under its reader
                    await asyncio.gather(readers[0].task, return_exceptions=True)
                    await has_read(readers[1], 20)
            for events, reader in zip(seen, readers, strict=True):
                events.extend(reader.events)
    finally:
        counting.cancel()
        await ended(process)
    for events in seen:
        read = [event["data"]["n"] for event in events]
        assert len(read) >= 60
        assert read == list(range(read[0], read[0] + len(read)))


async def test_a_killed_replica_costs_nothing_to_who_tries_once_more(shop):
    sku = await shop.sell(stock=1_000)
    email, token = await shop.member()
    failed, placed = [], []

    async def once_more(*words, **more):
        answer = None
        for _ in range(2):
            with contextlib.suppress(aiohttp.ClientError):
                answer = await shop(*words, **more)
                if answer.status < 500:
                    return answer
                await asyncio.sleep(int(answer.headers["retry-after"]))
        failed.append((words[:2], answer))
        return answer

    async def buy(n):
        await asyncio.sleep(n * 0.02)
        body = shop.order_of({sku: 1}, email)
        answer = await once_more("POST", "/api/v1/orders", body, token=token, key=new_key())
        if answer is not None and answer.status == 202:
            placed.append(answer.json()["id"])

    async def look(n):
        await asyncio.sleep(n * 0.02)
        await once_more("GET", "/api/v1/products?limit=2")

    async def kill():
        await asyncio.sleep(0.5)
        for process in shop.replicas.values():
            process.send_signal(signal.SIGKILL)

    await asyncio.gather(kill(), *(buy(n) for n in range(60)), *(look(n) for n in range(60)))
    assert failed == []
    assert len(set(placed)) == len(placed) > 15  # one customer may have so many holds at a time
    for order in placed:
        await shop.until(order)
