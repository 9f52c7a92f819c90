"""Notifications on real PostgreSQL and a real SMTP server: no fault loses a mail or doubles one."""

from uuid import uuid4

import harness
import pytest
from notifications_mailroom import Mailroom, due_now, office_of, order, shop, states

from merkato.chassis import failpoints
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.contracts.users import (
    PasswordResetRequested,
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


@pytest.fixture
def failing():
    yield failpoints.arm
    failpoints.arm({})


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


async def test_a_sender_that_is_refused_is_nobodys_fault_but_ours(new_database, mailroom):
    mailroom.refuse_sender = [550]
    async with shop(new_database, mailroom, connections=1) as alone:
        await alone.hear(order(), order())
        assert await alone.run_job("mail") == 0
        assert {state for _, state, _ in await states(alone)} == {"queued"}
        [row] = await alone.fetch("select max(tries) as tries from due")
        assert row["tries"] == 0
        office_of(alone).post.found()
        assert await alone.run_job("mail") == 2
    assert len(mailroom.mails) == 2
