"""Notifications on real PostgreSQL and a real SMTP server: one mail per fact, whatever happens."""

import asyncio
import email
import email.policy
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import harness
import msgspec
import pytest
from aiosmtpd.smtp import SMTP

from merkato import config
from merkato.chassis import failpoints
from merkato.contracts.inventory import StockLow
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.contracts.orders import Line, OrderCancelled, OrderConfirmed, OrderPlaced, Totals
from merkato.contracts.payments import PaymentActionRequired, PaymentDeclined, PaymentRefunded
from merkato.contracts.users import (
    EmailVerificationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    UserErased,
)
from merkato.contracts.values import Contact
from merkato.notifications.service import service

PATH = "/api/v1/notifications"
PORTS = iter(range(21_725, 21_999))


class Mailroom:
    """A mail server outside of us that keeps what it takes and refuses what it is told to."""

    def __init__(self, port):
        self.port, self.mails, self.sessions = port, [], 0
        self.refuse, self.refuse_data, self.lose = {}, [], 0
        self._server = None

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.sessions += 1
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if codes := self.refuse.get(address):
            return f"{codes.pop(0)} no"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse_data:
            return f"{self.refuse_data.pop(0)} no"
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        if self.lose:
            self.lose -= 1
            server.transport.abort()
        return "250 OK"

    async def open(self):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, loop=loop, enable_SMTPUTF8=True), "127.0.0.1", self.port
        )

    async def close(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    def ids(self):
        return [mail["Message-ID"] for _, mail in self.mails]


def office_of(alone):
    [every] = alone.service.jobs
    return every.job.args[0]


@asynccontextmanager
async def shop(new_database, mailroom, apps=None, **settings):
    made = service(
        config.Config(
            public_url="https://shop.example",
            notifications=config.Notifications(
                smtp_url=f"smtp://127.0.0.1:{mailroom.port}",
                staff=("store@shop.example",),
                **settings,
            ),
        )
    )
    async with harness.alone(made, new_database, apps=apps) as alone:
        try:
            yield alone
        finally:
            office_of(alone).post.close()
            await asyncio.sleep(0)


@pytest.fixture
async def mailroom():
    room = Mailroom(next(PORTS))
    await room.open()
    yield room
    await room.close()


@pytest.fixture
async def alone(new_database, mailroom):
    async with shop(new_database, mailroom) as running:
        yield running


@pytest.fixture
def failing():
    yield failpoints.arm
    failpoints.arm({})


ADA = Contact(email="ada@example.com", name="Ada Lovelace")


def order(kind=OrderConfirmed, *, customer_id=None, contact=ADA, locale="en", **more):
    line = Line(
        line_no=1, sku="TEA-1", quantity=2, title="Tea <Assam>", unit_price_minor=450,
        net_minor=756, tax_minor=144, gross_minor=900,
    )  # fmt: skip
    if kind is OrderPlaced:
        at = datetime(2026, 5, 4, tzinfo=UTC)
        more |= {"payment_method": "card", "placed_at": at, "pay_until": at}
    if kind is OrderCancelled:
        more = {"reason": "stock-lost", "was_confirmed": True} | more
    return kind(
        **{"order_id": uuid4(), "number": "K7QM-2F9X-4"} | more,
        customer_id=customer_id,
        lines=(line,),
        totals=Totals(items_minor=900, shipping_minor=490, tax_minor=222, grand_minor=1390),
        currency="EUR",
        locale=locale,
        contact=contact,
    )


async def due_now(alone):
    """Let every pause be over, and every lease."""
    office_of(alone).post.found()
    async with alone.db.transaction() as tx:
        await tx.execute("update due set due_at = now() - interval '1 s'")


async def states(alone):
    rows = await alone.fetch("select template, state, tries from messages order by created_at, id")
    return [(row["template"], row["state"], row["tries"]) for row in rows]


async def test_a_confirmed_order_becomes_one_mail(alone, mailroom):
    event = order()
    await alone.hear(event)
    assert await states(alone) == [("order_confirmed", "queued", 0)]
    assert await alone.run_job("mail") == 1
    [(recipients, mail)] = mailroom.mails
    assert recipients == ["ada@example.com"]
    assert mail["To"] == "ada@example.com"
    assert mail["From"] == "Merkato <shop@merkato.example>"
    assert mail["Subject"] == "Your order K7QM-2F9X-4 is confirmed"
    assert mail["Message-ID"].startswith(f"<{event.order_id}.confirmed.")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail.get_content_type() == "multipart/alternative"
    assert mail.defects == []
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    assert "2 × Tea <Assam>: €9.00" in text
    assert "Total: €13.90" in text
    assert f"https://shop.example/orders/{event.order_id}" in text
    assert "Tea &lt;Assam&gt;" in html
    assert await states(alone) == [("order_confirmed", "sent", 1)]
    [said] = await alone.said()
    assert (type(said), said.channel, said.template) == (
        NotificationSent, "email", "order_confirmed",
    )  # fmt: skip
    assert await alone.fetch("select * from due") == []


async def test_each_fact_is_told_to_whom_it_concerns(new_database, mailroom):
    link = harness.answering(200, {"url": "https://shop.example/verify?token=s3cret"})
    async with shop(new_database, mailroom, apps={"users": link}) as alone:
        me, order_id = uuid4(), uuid4()
        money = {"order_id": order_id, "payment_id": uuid4(), "currency": "EUR"}
        user = {"user_id": me, "email": "ada@example.com", "name": "Ada"}
        await alone.hear(
            order(OrderPlaced, customer_id=me, order_id=order_id),
            PaymentDeclined(**money, amount_minor=1390, attempt=1, reason="card_declined"),
            PaymentActionRequired(**money, amount_minor=1390, attempt=2, url="https://bank/x"),
            order(OrderConfirmed, customer_id=me, order_id=order_id),
            order(OrderCancelled, customer_id=me, order_id=order_id),
            PaymentRefunded(
                **money, amount_minor=1000, refund_id=uuid4(), refunded_total_minor=1000
            ),
            PaymentDeclined(**money, amount_minor=1390, attempt=3, reason="fraud", final=True),
            EmailVerificationRequested(**user, token_id=uuid4()),
            PasswordResetRequested(**user, token_id=uuid4(), locale="de-AT"),
            RegistrationRepeated(**user, request_id=uuid4()),
            StockLow(sku="TEA-1", available=2, threshold=5, crossing=1),
        )
        assert await alone.dead() == []
        assert await alone.run_job("mail") == 10
        rows = await alone.fetch("select channel, template, state from messages")
        assert {row["state"] for row in rows} == {"sent"}
        assert sorted(row["template"] for row in rows if row["channel"] == "email") == [
            "email_verification", "order_cancelled", "order_confirmed", "order_placed",
            "password_reset", "payment_action_required", "payment_declined", "payment_refunded",
            "registration_repeated", "stock_low",
        ]  # fmt: skip
        assert sorted(row["template"] for row in rows if row["channel"] == "inbox") == [
            "order_cancelled", "order_confirmed", "payment_refunded",
        ]  # fmt: skip
        subjects = {mail["Subject"]: (to, mail) for to, mail in mailroom.mails}
        assert subjects["Low stock: TEA-1 (2 left)"][0] == ["store@shop.example"]
        reset = subjects["Wählen Sie ein neues Passwort"][1]
        assert "token=s3cret" in reset.get_body(("plain",)).get_content()
        assert "€10.00 are on their way back to you" in subjects
        kept = [dict(row) for row in await alone.fetch("select * from messages")]
        assert b"s3cret" not in msgspec.json.encode(kept)
        assert b"bank" not in msgspec.json.encode(kept)
        assert len(await alone.said(NotificationSent)) == 10


async def test_duplicates_and_new_ids_for_an_old_fact_make_no_second_mail(alone, mailroom):
    event = order(customer_id=uuid4())
    await alone.hear(event, event)
    await alone.run_job("mail")
    await alone.hear(event, event)
    await alone.run_job("mail")
    assert len(mailroom.mails) == 1
    assert len(await states(alone)) == 2  # the mail, and one for the inbox


async def test_news_of_a_payment_waits_for_its_order(alone, mailroom):
    placed = order(OrderPlaced)
    declined = PaymentDeclined(
        order_id=placed.order_id, payment_id=uuid4(), amount_minor=1390, currency="EUR",
        attempt=1, reason="card_declined",
    )  # fmt: skip
    other = order()
    await alone.hear(declined, other)
    assert [row["event_id"] for row in await alone.dead()] != []
    await alone.hear(order(OrderPlaced, order_id=uuid4()))
    assert [template for template, _, _ in await states(alone)] == [
        "order_confirmed", "order_placed",
    ]  # fmt: skip
    async with alone.db.transaction() as tx:
        await tx.execute(
            "insert into orders_seen values ($1, 'N', null, 'de', 'EUR', 1390, 'b@x.example', 'B')",
            placed.order_id,
        )
        await tx.execute("update set_aside set next_try_at = now()")
    await alone.inbox.retry_set_aside(alone.db)
    assert await alone.dead() == []
    await alone.run_job("mail")
    assert sorted(to for to, _ in mailroom.mails)[-1] == ["b@x.example"]


async def test_nobody_to_tell_is_no_mistake(alone):
    erased = order(OrderPlaced, contact=None)
    declined = PaymentDeclined(
        order_id=erased.order_id, payment_id=uuid4(), amount_minor=1, currency="EUR", attempt=1,
        reason="x",
    )  # fmt: skip
    await alone.hear(
        erased, declined, order(OrderConfirmed, contact=None, order_id=erased.order_id)
    )
    assert await states(alone) == []
    assert await alone.dead() == []


async def test_a_crash_after_the_server_took_it_sends_it_again_with_its_id(
    alone, mailroom, failing
):
    await alone.hear(order())
    failing({"mail-sent": "raise"})
    with pytest.raises(failpoints.Failed):
        await alone.run_job("mail")
    failing({})
    assert await alone.run_job("mail") == 0, "the lease still runs"
    assert await states(alone) == [("order_confirmed", "queued", 0)]
    await due_now(alone)
    assert await alone.run_job("mail") == 1
    first, second = mailroom.ids()
    assert first == second
    assert await states(alone) == [("order_confirmed", "sent", 2)]
    assert len(await alone.said()) == 1


async def test_a_crash_before_smtp_sends_it_once(alone, mailroom, failing):
    await alone.hear(order())
    failing({"mail-claimed": "raise"})
    with pytest.raises(failpoints.Failed):
        await alone.run_job("mail")
    failing({})
    await due_now(alone)
    await alone.run_job("mail")
    assert len(mailroom.mails) == 1


async def test_an_answer_that_never_came_means_again_with_the_same_id(alone, mailroom):
    mailroom.lose = 1
    await alone.hear(order())
    await alone.run_job("mail")
    assert await states(alone) == [("order_confirmed", "queued", 0)]
    [row] = await alone.fetch("select tries, due_at > now() + interval '3 s' as later from due")
    assert (row["tries"], row["later"]) == (1, True)
    await due_now(alone)
    await alone.run_job("mail")
    assert len(set(mailroom.ids())) == 1
    assert len(mailroom.mails) == 2
    assert await states(alone) == [("order_confirmed", "sent", 2)]


async def test_a_server_that_is_away_costs_no_try_and_no_mail(alone, mailroom):
    await mailroom.close()
    for _ in range(3):
        await alone.hear(order())
    assert await alone.run_job("mail") == 0
    [row] = await alone.fetch("select count(*), max(tries) as tries from due")
    assert (row["count"], row["tries"]) == (3, 0)
    assert await alone.run_job("mail") == 0, "it is left alone for a while"
    await mailroom.open()
    office_of(alone).post.found()
    assert await alone.run_job("mail") == 3
    assert len(set(mailroom.ids())) == len(mailroom.mails) == 3
    assert {state for _, state, _ in await states(alone)} == {"sent"}


async def test_the_pause_for_a_server_that_is_away_grows_and_ends(alone):
    post = office_of(alone).post
    waits = []
    for _ in range(7):
        post.away()
        waits.append(post._pause_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert not post.open()
    post.found()
    assert post.open()


async def test_refused_for_good_fails_with_its_reason_and_alone(alone, mailroom):
    mailroom.refuse["gone@example.com"] = [550]
    await alone.hear(order(contact=Contact(email="gone@example.com")), order())
    await alone.run_job("mail")
    rows = await alone.fetch("select recipient, state, reason, tries from messages")
    assert {tuple(row) for row in rows} == {
        ("gone@example.com", "failed", "refused: 550", 1),
        ("ada@example.com", "sent", None, 1),
    }
    [failed] = await alone.said(NotificationFailed)
    assert failed.reason == "refused: 550"
    assert len(await alone.said(NotificationSent)) == 1
    assert await alone.fetch("select * from due") == []


async def test_not_now_is_tried_again_later(alone, mailroom):
    mailroom.refuse["ada@example.com"] = [451]
    mailroom.refuse_data = [452]
    await alone.hear(order())
    for tries in (1, 2):
        await alone.run_job("mail")
        [row] = await alone.fetch("select tries, due_at > now() as later from due")
        assert (row["tries"], row["later"]) == (tries, True)
        await due_now(alone)
    await alone.run_job("mail")
    assert await states(alone) == [("order_confirmed", "sent", 3)]
    assert len(mailroom.mails) == 1
    assert mailroom.sessions <= 2, "connections are kept"


async def test_what_could_not_be_sent_for_two_days_is_given_up(alone, mailroom):
    mailroom.refuse["ada@example.com"] = [451]
    await alone.hear(order())
    async with alone.db.transaction() as tx:
        await tx.execute("update due set since = now() - interval '49 h'")
    await alone.run_job("mail")
    [failed] = await alone.said(NotificationFailed)
    assert failed.reason == "given up: 451"


@pytest.mark.parametrize(
    ("status", "state"), [(404, "failed"), (410, "failed"), (503, "queued"), (500, "queued")]
)
async def test_without_its_link_a_mail_waits_or_fails(new_database, mailroom, status, state):
    users = harness.answering(status, {"type": "/problems/x", "status": status})
    async with shop(new_database, mailroom, apps={"users": users}) as alone:
        await alone.hear(
            PasswordResetRequested(user_id=uuid4(), token_id=uuid4(), email="ada@example.com")
        )
        await alone.run_job("mail")
        assert [found for _, found, _ in await states(alone)] == [state]
        assert mailroom.mails == []


async def test_two_processes_share_the_work(new_database, mailroom):
    async with shop(new_database, mailroom, connections=3) as alone:
        await alone.hear(*(order() for _ in range(150)))
        await asyncio.gather(*(alone.run_job("mail") for _ in range(3)))
        assert len(mailroom.mails) == 150
        assert len(set(mailroom.ids())) == 150
        assert len(await alone.said()) == 150


async def test_an_address_outside_ascii(alone, mailroom):
    await alone.hear(order(contact=Contact(email="käthe@müller.example", name="Käthe")))
    await alone.run_job("mail")
    [(recipients, mail)] = mailroom.mails
    assert recipients == ["käthe@xn--mller-kva.example"]
    assert mail.get_body(("plain",)).get_content().startswith("Hello Käthe,")


async def test_an_address_that_would_write_commands_is_refused(alone, mailroom):
    await alone.hear(order())
    async with alone.db.transaction() as tx:
        await tx.execute(
            "update messages set recipient = E'a@b.example>\\r\\nRCPT TO:<c@d.example'"
        )
    await alone.run_job("mail")
    assert mailroom.mails == []
    [row] = await alone.fetch("select state, reason from messages")
    assert tuple(row) == ("failed", "not a mail address")


async def test_erasing_blanks_what_is_personal_and_keeps_the_record(alone, mailroom):
    me, other = uuid4(), uuid4()
    sent, waiting = order(OrderPlaced, customer_id=me), order(customer_id=me)
    await alone.hear(sent, order(customer_id=other, contact=Contact(email="b@example.com")))
    await alone.run_job("mail")
    await alone.hear(waiting)
    for _ in range(2):
        await alone.hear(UserErased(user_id=me))
    tables = [await alone.fetch(f"select * from {name}") for name in ("messages", "orders_seen")]
    kept = repr([[dict(row) for row in rows] for rows in tables])
    assert "ada@" not in kept
    assert "Lovelace" not in kept
    assert "b@example.com" in kept
    assert await alone.run_job("mail") == 0
    rows = await alone.fetch(
        "select state, reason from messages where customer_id = $1 and channel = 'email'"
        " order by created_at", me
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [("sent", None), ("failed", "erased")]
    assert len(await alone.said(NotificationFailed)) == 1
    await alone.hear(waiting)
    assert await alone.run_job("mail") == 0, "an erased fact is not told again"
