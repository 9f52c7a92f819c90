"""The log: what is in it, in which order, and how it is read."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import harness
import msgspec
import pytest

from merkato import topology
from merkato.chassis.db import connected as db_connected
from merkato.config import Broker, Config
from merkato.contracts.inventory import StockChanged
from merkato.contracts.notifications import NotificationSent
from merkato.contracts.orders import OrderPlaced, Totals
from merkato.contracts.users import UserRegistered
from merkato.contracts.values import Address, Contact

ADMIN = harness.user_token(role="admin")
EVENTS = "/api/v1/events"
CANARY = "canary-7f3a"


def service(**settings):
    return topology.services(Config(here=("gateway",), broker=Broker(**settings)))["broker"]


@pytest.fixture
async def broker(new_database):
    async with harness.alone(service(), new_database) as alone:
        yield alone


def stock(n, sku="MUG"):
    return StockChanged(sku=sku, available=n, version=n)


async def read(broker, query="", **headers):
    return await broker.request("GET", f"{EVENTS}?{query}", token=ADMIN, headers=headers)


async def walked(broker, query=""):
    """All events behind a query, page after page."""
    found, cursor = [], None
    while True:
        page = (await read(broker, query + (f"&after={cursor}" if cursor else ""))).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_events_come_in_the_order_they_were_heard_as_cloudevents(broker):
    await broker.hear(*(stock(n) for n in range(1, 8)))
    await broker.hear(*(stock(n, "CUP") for n in range(1, 4)))
    found = await walked(broker, "limit=4")
    assert [(one["subject"], one["data"]["available"]) for one in found] == [
        *(("MUG", n) for n in range(1, 8)), *(("CUP", n) for n in range(1, 4)),
    ]  # fmt: skip
    first = found[0]
    assert {k: first[k] for k in ("specversion", "source", "type", "dataschema")} == {
        "specversion": "1.0",
        "source": "/merkato/inventory",
        "type": "inventory.stock_changed.v1",
        "dataschema": "/api/v1/topics/inventory.stock_changed.v1",
    }
    assert len({one["cursor"] for one in found}) == 10
    rest = await walked(broker, f"after={found[6]['cursor']}")
    assert [one["subject"] for one in rest] == ["CUP"] * 3


async def test_nothing_personal_or_secret_is_in_the_log(broker):
    placed = OrderPlaced(
        order_id=uuid4(), number="K7QM-2F9X-4", customer_id=uuid4(), lines=(), currency="EUR",
        totals=Totals(items_minor=0, shipping_minor=0, tax_minor=0, grand_minor=0),
        payment_method="card", placed_at=harness.now(), pay_until=harness.now(),
        contact=Contact(email=f"{CANARY}@example.org"), payment_token=CANARY,
        shipping_address=Address(
            name=CANARY, lines=(CANARY,), city=CANARY, postal_code="1", country="DE"
        ),
    )  # fmt: skip
    registered = UserRegistered(user_id=uuid4(), email=f"{CANARY}@example.org", name=CANARY)
    await broker.hear(placed, registered)
    found = await walked(broker)
    assert [one["data"].keys() for one in found] == [set(OrderPlaced.public), {"user_id"}]
    assert found[0]["data"]["number"] == "K7QM-2F9X-4"
    for table in ("log", "inbox", "set_aside", "outbox"):
        rows = await broker.fetch(f"select t::text from {table} t")
        assert not any(CANARY in row["t"] for row in rows), table


async def test_what_is_heard_twice_is_logged_once(broker):
    ids = [uuid4() for _ in range(5)]
    events = [stock(n) for n in range(5)]
    await broker.hear(*events, ids=ids)
    await broker.hear(*events[2:], stock(9), ids=[*ids[2:], uuid4()])
    assert [one["data"]["available"] for one in await walked(broker)] == [0, 1, 2, 3, 4, 9]


async def test_it_is_read_by_topic_key_and_time(broker):
    await broker.hear(stock(1), stock(2, "CUP"))
    sent = NotificationSent(notification_id=uuid4(), channel="email", template="order_placed")
    await broker.hear(sent, stock(3))

    def shown(found):
        return [one["data"].get("available", "sent") for one in found]

    assert shown(await walked(broker, "topic=notifications.notification_sent")) == ["sent"]
    both = "topic=notifications.notification_sent.v1&topic=inventory.stock_changed"
    assert shown(await walked(broker, both)) == [1, 2, "sent", 3]
    assert shown(await walked(broker, "key=MUG")) == [1, 3]
    assert shown(await walked(broker, "key=MUG&limit=1")) == [1, 3]
    assert shown(await walked(broker, "key=MUG&topic=notifications.notification_sent")) == []
    assert shown(await walked(broker, "limit=1&topic=inventory.stock_changed")) == [1, 2, 3]
    soon = (harness.now() + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
    past = (harness.now() - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    assert await walked(broker, f"since={soon}") == []
    assert len(await walked(broker, f"since={past}")) == 4
    assert await walked(broker, f"until={past}") == []
    assert len(await walked(broker, f"since={past}&until={soon}&limit=3")) == 4
    unknown = await read(broker, "topic=orders.nothing")
    assert (unknown.status, unknown.json()["errors"][0]["pointer"]) == (422, "/topic")
    assert (await read(broker, "topic=users.access_changed")).status == 422  # private


async def test_it_is_read_up_to_a_time_and_from_the_later_of_cursor_and_time(broker):
    await broker.hear(stock(1), stock(2, "CUP"))
    await asyncio.sleep(0.01)
    between = harness.now().isoformat().replace("+00:00", "Z")
    await broker.hear(stock(3), stock(4, "CUP"))

    async def shown(query):
        return [one["data"]["available"] for one in await walked(broker, query)]

    for filters in (
        "",
        "&limit=1",
        "&topic=inventory.stock_changed",
        "&limit=2&since=2020-01-01T00:00:00Z",
    ):
        assert await shown(f"until={between}{filters}") == [1, 2]
        assert await shown(f"since={between}{filters.partition('&since')[0]}") == [3, 4]
    assert await shown(f"key=CUP&until={between}") == [2]
    first, *_, last = await walked(broker)
    assert await shown(f"after={first['cursor']}&since={between}") == [3, 4]
    assert await shown(f"after={last['cursor']}&since={between}") == []
    for name in ("since", "until"):
        for time in ("1999-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "2026-01-01T00:00:00"):
            refused = await read(broker, f"{name}={time}")
            assert (refused.status, refused.json()["errors"][0]["pointer"]) == (422, f"/{name}")


async def test_a_filtered_page_looks_at_so_many_events_and_says_where_to_go_on(broker, monkeypatch):
    monkeypatch.setattr("merkato.broker.store.log.SCAN_MAX", 10)
    await broker.hear(*(stock(n) for n in range(25)))
    sent = NotificationSent(notification_id=uuid4(), channel="email", template="order_placed")
    await broker.hear(sent)
    query = "topic=notifications.notification_sent"
    page = (await read(broker, query)).json()
    assert page["items"] == []
    assert page["next_cursor"]
    assert len(await walked(broker, query)) == 1


async def test_it_comes_as_lines_and_as_a_batch(broker):
    await broker.hear(*(stock(n) for n in range(5)))
    lines = await read(broker, "limit=3", accept="application/x-ndjson")
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    events = [msgspec.json.decode(line) for line in lines.body.splitlines()]
    assert [one["data"]["available"] for one in events] == [0, 1, 2]
    rest = await read(
        broker, f"after={lines.headers['next-cursor']}", accept="application/x-ndjson"
    )
    assert len(rest.body.splitlines()) == 2
    assert "next-cursor" not in rest.headers
    batch = await read(broker, "", accept="application/cloudevents-batch+json")
    assert len(batch.json()) == 5
    assert (await read(broker, "", accept="text/html")).status == 406
    one = await broker.request("GET", f"{EVENTS}/{events[1]['cursor']}", token=ADMIN)
    assert one.json() == events[1]
    assert (await broker.request("GET", f"{EVENTS}/WzFd", token=ADMIN)).status == 404


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("", 60),
        ("topic=inventory.stock_changed", 60),
        ("key=MUG", 30),
        ("key=MUG&topic=inventory.stock_changed", 30),
        ("topic=inventory.stock_low", 0),
    ],
)
async def test_a_page_is_never_larger_than_its_limit_of_bytes(broker, monkeypatch, query, n):
    monkeypatch.setattr("merkato.broker.store.log.PAGE_MAX_BYTES", 1_000)
    await broker.hear(*(stock(n) for n in range(30)))
    await broker.hear(*(stock(n, "CUP") for n in range(30)))
    for limit in (30, 60, 100):
        page = await read(broker, f"limit={limit}&{query}")
        assert len(page.body) < 3_000
        assert len(await walked(broker, f"limit={limit}&{query}")) == n


async def test_only_who_may_reads_it(broker):
    assert (await broker.request("GET", EVENTS)).status == 401
    customer = harness.user_token()
    for path in (EVENTS, f"{EVENTS}/stream", f"{EVENTS}/WzFd", "/api/v1/topics"):
        assert (await broker.request("GET", path, token=customer)).status == 403


def entry(n):
    """A public event as the log keeps it."""
    event = {
        "specversion": "1.0", "id": str(uuid4()), "source": "/merkato/t", "type": "t.v1",
        "time": "2026-03-01T09:30:00Z", "datacontenttype": "application/json",
        "dataschema": "/api/v1/topics/t.v1", "data": {"n": n},
    }  # fmt: skip
    return msgspec.json.encode(event).decode()


async def test_several_writers_are_one_and_no_reader_misses_anything(broker):
    """Readers go on from the last event they saw while four writers append."""
    dsn, seen, done = broker.db._dsn, [], asyncio.Event()

    async def write(name):
        async with db_connected(dsn, pool_max=1) as db:
            for n in range(60):
                async with db.transaction() as tx:
                    await tx.execute(
                        "select append_to_log($1::uuid[], $2::text[], $3::text[], $4::text[])",
                        [uuid4()], ["t.v1"], [name], [entry(n)],
                    )  # fmt: skip
                    await asyncio.sleep(0)

    async def follow():
        cursor = ""
        while True:
            last = done.is_set()
            page = (await read(broker, f"limit=7{cursor}")).json()
            seen.extend(page["items"])
            if page["items"]:
                cursor = f"&after={page['items'][-1]['cursor']}"
            elif last:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(f"w{n}") for n in range(4)))
    done.set()
    await following
    assert len(seen) == 240
    assert len({one["cursor"] for one in seen}) == 240


async def test_positions_grow_even_when_the_clock_goes_back(broker):
    await broker.hear(stock(1))
    async with broker.db.transaction() as tx:
        await tx.execute("update log_head set position = position + (3600000::bigint << 20)")
    await broker.hear(stock(2), stock(3))
    assert [one["data"]["available"] for one in await walked(broker)] == [1, 2, 3]


PARTITIONS = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'log'::regclass order by 1
"""


async def test_days_are_partitions_made_in_time_and_dropped_when_old(broker):
    await broker.hear(stock(1))
    async with broker.db.transaction() as tx:  # 40 days ago: a partition, and an event in it
        await tx.execute("create table log_20200101 partition of log for values from (0) to (1000)")
        await tx.execute("insert into log values (7, $1, 't.v1', 'k', $2)", uuid4(), entry(1))
    assert len(await walked(broker)) == 2
    await broker.run_job("keep-log")
    assert len(await walked(broker)) == 1
    names = [row["relname"] for row in await broker.fetch(PARTITIONS)]
    today = datetime.now(UTC)
    wanted = {f"log_{today + timedelta(days=n):%Y%m%d}" for n in range(3)}
    assert wanted <= {*names}
    assert "log_20200101" not in names


async def test_a_log_that_was_asleep_for_a_year_goes_on(broker):
    async with broker.db.transaction() as tx:
        await tx.execute("update log_head set ready = 1, position = 1")
        for row in await broker.fetch(PARTITIONS):
            await tx.execute(f"drop table {row['relname']}")
    await broker.hear(stock(1))
    assert len(await walked(broker)) == 1
    assert len(await broker.fetch(PARTITIONS)) == 3


def test_a_log_must_keep_what_is_still_to_be_sent():
    with pytest.raises(ValueError, match="log_days"):
        service(log_days=3)
