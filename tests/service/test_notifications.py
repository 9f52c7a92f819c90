"""Notifications on real PostgreSQL and a real SMTP server: who is told what, once."""

import asyncio
from uuid import uuid4

import harness
import msgspec
import pytest
from notifications_mailroom import PATH, Mailroom, after_sale, order, shop, states

from merkato.contracts.inventory import ReservationLost, StockLine, StockLow
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.contracts.orders import OrderCancelled, OrderConfirmed, OrderPlaced
from merkato.contracts.payments import (
    PaymentActionRequired,
    PaymentDeclined,
    PaymentRefunded,
    RefundFailed,
)
from merkato.contracts.users import (
    EmailChanged,
    EmailVerificationRequested,
    PasswordResetRequested,
    RefreshTokenReused,
    RegistrationRepeated,
    StaffInvited,
    UserErased,
)
from merkato.contracts.values import Contact


@pytest.fixture
async def mailroom():
    room = Mailroom()
    await room.open()
    yield room
    await room.close()


@pytest.fixture
async def alone(new_database, mailroom):
    async with shop(new_database, mailroom) as running:
        yield running


async def test_a_confirmed_order_becomes_one_mail(alone, mailroom):
    event = order()
    await alone.hear(event)
    assert await states(alone) == [("order_confirmed", "queued", 0)]
    assert await alone.run_job("mail") == 1
    [(recipients, mail)] = mailroom.mails
    assert recipients == ["ada@example.com"]
    assert mail["To"] == "ada@example.com"
    assert mail["From"] == "Mirabelle & Moss <shop@merkato.example>"
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


def everything(me, order_id):
    """One of each event that is told to somebody."""
    money = {"order_id": order_id, "payment_id": uuid4(), "currency": "EUR"}
    user = {"user_id": me, "email": "ada@example.com", "name": "Ada"}
    return (
        order(OrderPlaced, customer_id=me, order_id=order_id),
        PaymentDeclined(**money, amount_minor=1390, attempt=1, reason="card_declined"),
        PaymentActionRequired(**money, amount_minor=1390, attempt=2, url="https://bank/x"),
        order(OrderConfirmed, customer_id=me, order_id=order_id),
        order(OrderCancelled, customer_id=me, order_id=order_id),
        PaymentRefunded(**money, amount_minor=1000, refund_id=uuid4(), refunded_total_minor=1000),
        PaymentDeclined(**money, amount_minor=1390, attempt=3, reason="fraud", final=True),
        EmailVerificationRequested(**user, token_id=uuid4()),
        PasswordResetRequested(**user, token_id=uuid4(), locale="de-AT"),
        RegistrationRepeated(**user, request_id=uuid4()),
        RefreshTokenReused(**user, session_id=uuid4()),
        EmailChanged(**user, change_id=uuid4(), new_email="lovelace@example.com"),
        StaffInvited(
            invitation_id=uuid4(),
            token_id=uuid4(),
            role="staff",
            email="new@example.com",
            invited_by="Grace",
        ),
        StockLow(sku="TEA-1", available=2, threshold=5, crossing=1),
        RefundFailed(
            **money, amount_minor=500, refund_id=uuid4(), reason="expired_or_canceled_card"
        ),
        ReservationLost(order_id=order_id, lines=(StockLine(sku="TEA-1", quantity=2),)),
    )


async def test_each_fact_is_told_to_whom_it_concerns(new_database, mailroom):
    link = harness.answering(200, {"url": "https://shop.example/verify?token=s3cret"})
    async with shop(new_database, mailroom, apps={"users": link}) as alone:
        me, order_id = uuid4(), uuid4()
        await alone.hear(*everything(me, order_id))
        assert await alone.dead() == []
        assert await alone.run_job("mail") == 15
        rows = await alone.fetch("select channel, template, state from messages")
        assert {row["state"] for row in rows} == {"sent"}
        assert sorted(row["template"] for row in rows if row["channel"] == "email") == [
            "email_changed", "email_verification", "order_cancelled", "order_confirmed",
            "order_placed", "password_reset", "payment_action_required", "payment_declined",
            "payment_refunded", "refresh_token_reused", "refund_failed", "registration_repeated",
            "reservation_lost", "staff_invited", "stock_low",
        ]  # fmt: skip
        assert sorted(row["template"] for row in rows if row["channel"] == "inbox") == [
            "order_cancelled", "order_confirmed", "payment_action_required", "payment_declined",
            "payment_refunded",
        ]  # fmt: skip
        subjects = {mail["Subject"]: (to, mail) for to, mail in mailroom.mails}
        assert subjects["Low stock: TEA-1 (2 left)"][0] == ["store@shop.example"]
        reset = subjects["Wählen Sie ein neues Passwort"][1]
        assert "token=s3cret" in reset.get_body(("plain",)).get_content()
        assert "€10.00 are on their way back to you" in subjects
        kept = [dict(row) for row in await alone.fetch("select * from messages")]
        assert b"s3cret" not in msgspec.json.encode(kept)
        assert b"bank" not in msgspec.json.encode(kept)
        assert subjects["Refund refused: €5.00 of K7QM-2F9X-4"][0] == ["store@shop.example"]
        gone = subjects["Goods gone: order K7QM-2F9X-4 had to be cancelled"][1]
        assert "2 × TEA-1" in gone.get_body(("plain",)).get_content()
        changed = subjects["The address of your account was changed"]
        assert changed[0] == ["ada@example.com"]
        assert "lovelace@example.com" in changed[1].get_body(("plain",)).get_content()
        invited = subjects["You are invited to work at Mirabelle & Moss"]
        assert invited[0] == ["new@example.com"]
        assert "token=s3cret" in invited[1].get_body(("plain",)).get_content()
        assert len(await alone.said(NotificationSent)) == 15


async def test_the_life_of_an_order_after_the_sale_is_told(alone, mailroom):
    order_id, me = uuid4(), uuid4()
    await alone.hear(*after_sale(order_id, me), *after_sale(order_id, me, locale="de"))
    assert await alone.dead() == []
    assert await alone.run_job("mail") == 14
    english = {
        mail["Subject"]: mail.get_body(("plain",)).get_content()
        for _, mail in mailroom.mails
        if mail["Content-Language"] == "en"
    }
    assert english.keys() == {
        "Your order K7QM-2F9X-4 is on its way", "Delivered: your order K7QM-2F9X-4",
        "Your return for order K7QM-2F9X-4", "Your return for order K7QM-2F9X-4 has arrived",
        "€4.50 credited for your order K7QM-2F9X-4",
        "A part of your order K7QM-2F9X-4 was cancelled",
    }  # fmt: skip
    shipped = english["Your order K7QM-2F9X-4 is on its way"]
    assert "to DHL:" in shipped
    assert "1 × Tea <Assam>" in shipped
    assert "Follow the parcel: https://dhl.example/?n=JD0146" in shipped
    assert "The rest follows in another parcel." in shipped
    assert "As agreed." in english["€4.50 credited for your order K7QM-2F9X-4"]
    inbox = (await alone.request("GET", PATH, token=harness.user_token(me))).json()
    assert inbox["unread"] == 14
    assert len({mail["Message-ID"] for _, mail in mailroom.mails}) == 14


async def test_a_parcel_is_followed_by_links_of_the_web_only(alone, mailroom):
    shipped = after_sale(uuid4(), uuid4())[0]
    await alone.hear(msgspec.structs.replace(shipped, tracking_url="javascript:alert(1)"))
    await alone.run_job("mail")
    [(_, mail)] = mailroom.mails
    assert "javascript" not in mail.as_string()
    assert "Tracking number: JD0146" in mail.get_body(("plain",)).get_content()


async def test_a_guests_mail_leads_to_the_order_and_nothing_is_kept(new_database, mailroom):
    token = "t0ken-of-the-order"
    guests, mine = uuid4(), uuid4()
    app = harness.answering(200, {"tokens": {str(guests): token}})
    async with shop(new_database, mailroom, apps={"orders": app}) as alone:
        await alone.hear(
            order(order_id=guests, contact=Contact(email="guest@example.com")),
            order(order_id=mine, customer_id=uuid4()),
        )
        await alone.run_job("mail")
        texts = {to[0]: mail.get_body(("plain",)).get_content() for to, mail in mailroom.mails}
        assert f"https://shop.example/orders/{guests}?token={token}" in texts["guest@example.com"]
        assert f"https://shop.example/orders/{mine}\r\n" in texts["ada@example.com"]
        for table in ("messages", "outbox"):
            rows = [dict(row) for row in await alone.fetch(f"select * from {table}")]
            assert token not in repr(rows)
        [row] = await alone.fetch("select id from messages where recipient like 'guest@%'")
        shown = await alone.request(
            "GET", f"{PATH}/{row['id']}", token=harness.user_token(role="staff")
        )
        assert shown.status == 200
        assert token not in shown.body.decode()


async def test_mails_of_guests_wait_while_orders_is_silent(new_database, mailroom):
    silent = harness.answering(503, {"type": "/problems/dependency-unavailable"})
    async with shop(new_database, mailroom, apps={"orders": silent}) as alone:
        await alone.hear(order(), order(customer_id=uuid4()))
        await alone.run_job("mail")
        assert len(mailroom.mails) == 1
        assert sorted(state for _, state, _ in await states(alone)) == ["queued", "sent", "sent"]


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
