"""Secrets of webhooks: made, renewed, kept sealed; and what a repeated request for one gives."""

import asyncio
from base64 import b64decode
from contextlib import suppress
from uuid import uuid4

import harness
from service.test_broker_log import ADMIN, stock
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from webhook_desk import KEYS, PATH, ask, delivering, logged, settled, subscribe

from merkato import topology
from merkato.broker.domain import webhooks
from merkato.chassis.vault import Vault
from merkato.config import Config
from merkato.contracts.trail import ActionNoted


def webhooks_secret(text):
    return b64decode(text.removeprefix("whsec_"))


def verifies(receiver, n):
    """Tell which of the receiver's secrets verify what came; `n` counts from 0."""
    headers, body = receiver.got[n]
    names = {name.lower(): value for name, value in headers.items()}
    found = []
    for secret in receiver.secrets:
        with suppress(WebhookVerificationError):
            Webhook(secret).verify(body, names)
            found.append(secret)
    return found


async def rotate(broker, receiver, id, body=None, key=None):
    answer = await ask(broker, "POST", f"{PATH}/{id}/secret", body or {}, key=key)
    receiver.secrets.insert(0, answer["secret"])
    return answer


async def test_both_secrets_sign_after_a_rotation_and_none_is_ever_shown_again(broker, receiver):
    id = await subscribe(broker, receiver)
    [old] = receiver.secrets
    new = (await ask(broker, "POST", f"{PATH}/{id}/secret", {}))["secret"]
    await logged(broker, stock(1))
    async with delivering(broker):
        await settled(broker, id, 1)
        headers, body = receiver.got[0]
        names = {name.lower(): value for name, value in headers.items()}
        for secret in (old, new):
            assert Webhook(secret).verify(body, names)
        assert names["webhook-signature"].count("v1,") == 2
        newest = (await ask(broker, "POST", f"{PATH}/{id}/secret", {"overlap_s": 0}))["secret"]
        await logged(broker, stock(2))
        await settled(broker, id, 2)
    headers, body = receiver.got[1]
    names = {name.lower(): value for name, value in headers.items()}
    assert names["webhook-signature"].count("v1,") == 1
    assert Webhook(newest).verify(body, names)
    for path in (PATH, f"{PATH}/{id}", f"{PATH}/{id}/deliveries"):
        answer = await broker.request("GET", path, token=ADMIN)
        assert b"whsec_" not in answer.body
    for table in ("subscriptions", "outbox", "answers", "log", "deliveries"):
        rows = await broker.fetch(f"select t::text from {table} t")
        for row in rows:
            for secret in (old, new, newest):
                assert secret not in row["t"]
                assert webhooks_secret(secret).hex() not in row["t"]


async def test_a_secret_that_is_made_twice_ends_none_before_its_time(broker, receiver):
    id = await subscribe(broker, receiver)
    for overlap_s in (3_600, 86_400, 86_400):
        await rotate(broker, receiver, id, {"overlap_s": overlap_s})
    async with delivering(broker):
        await logged(broker, stock(1))
        await settled(broker, id, 1)
        assert verifies(receiver, 0) == receiver.secrets
        async with broker.db.transaction() as tx:  # two hours pass
            await tx.execute(
                "update subscriptions set old_secret_until = old_secret_until - interval '2 h', "
                "older_until = array(select u - interval '2 h' from unnest(older_until) u)"
            )
        await logged(broker, stock(2))
        await settled(broker, id, 2)
        assert verifies(receiver, 1) == receiver.secrets[:3]
        for _ in range(2):
            await rotate(broker, receiver, id)
        await logged(broker, stock(3))
        await settled(broker, id, 3)
        assert verifies(receiver, 2) == receiver.secrets[:5]
        full = await broker.request("POST", f"{PATH}/{id}/secret", {}, token=ADMIN)
        assert (full.status, full.json()["type"]) == (409, "/problems/state-conflict")
        await rotate(broker, receiver, id, {"overlap_s": 0})
        await logged(broker, stock(4))
        await settled(broker, id, 4)
        assert verifies(receiver, 3) == receiver.secrets[:1]


async def test_a_repeated_rotation_gives_the_same_secret_which_is_kept_sealed(broker, receiver):
    id = await subscribe(broker, receiver)
    key = uuid4().hex
    first = await rotate(broker, receiver, id, key=key)
    await rotate(broker, receiver, id)
    again = await broker.request("POST", f"{PATH}/{id}/secret", {}, token=ADMIN, key=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first
    other = await broker.request(
        "POST", f"{PATH}/{id}/secret", {"overlap_s": 0}, token=ADMIN, key=key
    )
    assert (other.status, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert [event.action for event in await broker.said(ActionNoted)].count(
        "broker.webhook_secret_rotated"
    ) == 2
    rows = await broker.fetch("select body from answers")
    assert len(rows) == 1
    for secret in receiver.secrets:
        assert secret.encode() not in rows[0]["body"]


async def test_secrets_of_before_the_update_sign_on(broker, receiver):
    id = await subscribe(broker, receiver)
    async with broker.db.transaction() as tx:  # as the version before rotates, beside this one
        vault = Vault(KEYS, "broker.secret_keys")
        receiver.secrets.insert(0, webhooks.shown(b"n" * 32))
        await tx.execute(
            "update subscriptions set old_secret = secret, secret = $1, "
            "old_secret_until = now() + interval '1 day'", vault.seal(b"n" * 32),
        )  # fmt: skip
    await rotate(broker, receiver, id)
    async with delivering(broker):
        await logged(broker, stock(1))
        await settled(broker, id, 1)
    assert verifies(receiver, 0) == receiver.secrets


async def test_a_repeated_creation_makes_one_and_is_answered_as_the_first(broker, receiver):
    key = uuid4().hex
    body = {"url": receiver.url, "topics": ["inventory.stock_changed"]}
    first = await broker.request("POST", PATH, body, token=ADMIN, key=key)
    await ask(broker, "PATCH", f"{PATH}/{first.json()['id']}", {"url": f"{receiver.url}/other"})
    again = await broker.request("POST", PATH, body, token=ADMIN, key=key)
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    begin = {"time": "2026-01-01T00:00:00Z"}
    for more in ({"ordered": True}, {"description": "other"}, {"begin": begin}, {"topics": []}):
        other = await broker.request("POST", PATH, body | more, token=ADMIN, key=key)
        assert (other.status, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len((await ask(broker, "GET", PATH))["items"]) == 1
    [row] = await broker.fetch("select body from answers")
    assert b"whsec_" not in row["body"]


async def test_creations_with_one_key_at_once_make_one(broker, receiver):
    body, key = {"url": receiver.url}, uuid4().hex
    answers = await asyncio.gather(
        *(broker.request("POST", PATH, body, token=ADMIN, key=key) for _ in range(6))
    )
    assert {one.status for one in answers} == {201}
    assert len({one.body for one in answers}) == 1
    assert sum("idempotent-replayed" in one.headers for one in answers) == 5
    [_] = await broker.said(ActionNoted)


async def test_without_a_key_no_secret_is_kept(new_database, receiver):
    config = Config(here=("gateway",), environment="development")
    async with harness.alone(topology.services(config)["broker"], new_database) as broker:
        refused = await broker.request("POST", PATH, {"url": receiver.url}, token=ADMIN)
        assert refused.status == 503
        assert "broker.secret_keys" in refused.json()["detail"]
