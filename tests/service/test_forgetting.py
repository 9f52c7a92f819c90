"""Forgetting people, in one service: what it keeps, what it said, could not hear, and answered."""

import contextlib
from uuid import uuid4

import harness
import msgspec
import pytest
from notifications_mailroom import Mailroom, order, shop
from service.orders_desk import PERSON, TOKEN, Inventory, Payments, about, opened, place, wish

from merkato.chassis import forgetting
from merkato.contracts.orders import OrderErased, OrderPlaced
from merkato.contracts.payments import PaymentAuthorised, PaymentDeclined
from merkato.contracts.users import UserErased
from merkato.contracts.values import Contact
from merkato.topology import services

CANARY = "canary"
ADDRESS = {
    "name": "Canary Ada", "company": "Canary & Co", "lines": ["1 Canary Row"], "city": "Canary Bay",
    "postal_code": "CANARY", "country": "DE", "phone": "+49 canary", "tax_id": "DE-canary",
}  # fmt: skip
WISH = wish(
    contact={"email": "Canary.Ada@example.org", "name": "Canary Ada", "phone": "+49 canary"},
    shipping_address=ADDRESS, billing_address=ADDRESS, metadata={"gift": "for canary"},
)  # fmt: skip


@pytest.fixture
async def mailroom():
    room = Mailroom()
    await room.open()
    yield room
    await room.close()


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        yield alone


async def mentions(alone, word=CANARY):
    """Name the tables of a service that hold a word, as text or bytes."""
    tables = await alone.fetch("select tablename from pg_tables where schemaname = 'public'")
    found = []
    for table in (row["tablename"] for row in tables):
        rows = await alone.fetch(f'select t::text as row from "{table}" t')
        text = "\n".join(row["row"].lower() for row in rows)
        if word in text or word.encode().hex() in text or word.title().encode().hex() in text:
            found.append(table)
    return found


async def cancel(orders, order_id):
    path = f"/api/v1/orders/{order_id}/cancellation"
    staff = harness.user_token(role="staff")
    for token in (TOKEN, staff):
        body = {"reason": "Canary changed her mind"}
        answer = await orders.request("POST", path, body, token=token, key=uuid4().hex)
        assert answer.status == 200, answer


async def sent_back(orders, order_id):
    await orders.hear(PaymentAuthorised(**about(order_id), method="on_account"))
    staff, path = harness.user_token(role="staff"), f"/api/v1/orders/{order_id}"
    parcel = {"carrier": "DHL", "tracking": "JD0146"}
    key = uuid4().hex
    shipped = await orders.request("POST", f"{path}/shipments", parcel, token=staff, key=key)
    assert shipped.status == 201, shipped
    back = {"lines": [{"line_no": 1, "quantity": 1}], "note": "Canary finds it too blue."}
    asked = await orders.request("POST", f"{path}/returns", back, token=TOKEN, key=uuid4().hex)
    assert asked.status == 201, asked


async def test_a_user_is_forgotten_with_orders_carts_events_and_answers(orders):
    placed = (await place(orders, WISH)).json()
    other = (await place(orders, token=harness.user_token())).json()
    cart = await orders.request("POST", "/api/v1/carts", {"currency": "EUR"}, token=TOKEN)
    details = {"contact": WISH["contact"], "shipping_address": ADDRESS}
    path = f"/api/v1/carts/{cart.json()['id']}"
    assert (await orders.request("PATCH", path, details, token=TOKEN)).status == 200
    await cancel(orders, placed["id"])
    await sent_back(orders, (await place(orders, WISH)).json()["id"])
    before = set(await mentions(orders))
    assert before >= {
        "orders",
        "order_contacts",
        "carts",
        "timeline",
        "returns",
        "outbox",
        "answers",
    }
    for _ in range(2):
        await orders.hear(UserErased(user_id=PERSON))
        await orders.forget()
        assert await mentions(orders) == []
    staff = harness.user_token(role="staff")
    kept = await orders.request("GET", f"/api/v1/orders/{placed['id']}", token=staff)
    assert kept.json()["contact"] is None
    assert kept.json()["totals"]["grand_minor"] == placed["totals"]["grand_minor"]
    steps = await orders.fetch("select what from timeline where order_id = $1", placed["id"])
    assert [row["what"] for row in steps] == ["placed", "cancelled"]
    neighbour = await orders.request("GET", f"/api/v1/orders/{other['id']}", token=staff)
    assert neighbour.json()["contact"]["email"] == "a@example.org"
    assert len(await orders.said(OrderPlaced)) == 3, "what was said can still be read"


async def test_what_a_request_on_its_way_adds_later_is_forgotten_too(orders):
    await orders.hear(UserErased(user_id=PERSON))
    await orders.service.forget_due(orders.resources)
    await place(orders, WISH)  # its token was good when it began
    assert "order_contacts" in await mentions(orders)
    [row] = await orders.fetch("select rounds, next_at from forgotten")
    assert row["rounds"] == 1
    assert row["next_at"] is not None
    await orders.forget()
    assert await mentions(orders) == []
    rows = await orders.fetch("select next_at from forgotten")
    assert [row["next_at"] for row in rows] == [None]


async def test_what_is_not_published_yet_keeps_what_its_hearers_need(orders):
    body = WISH | {"payment": {"method": "card", "token": "pm_secret"}}
    await place(orders, body)
    await orders.hear(UserErased(user_id=PERSON))
    [event] = await orders.said(OrderPlaced)
    assert event.payment_token == "pm_secret"
    await orders.forget()
    [event] = await orders.said(OrderPlaced)
    assert (event.payment_token, event.contact) == (None, None)


async def test_guests_are_forgotten_by_order_or_by_address(orders):
    admin, staff = harness.user_token(role="admin"), harness.user_token(role="staff")
    path = "/api/v1/orders/erasures"
    mine = (await place(orders, WISH)).json()
    guests = [(await guest_orders(orders)) for _ in range(3)]
    for body in ({}, {"order_id": guests[0], "email": "a@b.example"}, {"email": "no address"}):
        assert (await orders.request("POST", path, body, token=admin)).status == 422
    one = {"order_id": guests[0]}
    assert (await orders.request("POST", path, one, token=staff)).status == 403
    unknown = {"order_id": str(uuid4())}
    assert (await orders.request("POST", path, unknown, token=admin)).status == 404
    done = await orders.request("POST", path, one, token=admin)
    assert (done.status, done.json()) == (200, {"erased": 1, "of_accounts": 0})
    everything = {"email": "canary.ADA@example.org"}
    done = await orders.request("POST", path, everything, token=admin)
    assert done.json() == {"erased": 2, "of_accounts": 1}
    done = await orders.request("POST", path, everything, token=admin)
    assert done.json() == {"erased": 0, "of_accounts": 1}
    assert {str(e.order_id) for e in await orders.said(OrderErased)} == set(guests)
    await orders.forget()
    rows = await orders.fetch("select order_id, contact from order_contacts")
    assert {str(row["order_id"]) for row in rows if row["contact"]} == {mine["id"]}
    again = {"order_id": mine["id"]}
    assert (await orders.request("POST", path, again, token=admin)).status == 200
    await orders.forget()
    assert await mentions(orders) == []


async def guest_orders(orders):
    made = (await orders.request("POST", "/api/v1/carts", {"currency": "EUR"})).json()
    path, headers = f"/api/v1/carts/{made['id']}", {"x-cart-token": made["token"]}
    line = {"sku": "A", "quantity": 1}
    await orders.request("POST", f"{path}/lines", line, headers=headers, key=uuid4().hex)
    body = {name: value for name, value in WISH.items() if name != "lines"}
    answer = await orders.request(
        "POST", "/api/v1/orders", body | {"cart_id": made["id"]}, headers=headers, key=uuid4().hex
    )
    assert answer.status == 202, answer
    return answer.json()["id"]


async def test_events_set_aside_are_blanked_and_still_go_on(new_database, mailroom):
    contact = Contact(email="canary@example.org", name="Canary Ada")
    async with shop(new_database, mailroom) as alone:
        placed = order(OrderPlaced, customer_id=PERSON)
        early = PaymentDeclined(
            order_id=placed.order_id, payment_id=uuid4(), amount_minor=1, currency="EUR",
            attempt=1, reason="x",
        )  # fmt: skip
        behind = order(order_id=placed.order_id, customer_id=PERSON, contact=contact)
        guests = order(contact=contact)
        waits = msgspec.structs.replace(early, order_id=guests.order_id)
        await alone.hear(early, behind, waits, guests)
        put = """insert into set_aside (event_id, type, key, stream_seq, message, reason, state)
                 values ($1, 'unknown.thing.v1', 'k', 1, $2, 'ValueError(''x'')', 'dead')"""
        async with alone.db.transaction() as tx:
            await tx.execute(put, uuid4(), f'{{"canary of": "{PERSON}"')
            await tx.execute(put, uuid4(), '{"about": "somebody else"}')
        assert await mentions(alone) == ["set_aside"]
        await alone.hear(UserErased(user_id=PERSON), OrderErased(order_id=guests.order_id))
        assert await mentions(alone) == []
        kept = [row["message"] for row in await alone.dead()]
        assert '{"about": "somebody else"}' in kept
        assert "" in kept, "what cannot be read is blanked whole"
        await alone.hear(placed, order(OrderPlaced, order_id=guests.order_id, contact=None))
        async with alone.db.transaction() as tx:
            seen = "insert into orders_seen values ($1, 'N', null, 'en', 'EUR', 1, null, null)"
            for event in (placed, guests):
                await tx.execute(seen, event.order_id)
            await tx.execute("update set_aside set next_try_at = now()")
        await alone.inbox.retry_set_aside(alone.db)
        assert [row["type"] for row in await alone.dead()] == ["unknown.thing.v1"] * 2
        assert not any(row["recipient"] == "canary@example.org" for row in await told(alone))


async def told(alone):
    return await alone.fetch("select * from messages")


def test_a_blanked_event_can_be_read():
    from merkato import config

    for service in services(config.Config(here=("gateway",))).values():
        for kind in service.says:
            text = forgetting.blank(kind)
            if text is not None:
                blank = msgspec.json.decode(text)
                assert blank.keys() == kind.hidden_fields()
                hints = {f.name: f.type for f in msgspec.structs.fields(kind)}
                for name, value in blank.items():
                    msgspec.convert(value, hints[name])


async def test_a_thousand_ids_are_found_in_thousands_of_answers_and_letters(orders):
    ids = [uuid4() for _ in range(2_000)]
    fill = "(select string_agg(md5(random()::text || n || x), '') from generate_series(1, 64) x)"
    async with orders.db.transaction() as tx:
        await tx.execute(
            f"""insert into answers (principal, route, key, fingerprint, status, headers, body)
                select 'user:x', 'POST /', n::text, '', 200, '{{}}', {fill}::bytea || '\\x00ff5c'
                  from generate_series(1, 2000) n"""
        )
        mine = "update answers set body = body || convert_to($1, 'UTF8') where key = '7'"
        await tx.execute(mine, f'{{"order":"a{ids[-1]}"}}')
        await tx.execute(
            f"""insert into set_aside (event_id, type, key, stream_seq, message, reason, state)
                select gen_random_uuid(), 'unknown.thing.v1', n::text, n, {fill}, 'e', 'dead'
                  from generate_series(1, 1000) n"""
        )
        await tx.execute(
            "update set_aside set message = message || $1 where stream_seq = 7", f" {ids[-2]} "
        )
        await forgetting.note(tx, [PERSON], [])

    async def all_of_them(*_):
        return ids

    assert await forgetting.forget_due(orders.db, all_of_them, (), ()) == 1
    left = await orders.fetch("select key from answers order by key::int")
    assert [row["key"] for row in left] == [str(n) for n in range(1, 2_001) if n != 7]
    blanked = await orders.fetch("select stream_seq from set_aside where message = ''")
    assert [row["stream_seq"] for row in blanked] == [7]


async def test_who_cannot_be_forgotten_keeps_nobody_waiting(orders):
    async def stumbles(_, users, __):
        if PERSON in users:
            raise ValueError("a bug")
        return ()

    others = [uuid4() for _ in range(25)]
    async with orders.db.transaction() as tx:
        await forgetting.note(tx, [PERSON], [])
    async with orders.db.transaction() as tx:
        await forgetting.note(tx, others, [])
    for _ in range(2):  # as the job is repeated, whatever came of it
        with contextlib.suppress(ExceptionGroup):
            await forgetting.forget_due(orders.db, stumbles, (), ())
    rows = await orders.fetch("select subject, rounds, next_at > now() as later from forgotten")
    assert {row["subject"] for row in rows if row["rounds"] == 1} == set(others)
    assert all(row["later"] for row in rows), "whoever failed is tried again, later"
