"""The inbox over HTTP, and what staff see of all messages."""

from uuid import UUID, uuid4

import harness
import pytest

from merkato import config
from merkato.contracts.notifications import NotificationSent
from merkato.contracts.orders import Line, OrderCancelled, OrderConfirmed, Totals
from merkato.contracts.users import PasswordResetRequested, UserErased
from merkato.contracts.values import Contact
from merkato.notifications.service import service

PATH = "/api/v1/notifications"
NOBODYS = UUID(int=7)  # a message that is not there
STAFF = harness.user_token(role="staff")
RECORD = {
    "id", "channel", "kind", "fact", "template", "locale", "recipient", "customer_id", "state",
    "tries", "edition", "reason", "created_at", "sent_at", "failed_at", "read_at", "bounced_at",
    "bounce", "erased_at",
}  # fmt: skip
ITEM = {"id", "template", "title", "text", "created_at", "read_at"}


@pytest.fixture
async def alone(new_database):
    """The service without a mail server: nothing here is sent."""
    async with harness.alone(service(config.Config()), new_database) as running:
        yield running


def order(customer_id, kind=OrderConfirmed, **more):
    line = Line(
        line_no=1, sku="TEA-1", quantity=1, title="<b>Tea</b>", unit_price_minor=900,
        net_minor=756, tax_minor=144, gross_minor=900,
    )  # fmt: skip
    return kind(
        order_id=uuid4(),
        number="K7QM-2F9X-4",
        customer_id=customer_id,
        lines=(line,),
        totals=Totals(items_minor=900, shipping_minor=490, tax_minor=222, grand_minor=1390),
        currency="EUR",
        contact=Contact(email="ada@example.com", name="Ada"),
        **more,
    )


def cancelled(customer_id):
    return order(customer_id, OrderCancelled, reason="customer", was_confirmed=True)


async def found(alone, **where):
    rows = await alone.fetch("select * from messages order by created_at, id")
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


async def test_my_inbox_is_mine_newest_first_with_what_is_unread(alone):
    me, other = uuid4(), uuid4()
    token = harness.user_token(me)
    for event in (order(me), order(other), cancelled(me)):
        await alone.hear(event)
    got = await alone.request("GET", PATH, token=token)
    assert got.status == 200
    body = got.json()
    assert [item["title"] for item in body["items"]] == [
        "Your order K7QM-2F9X-4 was cancelled",
        "Your order K7QM-2F9X-4 is confirmed",
    ]
    assert [item["text"] for item in body["items"]] == [
        "You asked us to.",
        "€13.90. We are getting it ready for you.",
    ]
    assert body["unread"] == 2
    assert set(body["items"][0]) == ITEM

    id = body["items"][0]["id"]
    first = await alone.request("POST", f"{PATH}/{id}/read", token=token)
    again = await alone.request("POST", f"{PATH}/{id}/read", token=token)
    assert first.status == again.status == 200
    assert first.json()["read_at"] == again.json()["read_at"] is not None
    body = (await alone.request("GET", PATH, token=token)).json()
    assert body["unread"] == 1
    got = await alone.request("GET", f"{PATH}/{id}", token=token)
    assert got.json()["id"] == id


async def test_pages_hold_each_message_once(alone):
    me = uuid4()
    await alone.hear(*(order(me) for _ in range(5)))  # one transaction, one time
    seen, cursor = [], ""
    for _ in range(3):
        path = f"{PATH}?limit=2{cursor}"
        body = (await alone.request("GET", path, token=harness.user_token(me))).json()
        seen += [item["id"] for item in body["items"]]
        cursor = f"&cursor={body.get('next_cursor')}"
    assert len(seen) == len(set(seen)) == 5
    assert body["next_cursor"] is None


async def test_what_is_somebody_elses_does_not_exist(alone):
    await alone.hear(order(uuid4()))
    [mail] = await found(alone, channel="email")
    [inbox] = await found(alone, channel="inbox")
    for token in (harness.user_token(), harness.user_token(mail["customer_id"])):
        got = await alone.request("GET", f"{PATH}/{mail['id']}", token=token)
        assert got.status == 404
    token = harness.user_token()
    assert (await alone.request("GET", f"{PATH}/{inbox['id']}", token=token)).status == 404
    got = await alone.request("POST", f"{PATH}/{inbox['id']}/read", token=token)
    assert got.status == 404
    got = await alone.request("POST", f"{PATH}/{inbox['id']}/read", token=STAFF)
    assert got.status == 404, "staff do not read for others"


@pytest.mark.parametrize("path", ["", f"/{NOBODYS}"])
async def test_who_is_nobody_is_asked_to_log_in(alone, path):
    assert (await alone.request("GET", f"{PATH}{path}")).status == 401


async def test_staff_see_all_and_search(alone):
    me = uuid4()
    await alone.hear(
        order(me),
        PasswordResetRequested(user_id=uuid4(), token_id=uuid4(), email="b@example.com"),
    )
    async with alone.db.transaction() as tx:
        await tx.execute(
            "update messages set state = 'failed', failed_at = now(), reason = 'refused: 550'"
            " where recipient = 'b@example.com'"
        )

    async def search(query):
        got = await alone.request("GET", f"{PATH}{query}", token=STAFF)
        assert got.status == 200, got
        return got.json()["items"]

    assert len(await search("")) == 3
    assert set((await search(""))[0]) == RECORD
    assert [one["recipient"] for one in await search("?state=failed")] == ["b@example.com"]
    assert [one["channel"] for one in await search("?state=queued")] == ["email"]
    assert len(await search("?template=order_confirmed")) == 2
    assert len(await search("?recipient=ada@example.com&state=queued")) == 1
    assert len(await search("?recipient=ada@example.com&state=sent")) == 0
    assert await search("?customer=me") == []
    denied = await alone.request("GET", f"{PATH}?state=sent", token=harness.user_token(me))
    assert denied.status == 403


@pytest.mark.parametrize(
    "query", ["?state=lost", "?limit=0", "?limit=x", "?cursor=%00", "?cursor=e30", "?customer=you"]
)
async def test_nonsense_is_refused(alone, query):
    got = await alone.request("GET", f"{PATH}{query}", token=STAFF)
    assert got.status in (400, 422)
    assert got.headers["content-type"] == "application/problem+json"


async def test_a_nul_in_a_filter_breaks_nothing(alone):
    got = await alone.request("GET", f"{PATH}?recipient=%00&template=%00", token=STAFF)
    assert got.status == 400


async def test_staff_preview_a_mail_without_its_link(alone):
    await alone.hear(
        order(uuid4()),
        PasswordResetRequested(user_id=uuid4(), token_id=uuid4(), email="b@example.com"),
    )
    [mail] = await found(alone, channel="email", template="order_confirmed")
    body = (await alone.request("GET", f"{PATH}/{mail['id']}", token=STAFF)).json()
    assert set(body) == RECORD | {"subject", "text", "html"}
    assert body["subject"] == "Your order K7QM-2F9X-4 is confirmed"
    assert "<b>Tea</b>" in body["text"]
    assert "&lt;b&gt;Tea&lt;/b&gt;" in body["html"]
    [reset] = await found(alone, template="password_reset")
    body = (await alone.request("GET", f"{PATH}/{reset['id']}", token=STAFF)).json()
    assert "Choose password: …" in body["text"]
    await alone.hear(UserErased(user_id=reset["customer_id"]))
    body = (await alone.request("GET", f"{PATH}/{reset['id']}", token=STAFF)).json()
    assert (body["subject"], body["text"], body["html"]) == ("", "", "")


async def resend(alone, id, token=STAFF, **more):
    return await alone.request("POST", f"{PATH}/{id}/resend", token=token, **more)


async def test_staff_send_a_mail_again_under_a_new_name(alone):
    await alone.hear(order(uuid4()))
    [mail] = await found(alone, channel="email")
    async with alone.db.transaction() as tx:
        await tx.execute("delete from due")
        await tx.execute(
            "update messages set state = 'sent', sent_at = now() where channel = 'email'"
        )
    key = "resend-0123456789abcdef"
    answers = [await resend(alone, mail["id"], key=key) for _ in range(2)]
    assert [got.status for got in answers] == [202, 202]
    assert answers[1].headers["idempotent-replayed"] == "true"
    [mail] = await found(alone, channel="email")
    assert (mail["state"], mail["edition"], mail["sent_at"]) == ("queued", 2, None)
    assert [row["message_id"] for row in await alone.fetch("select * from due")] == [mail["id"]]
    assert (await resend(alone, mail["id"])).status == 202, "it is on its way already"
    assert (await found(alone, channel="email"))[0]["edition"] == 2


async def test_a_failed_mail_is_sent_again_under_its_own_name(alone):
    await alone.hear(order(uuid4()))
    [mail] = await found(alone, channel="email")
    async with alone.db.transaction() as tx:
        await tx.execute("delete from due")
        await tx.execute(
            "update messages set state = 'failed', failed_at = now(), reason = 'x'"
            " where channel = 'email'"
        )
    assert (await resend(alone, mail["id"])).status == 202
    [mail] = await found(alone, channel="email")
    assert (mail["state"], mail["edition"], mail["reason"]) == ("queued", 1, None)


async def test_what_cannot_be_sent_again(alone):
    me = uuid4()
    await alone.hear(order(me))
    [inbox], [mail] = await found(alone, channel="inbox"), await found(alone, channel="email")
    assert (await resend(alone, inbox["id"])).status == 409
    assert (await resend(alone, uuid4())).status == 404
    assert (await resend(alone, mail["id"], token=harness.user_token(me))).status == 403
    assert (await resend(alone, mail["id"], token=None)).status == 401
    await alone.hear(UserErased(user_id=me))
    assert (await resend(alone, mail["id"])).status == 409
    assert await alone.said(NotificationSent) == []


async def test_an_erased_inbox_says_nothing(alone):
    me = uuid4()
    await alone.hear(order(me), UserErased(user_id=me))
    body = (await alone.request("GET", PATH, token=harness.user_token(me))).json()
    assert [(item["title"], item["text"]) for item in body["items"]] == [("", "")]
