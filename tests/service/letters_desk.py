"""Dead letters under test: inventory, which keeps some, and a broker that asks it."""

from contextlib import asynccontextmanager
from uuid import uuid4

import harness
import msgspec
from harness import answering

from merkato import topology
from merkato.chassis import ear, outbox
from merkato.config import SERVICES, Config
from merkato.contracts.orders import OrderCancelled, Totals
from merkato.contracts.values import Contact

PATH = "/api/v1/dead-letters"
CANARY = "canary-3c1e@merkato.example"
EMPTY = answering(200, {"items": [], "count": 0})
ROLE = {"read": harness.user_token(role="staff"), "admin": harness.user_token(role="admin")}
PLANT = """
insert into set_aside (event_id, type, key, stream_seq, message, reason, tries, state,
                       next_try_at, died_at)
values ($1, $2, $3, $4, $5, $6, 8, $7, clock_timestamp(),
        case $7 when 'dead' then clock_timestamp() end)
"""


def made(name):
    return topology.services(Config(here=("gateway",)))[name]


@asynccontextmanager
async def asking(new_database, keeper, **apps):
    """A broker that may ask inventory, and for all others asks what says that it has nothing."""
    known = dict.fromkeys(SERVICES, EMPTY) | {"inventory": keeper.request.app} | apps
    async with harness.alone(made("broker"), new_database, apps=known) as alone:
        yield alone


def cancelled(order_id, reason="customer"):
    return OrderCancelled(
        order_id=order_id, number="K7QM-2F9X-4", customer_id=None, lines=(), currency="EUR",
        totals=Totals(items_minor=0, shipping_minor=0, tax_minor=0, grand_minor=0),
        reason=reason, was_confirmed=False, contact=Contact(email=CANARY),
    )  # fmt: skip


def message_of(event, event_id):
    row = {
        "id": event_id, "type": event.type, "key": event.key, "sequence": 1, "cause": None,
        "request_id": None, "tries": 0, "hidden": None, "said_at": harness.now(),
        "body": msgspec.json.encode(event).decode(),
    }  # fmt: skip
    return outbox._message(row, "orders").body.decode()


async def plant(service, event, n=1, *, state="dead", message=None, key=None):
    """Set an event aside, as a service that failed on it would."""
    event_id = uuid4()
    async with service.db.transaction() as tx:
        await tx.execute(
            PLANT, event_id, event.type, key or event.key, n,
            message or message_of(event, event_id),
            f"ValueError('nothing for {CANARY}')", state,
        )  # fmt: skip
        await tx.execute("insert into inbox (event_id) values ($1)", event_id)
    return str(event_id)


async def ask(broker, method, path="", body=None, token=ROLE["read"], **more):
    answer = await broker.request(method, PATH + path, body, token=token, **more)
    assert CANARY.encode() not in answer.body, answer
    return answer


async def listed(broker, query=""):
    answer = await ask(broker, "GET", f"?{query}")
    assert answer.status == 200, answer
    return answer.json()["items"]


async def states(service):
    rows = await service.fetch("select event_id::text, state from set_aside")
    return {row["event_id"]: row["state"] for row in rows}


def heard(event, event_id, n, **change):
    """An event as the bus hands it over, with some fields changed to what they cannot be."""
    message = msgspec.json.decode(message_of(event, event_id))
    message["data"] |= change
    return ear.Incoming(str(event_id), event.type, n, msgspec.json.encode(message), "reply")
