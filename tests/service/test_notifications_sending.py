"""Messages that others have us send, what people want to hear of, and mails that came back."""

import time
from uuid import uuid4

import harness
import msgspec
import pytest
from notifications_mailroom import PATH, Mailroom, after_sale, order, shop

from merkato.chassis.signatures import sign
from merkato.contracts.orders import OrderErased, OrderPlaced
from merkato.contracts.users import UserErased
from merkato.contracts.values import Contact

STAFF = harness.user_token(role="staff")
PREFERENCES = "/api/v1/me/notification-preferences"
TEXTS = "/api/v1/notification-templates"
SECRET = "whsec_" + "c2VjcmV0" * 4
NEWS = {
    "subject": "We open on Sunday",
    "text": "Come & <b>see</b>.\n\nWe are glad.",
    "locale": "de",
}


@pytest.fixture
async def mailroom():
    room = Mailroom()
    await room.open()
    yield room
    await room.close()


@pytest.fixture
async def alone(new_database, mailroom):
    async with shop(new_database, mailroom, bounce_secret=SECRET) as running:
        yield running


async def send(alone, body, token=STAFF, **more):
    return await alone.request("POST", PATH, body, token=token, **more)


async def test_staff_and_services_send_once_per_key(alone, mailroom):
    body = {**NEWS, "recipient": "ada@example.com", "dedup_key": "sunday-1"}
    first = await send(alone, body)
    assert (first.status, first.json()["state"]) == (202, "queued")
    service = harness.service_token("orders", "notifications")
    again = await send(alone, body, token=service)
    assert again.json()["id"] == first.json()["id"]
    assert (await send(alone, body, token=harness.user_token())).status == 403
    assert (await send(alone, body, token=None)).status == 401
    await alone.run_job("mail")
    again = await send(alone, body)
    assert again.json()["state"] == "sent"
    [(_, mail)] = mailroom.mails
    assert mail["Subject"] == "We open on Sunday"
    assert "Come & <b>see</b>." in mail.get_body(("plain",)).get_content()
    assert "Come &amp; &lt;b&gt;see&lt;/b&gt;." in mail.get_body(("html",)).get_content()
    key = uuid4().hex
    plain = {**NEWS, "recipient": "ada@example.com"}
    one, same = await send(alone, plain, key=key), await send(alone, plain, key=key)
    assert one.json()["id"] == same.json()["id"] != first.json()["id"]
    assert same.headers["idempotent-replayed"] == "true"


async def test_a_template_is_sent_with_data_that_fit_it(alone, mailroom):
    data = {"sku": "TEA-1", "available": 2, "threshold": 5}
    body = {"recipient": "b@example.com", "template": "stock_low", "data": data}
    assert (await send(alone, body)).status == 202
    await alone.run_job("mail")
    assert mailroom.mails[0][1]["Subject"] == "Low stock: TEA-1 (2 left)"
    for wrong in (
        body | {"data": {"sku": "TEA-1"}},
        body | {"template": "nothing"},
        body | {"template": "password_reset"},
        body | {"subject": "x"},
        body | {"recipient": "nobody"},
        body | {"recipient": None},
        body | {"channel": "sms", "recipient": "+4930123456"},
        body | {"channel": "inbox"},
        body | {"kind": "marketing"},
        body | {"dedup_key": "a b"},
        {"recipient": "b@example.com", "subject": "x"},
        {"recipient": "b@example.com", "template": "order_placed", "data": {"currency": []}},
        body | {"template": "order_placed", "data": {
            "order_id": "1", "number": "1", "name": "A", "currency": "EUR", "totals": 1,
            "lines": [1]}},
        body | {"template": "payment_refunded", "data": {
            "order_id": {}, "number": 1, "name": [], "currency": "EUR", "amount_minor": "x"}},
    ):  # fmt: skip
        refused = await send(alone, wrong)
        assert (refused.status, refused.json()["type"]) == (422, "/problems/validation"), wrong


async def test_nobody_gets_a_guests_link_by_having_us_write(new_database, mailroom):
    order_id = str(uuid4())
    orders = harness.answering(200, {"tokens": {order_id: "t0ken"}})
    async with shop(new_database, mailroom, apps={"orders": orders}) as alone:
        data = {"order_id": order_id, "number": "N", "name": None, "currency": "EUR",
                "amount_minor": 1}  # fmt: skip
        body = {"recipient": "eve@example.com", "template": "payment_refunded", "data": data}
        assert (await send(alone, body)).status == 202
        await alone.run_job("mail")
        [(_, mail)] = mailroom.mails
        text = mail.get_body(("plain",)).get_content()
        assert f"/orders/{order_id}\r\n" in text
        assert "token" not in text


async def test_people_choose_what_they_hear_of_but_not_what_an_order_needs(alone, mailroom):
    me = uuid4()
    token = harness.user_token(me)
    shown = await alone.request("GET", PREFERENCES, token=token)
    assert shown.headers["etag"] == '"v0"'
    assert shown.json()["items"] == [
        {"kind": "order", "channel": "email", "wanted": True, "fixed": True},
        {"kind": "order", "channel": "inbox", "wanted": True, "fixed": False},
        {"kind": "account", "channel": "email", "wanted": True, "fixed": True},
        {"kind": "marketing", "channel": "email", "wanted": False, "fixed": False},
        {"kind": "marketing", "channel": "inbox", "wanted": True, "fixed": False},
    ]

    async def choose(kind, channel, wanted, tag):
        body = {"items": [{"kind": kind, "channel": channel, "wanted": wanted}]}
        headers = {"if-match": tag} if tag else {}
        return await alone.request("PUT", PREFERENCES, body, token=token, headers=headers)

    assert (await choose("order", "inbox", False, None)).status == 428
    assert (await choose("order", "inbox", False, '"v7"')).status == 412
    assert (await choose("order", "email", False, '"v0"')).status == 422
    assert (await choose("account", "inbox", True, '"v0"')).status == 422
    chosen = await choose("order", "inbox", False, '"v0"')
    assert (chosen.status, chosen.headers["etag"]) == (200, '"v1"')
    assert (await choose("order", "inbox", True, '"v0"')).status == 412
    await alone.hear(order(customer_id=me), order(customer_id=uuid4()))
    rows = await alone.fetch("select channel, customer_id from messages")
    assert sorted(row["channel"] for row in rows if row["customer_id"] == me) == ["email"]
    assert len(rows) == 3
    promote = {**NEWS, "kind": "marketing", "customer_id": str(me), "recipient": "ada@example.com"}
    refused = await send(alone, promote)
    assert (refused.status, refused.json()["state"]) == (202, "failed")
    assert refused.json()["reason"] == "not wanted"
    assert (await choose("marketing", "email", True, '"v1"')).status == 200
    assert (await send(alone, promote)).json()["state"] == "queued"
    await alone.run_job("mail")
    assert len(mailroom.mails) == 3
    await alone.hear(UserErased(user_id=me))
    assert await alone.fetch("select * from preferences") == []


async def bounce(alone, events, secret=SECRET, at=None, tail=b""):
    body = msgspec.json.encode({"events": events})
    headers = sign([secret], "msg_1", int(at or time.time()), body)
    headers["content-type"] = "application/json"
    return await alone.request("POST", f"{PATH}/bounces", body + tail, headers=headers)


async def test_bounces_are_noted_and_their_addresses_suppressed(alone, mailroom):
    me = uuid4()
    gone, busy = Contact(email="Gone@example.com"), Contact(email="busy@example.com")
    mine = order(customer_id=me, contact=gone)
    await alone.hear(mine, order(contact=busy))
    await alone.run_job("mail")
    ids = {to[0].lower(): str(mail["Message-ID"]) for to, mail in mailroom.mails}
    told = [
        {"message_id": ids["gone@example.com"], "type": "hard", "reason": "550 no such user"},
        {"message_id": ids["busy@example.com"], "type": "soft", "reason": "mailbox full"},
        {"message_id": "<somebody.elses@example.org>", "type": "hard"},
        {"message_id": f"<{mine.order_id}.confirmed.00000000@merkato.example>", "type": "hard"},
    ]
    for _ in range(2):
        noted = await bounce(alone, told)
        assert (noted.status, noted.json()) == (200, {"noted": 2})
    listed = await alone.request("GET", f"{PATH}?bounced=true", token=STAFF)
    assert sorted(row["bounce"] for row in listed.json()["items"]) == [
        "hard: 550 no such user", "soft: mailbox full",
    ]  # fmt: skip
    [one] = (await alone.request("GET", f"{PATH}/suppressions", token=STAFF)).json()["items"]
    assert (one["address"], one["reason"]) == ("gone@example.com", "hard: 550 no such user")
    token = harness.user_token(me)
    choice = {"items": [{"kind": "marketing", "channel": "email", "wanted": True}]}
    await alone.request("PUT", PREFERENCES, choice, token=token, headers={"if-match": '"v0"'})
    promote = {**NEWS, "kind": "marketing", "customer_id": str(me), "recipient": "GONE@example.com"}
    assert (await send(alone, promote)).json()["reason"].startswith("suppressed")
    await alone.hear(*after_sale(uuid4(), me, contact=gone)[:1])
    assert await alone.run_job("mail") == 1, "what an order needs is still sent"
    path = f"{PATH}/suppressions/{one['id']}"
    assert (await alone.request("DELETE", path, token=STAFF)).status == 204
    assert (await alone.request("DELETE", path, token=STAFF)).status == 404
    lifted = {**promote, "subject": "Again"}
    assert (await send(alone, lifted)).json()["state"] == "queued"


async def test_bounces_are_taken_from_whoever_has_the_secret(alone, new_database, mailroom):
    told = [{"message_id": "<a.b@c>", "type": "hard"}]
    assert (await bounce(alone, told)).status == 200
    assert (await bounce(alone, told, secret="whsec_" + "b3RoZXI=" * 4)).status == 401
    assert (await bounce(alone, told, at=time.time() - 400)).status == 401
    assert (await bounce(alone, told, at=time.time() + 400)).status == 401
    assert (await bounce(alone, told, tail=b" ")).status == 401
    plain = await alone.request("POST", f"{PATH}/bounces", {"events": told})
    assert plain.status == 401
    async with shop(new_database, mailroom) as unsigned:
        assert (await bounce(unsigned, told)).status == 404


async def test_a_refused_address_is_a_bounce_and_a_refused_mail_is_not(alone, mailroom):
    mailroom.refuse = {"gone@example.com": [550]}
    await alone.hear(order(contact=Contact(email="gone@example.com")))
    await alone.run_job("mail")
    mailroom.refuse_data = [554]
    await alone.hear(order())
    await alone.run_job("mail")
    rows = await alone.fetch("select recipient, state, reason, bounced_at from messages")
    found = {row["recipient"]: (row["state"], row["bounced_at"] is not None) for row in rows}
    assert found == {"gone@example.com": ("failed", True), "ada@example.com": ("failed", False)}
    rows = await alone.fetch("select address, reason from suppressed")
    assert [tuple(row) for row in rows] == [("gone@example.com", "refused: 550")]


async def test_erasing_forgets_suppressions_and_what_was_written_by_hand(alone, mailroom):
    me = uuid4()
    canary = Contact(email="Canary@example.com", name="Canary", phone="+49301234567")
    guests = order(OrderPlaced, contact=Contact(email="canary-guest@example.com"))
    await alone.hear(order(OrderPlaced, customer_id=me, contact=canary), guests)
    await send(alone, {**NEWS, "recipient": "Canary@example.com", "subject": "Dear Canary"})
    await alone.run_job("mail")
    ids = [str(mail["Message-ID"]) for _, mail in mailroom.mails]
    await bounce(alone, [{"message_id": id, "type": "hard", "reason": "canary?"} for id in ids])
    for table in ("messages", "orders_seen", "suppressed"):
        assert "canary" in repr([dict(r) for r in await alone.fetch(f"select * from {table}")])
    await alone.hear(UserErased(user_id=me), OrderErased(order_id=guests.order_id))
    await alone.forget()
    for table in ("messages", "orders_seen", "suppressed", "outbox"):
        rows = [dict(row) for row in await alone.fetch(f"select * from {table}")]
        assert "canary" not in repr(rows).lower(), table


async def test_staff_edit_a_text_and_go_back(alone, mailroom):
    path = f"{TEXTS}/order_confirmed/de"
    shown = await alone.request("GET", path, token=STAFF)
    assert (shown.status, shown.headers["etag"], shown.json()["edited"]) == (200, '"v0"', False)
    words = {part: shown.json()[part] for part in ("subject", "summary", "text", "html")}
    words["subject"] = "Juhu {{ name }}!"

    async def put(body, tag='"v0"', where=path):
        headers = {"if-match": tag} if tag else {}
        return await alone.request("PUT", where, body, token=STAFF, headers=headers)

    assert (await put(words, tag=None)).status == 428
    assert (await put(words, where=f"{TEXTS}/nothing/de")).status == 404
    assert (await put(words, where=f"{TEXTS}/order_confirmed/DE_de")).status == 422
    wrong = await put(words | {"text": "{{ lines.__class__ }}"})
    assert wrong.json()["errors"][0]["pointer"] == "/text"
    saved = await put(words)
    assert (saved.status, saved.headers["etag"], saved.json()["edited"]) == (200, '"v1"', True)
    assert (await put(words)).status == 412
    await alone.hear(order(locale="de"))
    await alone.run_job("mail")
    assert mailroom.mails[-1][1]["Subject"] == "Juhu Ada Lovelace!"
    draft = {"subject": "Hm, {{ name }}?", "data": {"name": "Grace"}}
    previewed = await alone.request("POST", f"{path}/preview", draft, token=STAFF)
    assert previewed.json()["subject"] == "Hm, Grace?"
    assert "Tea &lt;Assam&gt;" in previewed.json()["html"]
    draft["data"] = {"lines": 7}
    assert (await alone.request("POST", f"{path}/preview", draft, token=STAFF)).status == 422
    gone = await alone.request("DELETE", path, token=STAFF, headers={"if-match": '"v1"'})
    assert gone.status == 204
    await alone.hear(order(locale="de"))
    await alone.run_job("mail")
    assert mailroom.mails[-1][1]["Subject"].startswith("Ihre Bestellung")
    listed = (await alone.request("GET", TEXTS, token=STAFF)).json()["items"]
    assert {"template": "message", "locale": "en", "edited": False, "version": 0} in listed
    assert (await alone.request("GET", path, token=harness.user_token())).status == 403
