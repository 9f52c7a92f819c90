"""Canaries: strings planted as every personal, private and secret value are found in no open place.

The places: the registry of topics, the log and its stream, webhooks, pages of dead letters, the
files that all processes log to (here at their most talkative), and the metrics.
"""

import asyncio
import re
import tempfile
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
import shopping
from e2e.test_buying import guest_cart
from e2e.test_events import Reader
from e2e.test_personal_data import Canary, a_life
from harness import eventually
from receiver import receiving
from service.letters_desk import PLANT, cancelled, message_of
from shopping import new_key

from merkato.contracts.values import Contact


@pytest_asyncio.fixture(scope="module")
async def shop():
    """A shop whose processes write down all they have to say."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-canaries-"))
    async with shopping.open_shop(folder, log_level="debug") as running:
        yield running
    shopping.removed(folder)


class Planted:
    """What was planted: words of a person, and secrets by what they are."""

    def __init__(self):
        self.canary, self.secrets = Canary(), {}

    def found_in(self, text):
        """Name what of it stands in a text."""
        found = [name for name, secret in self.secrets.items() if secret in text]
        return found + ["a person's word"] * (self.canary.word in text.lower())


async def planted(shop):
    """Have a person live in the shop, and make a secret of each kind."""
    all_of = Planted()
    secrets, canary = all_of.secrets, all_of.canary
    token, orders = await a_life(shop, canary)
    secrets["password"] = f"a quiet {uuid4().hex} river"
    who = {"email": f"{canary.word}-2@example.org", "password": secrets["password"]}
    await shop.ok("POST", "/api/v1/auth/register", who | {"name": canary.word})
    await shop("POST", "/api/v1/auth/token", who | {"password": f"{who['password']}-wrong"})
    pair = await shop.ok("POST", "/api/v1/auth/token", who)
    secrets["access token"], secrets["admin's token"] = pair["access_token"], shop.admin
    secrets["customer's token"] = token
    refreshed = {"refresh_token": pair["refresh_token"]}
    secrets["refresh token"] = pair["refresh_token"]
    again = await shop.ok("POST", "/api/v1/auth/token/refresh", refreshed)
    secrets["second refresh token"] = again["refresh_token"]
    password = {"password": secrets["password"]}
    factor = await shop("POST", "/api/v1/me/totp", password, token=pair["access_token"])
    if factor.status < 300:
        secrets["second factor"] = factor.json()["secret"]
    await shop.ok("POST", "/api/v1/auth/password/forgot", {"email": canary.email})
    key = {"name": "A program", "scopes": ["orders:read"]}
    made = await shop.ok("POST", "/api/v1/api-keys", key, token=shop.admin)
    secrets["API key"] = made["key"]
    await shop("GET", "/api/v1/orders", token=made["key"])
    sku = await shop.sell()
    path, cart = await guest_cart(shop, {sku: 1}, canary.email)
    body = canary.order(shop, sku) | {"cart_id": path.rsplit("/", 1)[-1]}
    del body["lines"]
    placed = (await shop.place(body, cart=cart)).json()
    secrets["cart's token"], secrets["order's token"] = cart, placed["token"]
    await shop.until(placed["id"])
    await shop("GET", f"/api/v1/orders/{placed['id']}", order=placed["token"])
    kept = shop.engines.secrets
    secrets |= {f"{name}'s password for the database": word for name, word in kept.postgres.items()}
    secrets |= {f"{name}'s password for the bus": word for name, word in kept.nats.items()}
    secrets |= {f"{name}'s signing key": key["d"] for name, key in kept.signing.items()}
    return all_of, orders


async def mailed_links(shop, planted):
    """Add what was mailed: links with tokens in them."""

    async def reset():
        mails = await shop.mails(planted.canary.email)
        texts = [
            (await shop.ok("GET", f"{shop.outside[0]}/api/messages/{one['id']}"))["text"]
            for one in mails
        ]
        return {token for text in texts for token in re.findall(r"token=([\w.~-]{20,})", text)}

    tokens = await eventually(reset)
    planted.secrets |= {f"mailed token {n}": token for n, token in enumerate(sorted(tokens))}


async def dead_letter(shop, planted):
    """Set an event with a person's words aside, as a service does that failed on it."""
    contact = Contact(email=planted.canary.email, name=planted.canary.word)
    event = msgspec.structs.replace(cancelled(uuid4()), contact=contact)
    event_id = uuid4()
    db = await asyncpg.connect(shop.engines.database_urls["inventory"])
    reason = f"ValueError('nothing for {planted.canary.email}')"
    try:
        await db.execute(
            PLANT, event_id, event.type, event.key, 1, message_of(event, event_id), reason, "dead"
        )
        await db.execute("insert into inbox (event_id) values ($1)", event_id)
    finally:
        await db.close()
    return f"inventory:{event_id}"


async def walked(shop, path):
    """All pages of a list, as text."""
    text, query = "", "?limit=100" * (not path.endswith("/topics"))
    name = "after" if path.endswith("/events") else "cursor"
    while query is not None:
        page = await shop("GET", path + query, token=shop.admin)
        assert page.status == 200, page
        text += page.body.decode()
        cursor = page.json().get("next_cursor")
        query = f"?limit=100&{name}={cursor}" if cursor else None
    return text


async def test_no_canary_sings_in_the_open(shop):
    async with receiving() as receiver, Reader(shop) as reader:
        body = {"url": receiver.url, "description": "everything"}
        made = await shop.ok("POST", "/api/v1/subscriptions", body, token=shop.admin, key=new_key())
        all_of, orders = await planted(shop)
        all_of.secrets["webhook's secret"] = made["secret"]
        await mailed_links(shop, all_of)
        letter = await dead_letter(shop, all_of)
        for asked in ("orders?email", "users?q", "notifications?recipient", "nothing?token"):
            answer = await shop("GET", f"/api/v1/{asked}={all_of.canary.email}", token=shop.admin)
            assert answer.status < 500

        async def all_told():
            before = (await shop.sql("broker", TOLD))[0]
            await asyncio.sleep(2)
            return before["waiting"] == 0 and (await shop.sql("broker", TOLD))[0] == before

        await eventually(all_told, seconds=60)
        sent = "".join(body.decode() + str(headers) for headers, body in receiver.got)
        streamed = "".join(map(str, reader.events))

    places = {
        "registry": await walked(shop, "/api/v1/topics"),
        "log": await walked(shop, "/api/v1/events"),
        "stream": streamed,
        "webhooks": sent,
        "subscriptions": await walked(shop, "/api/v1/subscriptions"),
        "deliveries": await walked(shop, "/api/v1/deliveries"),
        "dead letters": await walked(shop, "/api/v1/dead-letters"),
        "a dead letter": (await opened(shop, letter)).body.decode(),
        "OpenAPI": (await shop("GET", "/openapi.json")).body.decode(),
        "audit trail": await walked(shop, "/api/v1/audit-trail"),
        "metrics": await metrics(shop),
    }
    for order in orders:
        assert str(order["id"]) in places["log"], "the log tells of these orders"
        assert str(order["id"]) in sent
        assert str(order["id"]) in streamed
    assert letter in places["dead letters"]
    assert "merkato_request_seconds" in places["metrics"]
    files = [*shop.home.glob("logs/*"), *shop.home.glob("run/*.log")]
    assert {"shop.log", "postgres.log", "nats.log", "outside.log"} <= {one.name for one in files}
    places |= {f"log file {one.name}": one.read_text("utf-8", "replace") for one in files}
    wrong = {place: all_of.found_in(text) for place, text in places.items()}
    assert {place: found for place, found in wrong.items() if found} == {}
    discarded = await shop(
        "POST", f"/api/v1/dead-letters/{letter}/discard", token=shop.admin, key=new_key()
    )
    assert discarded.status == 200
    assert all_of.found_in(discarded.body.decode()) == []


TOLD = """
select (select count(*) from log) as logged,
       (select count(*) from deliveries where state = 'pending') as waiting
"""


async def opened(shop, letter):
    answer = await shop("GET", f"/api/v1/dead-letters/{letter}", token=shop.admin)
    assert answer.status == 200
    assert answer.json()["hidden"] == ["contact"]
    return answer


async def metrics(shop):
    """What every process tells a monitor on its own machine."""
    answer = await shop("GET", "/metrics")
    return answer.body.decode()


@pytest.mark.parametrize("secret", ["password", "token"])
def test_a_canary_that_sings_is_heard(secret):
    all_of = Planted()
    all_of.secrets[secret] = uuid4().hex
    assert all_of.found_in(f"… {all_of.secrets[secret]} …") == [secret]
    assert all_of.found_in(f"… {all_of.canary.email.upper()} …") == ["a person's word"]
    assert all_of.found_in("nothing") == []
