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
from e2e.test_staff import linked
from harness import eventually
from receiver import receiving
from service.letters_desk import PLANT, cancelled, message_of
from shopping import PASSWORD, card, new_key

from merkato import topology
from merkato.config import SERVICES, Config
from merkato.contracts.values import Contact


@pytest_asyncio.fixture(scope="module")
async def shop():
    """A shop whose processes write down all they have to say."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-canaries-"))
    async with shopping.open_shop(folder, log_level="debug") as running:
        yield running
    shopping.removed(folder)


# Hidden fields whose value is a secret that the shop makes itself.
MADE_BY_US = {("payments.payment_action_required.v1", "url")}
# Hidden fields, by name, that need not be found said with a canary; with the reason.
NO_CANARY = {
    "locale": "one of the shop's languages, which stands everywhere",
    "payment_token": "blanked once it was used, so seldom found said; planted as a card",
}


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
    third = {"refresh_token": again["refresh_token"]}
    third = await shop.ok("POST", "/api/v1/auth/token/refresh", third)
    secrets["third refresh token"] = third["refresh_token"]
    assert (await shop("POST", "/api/v1/auth/token/refresh", refreshed)).status == 401
    await shop.ok("POST", "/api/v1/auth/register", who | {"name": canary.word})
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
    secrets["card"] = f"pm_standin_decline_once_{uuid4().hex}"
    body = canary.order(shop, sku, card(secrets["card"]))
    assert (await shop.place(body, token=token)).status == 202
    await live_on(shop, canary, token, orders[0]["id"])
    secrets |= of_installation(shop.engines.secrets)
    return all_of, orders


def of_installation(kept):
    """Name everything secret of an installation."""
    found = {}
    for name, value in msgspec.structs.asdict(kept).items():
        for whose, word in value.items() if isinstance(value, dict) else [("shop", value)]:
            secret = word["d"] if name == "signing" else word
            assert len(secret) > 15, f"{name} of {whose} is no secret that could be found"
            found[f"{name} of {whose}"] = secret
    return found


async def live_on(shop, canary, token, order_id):
    """Do what makes the events that a life and its orders did not say."""

    async def post(path, body=None, who=None):
        more = {"token": who or shop.admin, "key": new_key()}
        return await shop.ok("POST", f"/api/v1/{path}", body or {}, **more)

    shipments = (await shop.order(order_id))["shipments"]
    await post(f"shipments/{shipments[0]['id']}/delivery")
    back = {"lines": [{"line_no": 1, "quantity": 1}], "note": canary.word}
    asked = await post(f"orders/{order_id}/returns", back, token)
    await post(f"returns/{asked['id']}/rejection", {"reason": f"It smells of {canary.word}."})
    goodwill = {"amount_minor": 1, "reason": f"For {canary.word}, who was patient."}
    await post(f"orders/{order_id}/credits", goodwill)
    me = await shop("GET", "/api/v1/me", token=shop.admin)
    tag = {"if-match": me.headers["etag"]}
    await shop.ok("PATCH", "/api/v1/me", {"name": canary.word}, token=shop.admin, headers=tag)
    invited = {"email": f"{canary.word}-3@example.org", "role": "fulfilment"}
    await post("invitations", invited)
    moved = {"email": f"{canary.word}-4@example.org", "password": PASSWORD}
    await shop.ok("POST", "/api/v1/me/email", moved, token=token)
    link = {"token": await linked(shop, moved["email"], "verify-email")}
    await shop.ok("POST", "/api/v1/auth/email/verify", link)


def hidden_fields():
    """List (event type, field) of all personal and secret fields of the code."""
    services = topology.services(Config(here=("gateway",))).values()
    return {(event.type, field) for one in services for event in one.says
            for field in event.hidden_fields()}  # fmt: skip


async def said_of(shop, planted):
    """List the hidden fields that were said with a canary; what we made ourselves becomes one."""
    sung = set()
    for service in SERVICES:
        for row in await shop.sql(service, "select type, hidden from outbox where hidden <> '{}'"):
            for field, value in msgspec.json.decode(row["hidden"]).items():
                if (row["type"], field) in MADE_BY_US and value:
                    planted.secrets[f"{field} of {row['type']}"] = value
                if value and planted.found_in(msgspec.json.encode(value).decode()):
                    sung.add((row["type"], field))
    return sung


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
        sung, hidden = await said_of(shop, all_of), hidden_fields()
        assert {one for one in hidden - sung if one[1] not in NO_CANARY} == set()
        assert NO_CANARY.keys() <= {field for _, field in hidden}
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
    only_public(msgspec.json.decode(body) for _, body in receiver.got)
    only_public(reader.events)
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


def only_public(events):
    """Check that events show no field that their contract does not make public."""
    services = topology.services(Config(here=("gateway",))).values()
    public = {event.type: set(event.public) for one in services for event in one.says}
    shown = {}
    for event in events:
        shown.setdefault(event["type"], set()).update(event["data"])
    assert len(shown) > 15
    assert {name: more for name, data in shown.items() if (more := data - public[name])} == {}


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
