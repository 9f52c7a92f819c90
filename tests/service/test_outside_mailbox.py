"""The stand-in mailbox: SMTP in, JSON and pages out, faults on purpose."""

import asyncio
from email.message import EmailMessage

import aiosmtplib
import pytest
import pytest_asyncio
from service.test_outside_running import started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory):
    async with started(tmp_path_factory.mktemp("outside")) as outside:
        yield outside


@pytest_asyncio.fixture(loop_scope="session")
async def outside(house):
    for what in ("messages", "faults"):
        async with house.http.delete(f"{house.mailbox}/api/{what}") as answer:
            assert answer.status == 204
    return house


def mail(subject="Grüße aus dem Laden", to="kunde@example.org", number=1):
    message = EmailMessage()
    message["From"] = "shop@example.org"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<order-{number}@example.org>"
    message.set_content("Dein Kauf: https://shop.example/orders/1\n.punkt\n")
    message.add_alternative("<p>Dein <b>Kauf</b></p><script>alert(1)</script>", subtype="html")
    return message


def smtp(outside):
    return aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=outside.settings.mailbox_smtp_port,
        use_tls=False,
        start_tls=False,
    )


async def send(outside, *messages):
    async with smtp(outside) as client:
        for message in messages:
            await client.send_message(message)


async def get(outside, path, **query):
    async with outside.http.get(outside.mailbox + path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def found(outside, **query):
    return (await get(outside, "/api/messages", **query))["items"]


async def plan(outside, **fault):
    async with outside.http.post(f"{outside.mailbox}/api/faults", json=fault) as answer:
        assert answer.status == 201, await answer.text()


async def test_keeps_what_it_takes(outside):
    await send(outside, mail())
    [kept] = await found(outside)
    assert kept["subject"] == "Grüße aus dem Laden"
    assert kept["message_id"] == "order-1@example.org"
    assert kept["recipients"] == ["kunde@example.org"]
    whole = await get(outside, f"/api/messages/{kept['id']}")
    assert "\n.punkt" in whole["text"]
    assert "<b>Kauf</b>" in whole["html"]
    assert ["Subject", "Grüße aus dem Laden"] in whole["headers"]
    async with outside.http.get(f"{outside.mailbox}/messages/{kept['id']}/source") as source:
        assert b"Message-ID: <order-1@example.org>" in await source.read()


async def test_finds_by_recipient_subject_and_message_id(outside):
    await send(outside, mail(number=1), mail("Zweite", "andere@example.org", 2))
    assert [one["message_id"] for one in await found(outside)] == [
        "order-2@example.org",
        "order-1@example.org",
    ]
    for query in (
        {"to": "ANDERE@example.org"},
        {"subject": "zwei"},
        {"message_id": "<order-2@example.org>"},
        {"limit": 1},
    ):
        assert [one["subject"] for one in await found(outside, **query)] == ["Zweite"]
    assert await found(outside, to="niemand@example.org") == []


async def test_counts_mails_and_message_ids(outside):
    await send(outside, mail(number=1), mail(number=1), mail(number=2))
    stats = {"accepted": 3, "distinct_message_ids": 2}
    assert await get(outside, "/api/stats") == stats


async def test_takes_many_at_once_and_keeps_them_over_a_kill(outside):
    batches = [[mail(number=100 * sender + n) for n in range(25)] for sender in range(8)]
    await asyncio.gather(*(send(outside, *batch) for batch in batches))
    outside.kill()
    await outside.start()
    stats = {"accepted": 200, "distinct_message_ids": 200}
    assert await get(outside, "/api/stats") == stats
    assert len(await found(outside, limit=1000)) == 200


async def test_refuses_mails_or_a_recipient_as_planned(outside):
    await plan(outside, fault="refuse", code=451, times=1)
    with pytest.raises(aiosmtplib.SMTPDataError) as told:
        await send(outside, mail())
    assert told.value.code == 451
    await plan(outside, fault="refuse", code=550, to="weg@example.org", times=2)
    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await send(outside, mail(to="weg@example.org"))
        assert refused.value.recipients[0].code == 550
    await send(outside, mail(), mail(to="weg@example.org"))
    assert len(await found(outside)) == 2


@pytest.mark.parametrize(("fault", "kept"), [("silence", 1), ("lose", 0)])
async def test_closes_without_an_answer(outside, fault, kept):
    await plan(outside, fault=fault)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(outside, mail())
    assert len(await found(outside)) == kept
    await send(outside, mail())
    assert await get(outside, "/api/stats") == {
        "accepted": kept + 1,
        "distinct_message_ids": 1,
    }


async def test_refuses_what_is_too_large(outside):
    source = (b"x" * 70 + b"\r\n") * 150_000
    async with smtp(outside) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as told:
            await client.sendmail("a@example.org", ["b@example.org"], source)
    assert told.value.code == 552
    assert await found(outside) == []


async def test_takes_what_is_hardly_a_mail(outside):
    async with smtp(outside) as client:
        for raw in (
            b"\xff\xfe no header\r\n",
            b"Subject: =?nonsense?q?a?=\r\nContent-Type: text/plain; charset=none\r\n\r\n\xff\r\n",
            b"Subject: folded\r\n over lines\r\nmessage-id:\r\n <a@b>\r\n\r\nx\r\n",
        ):
            await client.sendmail("a@example.org", ["b@example.org"], raw)
    mails = await found(outside)
    assert [one["subject"] for one in mails][::2] == ["folded over lines", ""]
    assert [one["message_id"] for one in mails] == ["a@b", "", ""]
    for one in mails:
        await get(outside, f"/api/messages/{one['id']}")
        async with outside.http.get(f"{outside.mailbox}/messages/{one['id']}") as page:
            assert page.status == 200


async def test_pages_run_nothing(outside):
    await send(outside, mail(subject="<script>alert(2)</script>"))
    [kept] = await found(outside)
    for path in ("/", f"/messages/{kept['id']}"):
        async with outside.http.get(outside.mailbox + path) as page:
            html = await page.text()
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "<script>" not in html
            assert "&lt;script&gt;alert(2)" in html
    assert 'href="https://shop.example/orders/1"' in html
    assert "sandbox=" in html
    async with outside.http.get(f"{outside.mailbox}/messages/{kept['id']}/html") as page:
        policy = page.headers["content-security-policy"]
        assert policy.startswith("sandbox ")
        assert "allow-scripts" not in policy
    async with outside.http.get(f"{outside.mailbox}/", params={"to": '"><script>'}) as page:
        assert "<script>" not in await page.text()
    async with outside.http.get(f"{outside.mailbox}/messages/999999") as page:
        assert page.status == 404
