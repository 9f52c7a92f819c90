"""The broker is interfered with by hand: what is missing is made again, copies do nothing."""

import asyncio

import nats
import pytest
from breaking import buying, healed, on_the_bus
from harness import eventually
from shopping import load

from merkato.chassis.bus import STREAM

SLOW = pytest.mark.slow


async def ask_broker(shop, subject, body=b""):
    """Ask JetStream's API as its administrator."""
    client = await nats.connect(shop.engines.nats_url)
    try:
        return (await client.request(f"$JS.API.{subject}", body, timeout=5)).data
    finally:
        await client.close()


@pytest.mark.parametrize("consumer", ["payments", pytest.param("inventory", marks=SLOW)])
async def test_a_lost_consumer_is_made_again(shop, consumer):
    async def fault():
        answer = await ask_broker(shop, f"CONSUMER.DELETE.{STREAM}.{consumer}")
        assert b'"success":true' in answer

    await buying(shop, fault)


async def test_a_deleted_stream_is_made_again_and_filled(shop):
    async def fault():
        answer = await ask_broker(shop, f"STREAM.DELETE.{STREAM}")
        assert b'"success":true' in answer

    await buying(shop, fault)
    assert shop.unanswered == []


async def test_every_event_again_changes_nothing(shop):
    members = await shop.members(10)
    tokens = [token for _, token in members]
    sku = await shop.sell(stock=100_000)
    stop = asyncio.Event()
    buyers = asyncio.create_task(load(shop, sku, tokens, stop, per_s=20))
    await asyncio.sleep(2)
    stop.set()
    sent = await buyers
    await healed(shop, sku, tokens, sent)
    before = await counts(shop)
    published = await everything_again(shop)
    assert published > 3 * len(sent)

    async def all_heard():
        return (await on_the_bus(shop))[1] == 0

    await eventually(all_heard, seconds=60)
    assert await counts(shop) == before
    await healed(shop, sku, tokens, sent)


async def everything_again(shop):
    """Publish each message of the stream a second time, without its Msg-Id; how many there were."""
    client = await nats.connect(shop.engines.nats_url)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info(STREAM)).state.last_seq
        messages = [await stream.get_msg(STREAM, seq) for seq in range(1, last + 1)]
        for message in messages:
            await client.publish(message.subject, message.data)
        await client.flush()
        return len(messages)
    finally:
        await client.close()


async def counts(shop):
    """How much of everything there is."""
    queries = [
        ("orders", "select count(*) from timeline"), ("orders", "select count(*) from outbox"),
        ("payments", "select count(*) from operations"),
        ("payments", "select count(*) from outbox"),
        ("inventory", "select count(*) from journal"),
        ("notifications", "select count(*) from messages"),
    ]  # fmt: skip
    return [(await shop.sql(service, query))[0][0] for service, query in queries]
