"""Messages to telephones, handed to the stand-in gateway as to any: signed, once, until taken."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp
import harness
import pytest
import uvicorn
from notifications_mailroom import PATH, Mailroom, after_sale, due_now, order, shop
from service.test_outside_running import free_port

from merkato.config import MessageGateway
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.contracts.users import UserErased
from merkato.contracts.values import Contact
from merkato.outside.asgi import App
from merkato.outside.gateway.http import Gateway as StandIn

SECRET = "whsec_" + "6f" * 24
PREFERENCES = "/api/v1/me/notification-preferences"
PHONE = "+49301234567"
ADA = Contact(email="ada@example.com", name="Ada", phone=PHONE)


class Telephones:
    """The stand-in gateway on a port of its own."""

    def __init__(self):
        self.url, self._server, self._task = f"http://127.0.0.1:{free_port()}", None, None

    async def open(self):
        standin = StandIn(SECRET)
        app = App(standin.routes(), settled=standin.settled)
        port = int(self.url.rsplit(":", 1)[1])
        settings = uvicorn.Config(app, port=port, lifespan="off", log_config=None)
        self._server = uvicorn.Server(settings)
        self._task = asyncio.create_task(self._server.serve())
        await harness.eventually(self._started)

    async def _started(self):
        return self._server.started

    async def close(self):
        self._server.should_exit = True
        await self._task

    async def call(self, method, path, body=None):
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, json=body) as answer,
        ):
            return answer.status, await answer.text()

    async def taken(self):
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/messages") as answer,
        ):
            return (await answer.json())["items"][::-1]


@pytest.fixture
async def telephones():
    gateway = Telephones()
    await gateway.open()
    yield gateway
    await gateway.close()


@asynccontextmanager
async def house(new_database, telephones, secret=SECRET, path="/messages"):
    mailroom = Mailroom()
    await mailroom.open()
    gateway = MessageGateway(url=telephones.url + path, secret=secret)
    both = {"sms": gateway, "push": gateway}
    async with shop(new_database, mailroom, gateways=both) as alone:
        yield alone
    await mailroom.close()


async def wants(alone, user, *channels):
    items = [{"kind": "order", "channel": one, "wanted": True} for one in channels]
    answer = await alone.request(
        "PUT", PREFERENCES, {"items": items}, token=harness.user_token(user),
        headers={"if-match": '"v0"'},
    )  # fmt: skip
    assert answer.status == 200, answer


async def soon(alone):
    """Let every pause be over, those of gateways that were away too."""
    await due_now(alone)
    for gateway in alone.service.jobs[1].job.args[1].values():
        gateway._closed_until = gateway._pause_s = 0.0


async def test_whoever_wants_it_is_told_on_the_telephone(new_database, telephones):
    async with house(new_database, telephones) as alone:
        me, other, order_id = uuid4(), uuid4(), uuid4()
        await wants(alone, me, "sms", "push")
        shipped = after_sale(order_id, me, contact=ADA)[0]
        await alone.hear(
            order(customer_id=me, contact=ADA, order_id=order_id), shipped,
            after_sale(uuid4(), other, contact=ADA)[0], after_sale(uuid4(), contact=ADA)[0],
        )  # fmt: skip
        assert await alone.run_job("gateways") == 2
        taken = {one["data"]["channel"]: one for one in await telephones.taken()}
        assert {name: one["data"]["to"] for name, one in taken.items()} == {
            "sms": PHONE, "push": str(me),
        }  # fmt: skip
        assert taken["sms"]["data"] == {
            "id": taken["sms"]["webhook_id"], "channel": "sms", "to": PHONE, "locale": "en",
            "kind": "order", "title": "Your order K7QM-2F9X-4 is on its way",
            "text": "DHL brings it, tracking number JD0146.",
            "url": f"https://shop.example/orders/{order_id}",
        }  # fmt: skip
        rows = await alone.fetch("select channel from messages where fact like '%.shipped'")
        mine = ["email", "inbox", "push", "sms"]
        assert sorted(row["channel"] for row in rows) == sorted([*mine, "email", "inbox", "email"])
        assert len(await alone.said(NotificationSent)) == 2
        status, shown = await telephones.call("GET", "/")
        assert status == 200
        assert "is on its way" in shown
        await alone.hear(UserErased(user_id=me))
        rows = await alone.fetch("select * from messages where customer_id = $1", me)
        assert PHONE not in repr([dict(row) for row in rows])
        assert await alone.fetch("select from orders_seen where phone is not null") == []


async def sms(alone, **more):
    body = {"channel": "sms", "recipient": PHONE, "subject": "Ready", "text": "Come.", **more}
    staff = harness.user_token(role="staff")
    answer = await alone.request("POST", PATH, body, token=staff)
    assert answer.status == 202, answer
    return answer.json()["id"]


async def test_a_message_whose_answer_was_lost_arrives_once(new_database, telephones):
    async with house(new_database, telephones) as alone:
        id = await sms(alone)
        await telephones.call("POST", "/api/faults", {"fault": "forget", "times": 2})
        for _ in range(3):
            await alone.run_job("gateways")
            await soon(alone)
        [one] = await telephones.taken()
        assert (one["webhook_id"], one["times"]) == (id, 3)
        [row] = await alone.fetch("select state, tries from messages")
        assert tuple(row) == ("sent", 3)
        staff = harness.user_token(role="staff")
        again = await alone.request("POST", f"{PATH}/{id}/resend", token=staff)
        assert again.status == 202
        await alone.run_job("gateways")
        assert [one["webhook_id"] for one in await telephones.taken()] == [id, f"{id}-2"]


async def test_refusals_end_it_and_pauses_are_kept(new_database, telephones):
    async with house(new_database, telephones) as alone:
        await sms(alone)
        await telephones.call("POST", "/api/faults", {"fault": "refuse", "code": 422})
        await alone.run_job("gateways")
        [failed] = await alone.said(NotificationFailed)
        assert (failed.channel, failed.reason) == ("sms", "refused: 422")
        await sms(alone)
        busy = {"fault": "refuse", "code": 429, "retry_after_s": 600}
        await telephones.call("POST", "/api/faults", busy)
        await alone.run_job("gateways")
        [row] = await alone.fetch("select due_at - now() > interval '590 s' as late from due")
        assert row["late"]
        assert await telephones.taken() == []


async def test_a_gateway_that_is_away_is_tried_later_and_no_message_is_to_blame(
    new_database, telephones
):
    async with house(new_database, telephones) as alone:
        await telephones.close()
        for n in range(20):
            await sms(alone, text=f"{n}")
        for _ in range(3):
            await alone.run_job("gateways")
            await soon(alone)
        rows = await alone.fetch("select distinct state from messages")
        assert [row["state"] for row in rows] == ["queued"]
        await telephones.open()
        await alone.run_job("gateways")
        assert len(await telephones.taken()) == 20


async def test_what_is_not_signed_by_us_is_not_taken(new_database, telephones):
    status, _ = await telephones.call("POST", "/messages", {"type": "x"})
    assert status == 401
    async with house(new_database, telephones, secret="whsec_" + "7a" * 24) as alone:
        await sms(alone)
        await alone.run_job("gateways")
        [failed] = await alone.said(NotificationFailed)
        assert failed.reason == "refused: 401"
    assert await telephones.taken() == []
    for url, secret in (("ftp://x", "s" * 24), ("https://x", "short")):
        with pytest.raises(ValueError, match=r"gateways\.sms"):
            async with shop(
                new_database, Mailroom(), gateways={"sms": MessageGateway(url=url, secret=secret)}
            ):
                pass
