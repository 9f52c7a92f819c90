"""Processes that die, freeze or lose their disk while people buy: nothing is lost or done twice."""

import asyncio
import os
import signal

import asyncpg
import pytest
from breaking import buying, kill, kill_everything, ready, stopped, wipe_broker
from shopping import new_key


@pytest.mark.slow
async def test_the_shop_is_killed(shop):
    async def fault():
        kill(shop.pid("orders"))

    await buying(shop, fault)


@pytest.mark.slow
async def test_the_broker_is_killed(shop):
    async def fault():
        kill(shop.pid("nats"))

    await buying(shop, fault)
    assert shop.unanswered == []  # orders are accepted without a broker


async def down_for(shop, seconds, *, wiped=False, people=25):
    async def fault():
        async with stopped(shop, "nats"):
            if wiped:
                wipe_broker(shop)
            await asyncio.sleep(seconds)

    await buying(shop, fault, people=people)
    assert shop.unanswered == []  # orders are accepted without a broker


async def test_the_broker_is_gone_for_ten_seconds(shop):
    await down_for(shop, 10)


async def test_the_broker_comes_back_with_an_empty_disk(shop):
    await down_for(shop, 2, wiped=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_broker_is_gone_for_a_minute(shop):
    await down_for(shop, 60, people=120)


async def freeze(shop, name, seconds):
    async def fault():
        pid = shop.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    await buying(shop, fault, people=80)


@pytest.mark.slow
async def test_the_broker_freezes(shop):
    await freeze(shop, "nats", 30)
    assert shop.unanswered == []


@pytest.mark.slow
async def test_the_database_is_killed(shop):
    async def fault():
        kill(shop.pid("postgres"))

    await buying(shop, fault, after_s=4)


async def test_connections_to_the_database_are_cut_at_random(shop):
    async def fault(seconds=4):
        connection = await asyncpg.connect(shop.engines.admin_dsn)
        try:
            for _ in range(seconds * 5):
                await connection.fetch(CUT)
                await asyncio.sleep(0.2)
        finally:
            await connection.close()

    await buying(shop, fault)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_everything_is_killed_again_and_again(shop):
    for _ in range(5):
        await everything_killed(shop)


async def everything_killed(shop):
    async def fault():
        kill_everything(shop)
        await asyncio.sleep(0.3)
        await shop.up()

    await buying(shop, fault)


async def test_everything_is_killed(shop):
    await everything_killed(shop)


async def test_a_key_across_a_kill_is_one_order(shop):
    email, token = await shop.member()
    sku, key = await shop.sell(stock=10), new_key()
    body = shop.order_of({sku: 1}, email)
    first = (await shop.place(body, token=token, key=key)).json()
    kill(shop.pid("orders"))
    await asyncio.sleep(0.3)
    await ready(shop)
    again = await shop.place(body, token=token, key=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first["id"]
    body["lines"][0]["quantity"] = 2
    assert (await shop.place(body, token=token, key=key)).status == 422


CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
 where usename like 'merkato_%' order by random() limit 2
"""
