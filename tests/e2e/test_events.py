"""The log and its topics in a running shop: an order's events are read, streamed and resumed."""

import asyncio
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from harness import eventually
from shopping import new_key

EVENTS = "/api/v1/events"
COUNTED = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "counted": {"type": "integer"}},
    "required": ["sku", "counted"],
}


async def bought(shop):
    """Buy something and give the order's id."""
    email, token = await shop.member()
    answer = await shop.place(shop.order_of({await shop.sell(): 1}, email), token=token)
    assert answer.status == 202, answer
    return answer.json()["id"]


async def story(shop, order_id):
    """The types of what the log tells of an order."""
    answer = await shop("GET", f"{EVENTS}?key={order_id}", token=shop.admin)
    assert answer.status == 200, answer
    return [one["type"].split(".")[1] for one in answer.json()["items"]]


async def test_the_log_tells_of_an_order_without_its_customer(shop):
    order_id = await bought(shop)

    async def confirmed():
        told = await story(shop, order_id)
        return told if "order_confirmed" in told else None

    told = await eventually(confirmed)
    assert told[0] == "order_placed"
    assert len(set(told)) == len(told)
    raw = await shop("GET", f"{EVENTS}?key={order_id}", token=shop.admin)
    for hidden in (b"contact", b"address", b"@", b"payment_token"):
        assert hidden not in raw.body


class Reader:
    """Reads a stream of events as a browser would."""

    def __init__(self, shop, query="", last=None, *, token=None, port=None):
        self.url = f"http://127.0.0.1:{port or shop.port}{EVENTS}/stream?{query}"
        self.headers = {"authorization": f"Bearer {token or shop.admin}"}
        if last:
            self.headers["last-event-id"] = last
        self.events = []

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        self.answer = await self.session.get(self.url, headers=self.headers)
        assert self.answer.status == 200
        self.task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        self.answer.close()
        await self.session.close()

    async def _read(self):
        cursor = None
        async for line in self.answer.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                cursor = value
            elif name == "data":
                event = msgspec.json.decode(value)
                assert event["cursor"] == cursor
                self.events.append(event)

    async def until(self, check):
        async def found():
            return any(check(one) for one in self.events)

        await eventually(found)


async def test_a_stream_goes_on_where_it_broke_off(shop):
    topics = "topic=orders.order_placed&topic=orders.order_confirmed"
    async with Reader(shop, topics) as reader:
        first = await bought(shop)
        await reader.until(
            lambda e: (e["type"], e["subject"]) == ("orders.order_confirmed.v1", first)
        )
        last = reader.events[-1]["cursor"]
    second = await bought(shop)
    async with Reader(shop, topics, last) as again:
        await again.until(
            lambda e: (e["type"], e["subject"]) == ("orders.order_confirmed.v1", second)
        )
    cursors = [one["cursor"] for one in (*reader.events, *again.events)]
    assert len(set(cursors)) == len(cursors)
    mine = [one["type"] for one in again.events if one["subject"] == second]
    assert mine == ["orders.order_placed.v1", "orders.order_confirmed.v1"]


async def test_others_publish_and_everybody_reads(shop):
    name = f"erp.counted_{uuid4().hex[:8]}"
    made = await shop("POST", "/api/v1/topics", {"name": name, "schema": COUNTED}, token=shop.admin)
    assert made.status == 201, made
    event = {
        "specversion": "1.0", "id": "1", "source": "/erp", "type": f"{name}.v1", "subject": "MUG",
        "data": {"sku": "MUG", "counted": 3},
    }  # fmt: skip
    body = msgspec.json.encode(event)
    async with Reader(shop, f"topic={name}") as reader:
        sent = await shop(
            "POST", f"/api/v1/topics/{name}/events", body, token=shop.admin, key=new_key(),
            headers={"content-type": "application/cloudevents+json"},
        )  # fmt: skip
        assert sent.status == 202, sent
        await reader.until(lambda e: e["id"] == "1")
    shown = reader.events[0]
    assert {name: shown[name] for name in event} == event


@pytest.mark.parametrize("begin", ["after=x", "topic=nothing.at_all"])
async def test_a_stream_that_cannot_begin_says_why(shop, begin):
    answer = await shop("GET", f"{EVENTS}/stream?{begin}", token=shop.admin)
    assert answer.status == 422
