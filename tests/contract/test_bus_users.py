"""What a service may do at the broker of messages: say its own events, hear by its own consumer."""

import asyncio
from uuid import uuid4

import nats
import pytest

from merkato.chassis import bus, ear
from merkato.config import SERVICES

SOURCES = (*SERVICES, "external")
API = "$JS.API"
FORBIDDEN = [  # (who, what is published)
    ("inventory", "orders.order_placed.v1.3"),  # what another says
    ("orders", "payments.payment_captured.v1.0"),
    ("broker", "orders.order_confirmed.v1.1"),
    ("gateway", "orders.order_placed.v1.3"),
    ("inventory", "_WAKE.orders.access"),  # bells of another
    ("inventory", "_INBOX_orders.answer"),  # an answer that another waits for
    ("inventory", f"{API}.CONSUMER.DELETE.{bus.STREAM}.orders"),
    ("inventory", f"{API}.CONSUMER.MSG.NEXT.{bus.STREAM}.orders"),  # takes what another hears
    ("inventory", f"{API}.CONSUMER.DURABLE.CREATE.{bus.STREAM}.orders"),
    ("inventory", f"{API}.CONSUMER.CREATE.{bus.STREAM}.new"),
    ("inventory", f"{API}.CONSUMER.CREATE.{bus.STREAM}.new.users.>"),
    ("inventory", f"{API}.CONSUMER.NAMES.{bus.STREAM}"),
    ("inventory", f"$JS.ACK.{bus.STREAM}.orders.1.9.9.1.0"),  # acknowledges for another
    ("broker", f"{API}.CONSUMER.MSG.NEXT.{bus.STREAM}.users"),
    ("broker", f"{API}.DIRECT.GET.{bus.STREAM}.users.password_reset_requested.v1.1"),
    ("broker", f"{API}.STREAM.DELETE.{bus.STREAM}"),
    ("broker", f"{API}.STREAM.PURGE.{bus.STREAM}"),
    ("broker", f"{API}.STREAM.MSG.DELETE.{bus.STREAM}"),
    ("broker", f"{API}.STREAM.CREATE.MINE"),
    ("broker", f"{API}.STREAM.SNAPSHOT.{bus.STREAM}"),
    ("broker", f"{API}.STREAM.NAMES"),
    ("gateway", f"{API}.STREAM.INFO.{bus.STREAM}"),
]
HIDDEN = [">", "*.>", "users.>", "users.password_reset_requested.v1.*", "$JS.>", "_INBOX.>",
          "_INBOX_orders.>", "_WAKE.orders.>", "$SYS.>"]  # fmt: skip


@pytest.fixture
def known(nats_urls, nats_url):
    """URLs by user, the gateway's among them."""
    return nats_urls | {"admin": nats_url}


async def refusals(url, act):
    """What the server refused while `act(client)` was done."""
    told = []

    async def on_error(error):
        told.append(str(error))

    client = await nats.connect(url, error_cb=on_error, inbox_prefix="_INBOX_of_a_test")
    try:
        await act(client)
        await client.flush()
        await asyncio.sleep(0.05)
    finally:
        await client.close()
    return [one for one in told if "permissions violation" in one.lower()]


@pytest.mark.parametrize(("who", "subject"), FORBIDDEN)
async def test_what_is_not_its_own_is_refused_to_a_service(known, who, subject):
    refused = await refusals(known[who], lambda client: client.publish(subject, b"{}"))
    assert len(refused) == 1
    assert subject.lower() in refused[0].lower()


@pytest.mark.parametrize("who", [*SERVICES, "gateway"])
async def test_nobody_listens_to_what_others_say(known, who):
    async def listen(client):
        for subject in HIDDEN:
            if who not in subject:
                await client.subscribe(subject)

    refused = await refusals(known[who], listen)
    assert len(refused) == sum(who not in subject for subject in HIDDEN)


@pytest.mark.parametrize("who", SERVICES)
async def test_a_service_says_and_hears_what_is_its_own(known, who):
    kind = f"{who}.test_{uuid4().hex[:12]}.v1"
    async with bus.connected(known[who], who, SOURCES) as own:
        sent = [bus.Message(id=uuid4().hex, type=kind, key=f"{n}", body=b"1") for n in range(5)]
        await own.stream()
        stored = (await own.publish(sent)).stream_seqs
        assert await own.message_id(stored[0]) == sent[0].id
        got = []
        async with ear.hearing(own, who, [kind]) as opened, asyncio.timeout(20):
            while len(got) < len(sent):
                got += (batch := await opened.next_batch())
                if batch:
                    await opened.acknowledge(batch)
        assert [one.message_id for one in got] == [one.id for one in sent]
    other = next(name for name in SERVICES if name != who)
    async with bus.connected(known[other], other, SOURCES) as alien:
        with pytest.raises(bus.Lost):
            await alien.publish(sent[:1])
