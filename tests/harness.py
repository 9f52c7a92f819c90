"""One service alone on real engines, for tests: its HTTP, what it said, and events to hear."""

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import documented
import msgspec
from joserfc.jwk import OKPKey

from merkato.chassis import ask, ear, inbox, outbox
from merkato.chassis.allowance import Allowances
from merkato.chassis.db import connected as db_connected
from merkato.chassis.edge import edge
from merkato.chassis.http import app as http_app
from merkato.chassis.keys import ApiKeys, key_hash
from merkato.chassis.service import Resources
from merkato.chassis.tokens import Tokens
from merkato.config import SERVICES, Keys
from merkato.contracts.trail import ActionNoted


def make_keys():
    """A signing key per service, as a configuration would hold them."""
    signing, published = {}, {}
    for name in SERVICES:
        key = OKPKey.generate_key("Ed25519", {"kid": f"{name}-1"})
        signing[name] = key.as_dict(private=True)
        published[name] = (key.as_dict(private=False),)
    return Keys(signing=signing, published=published)


KEYS = make_keys()


class Answer:
    """What came back."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return msgspec.json.decode(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


class Client:
    """Speaks to an ASGI app as the gateway would."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, method, path, body=None, *, token=None, key=None, headers=None):
        """Send one request. `body`: bytes go as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            content = msgspec.json.encode(body)
        sent = {"content-length": str(len(content))}
        if content:
            sent["content-type"] = "application/json"
        if token:
            sent["authorization"] = f"Bearer {token}"
        if key:
            sent["idempotency-key"] = key
        sent |= headers or {}
        found = {}

        async def noting(scope, receive, send):
            async def sending(message):
                if message["type"] == "http.response.start":
                    for name, value in message["headers"]:
                        found[name.decode().lower()] = value.decode()
                await send(message)

            await self.app(scope, receive, sending)

        raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
        status, answer = await ask.call(noting, method, path, raw, content)
        documented.check(method, path, status, found.get("content-type"), answer)
        return Answer(status, found, answer)


def user_token(user_id=None, role="customer", **claims):
    """A person's access token, signed as users would; good for as long as tests may take.

    Many files make theirs when they are read, long before their tests run.
    """
    tokens = Tokens("users", KEYS.signing["users"], KEYS.published)
    body = {"sub": str(user_id or uuid4()), "role": role, **claims}
    return tokens.sign(body, audience="merkato", seconds=86_400)


def service_token(caller, callee):
    """A token by which service `caller` proves itself to `callee`."""
    return Tokens(caller, KEYS.signing[caller], KEYS.published).for_service(callee)


def api_key(*scopes):
    """A program's API key with these scopes, and its id; every service under test knows it."""
    key, key_id = f"mk_{secrets.token_hex(4)}_{secrets.token_hex(32)}", uuid4()
    _grants[key_hash(key).hex()] = {"id": key_id, "scopes": scopes}
    return key, key_id


def end_api_key(key):
    """Have users know such a key no longer."""
    del _grants[key_hash(key).hex()]


_grants = {}


async def keeper(scope, receive, send):
    """What users would answer to those who ask whose key it is."""
    grant = _grants.get(scope["path"].rsplit("/", 1)[-1])
    app = answering(200, grant) if grant else answering(404, {"type": "/problems/not-found"})
    await app(scope, receive, send)


class Alone:
    """A service under test. No relay and no jobs run by themselves: the test runs them."""

    def __init__(self, service, resources, app):
        self.service, self.resources, self.db = service, resources, resources.db
        self.request = Client(app)
        self.inbox = inbox.Inbox(self.db, service.name, service.hears_all())
        self._position = 0

    async def said(self, event_type=None):
        """All events said so far, oldest first, whole, as structs; audit entries if asked for."""
        known = {event.type: event for event in self.service.says}
        async with self.db.reading() as tx:
            rows = await tx.fetch("select type, body, hidden from outbox order by seq")
        events = []
        for row in rows:
            data = msgspec.json.decode(row["body"]) | msgspec.json.decode(row["hidden"] or "{}")
            events.append(msgspec.convert(data, known[row["type"]]))
        if event_type is None:
            return [e for e in events if not isinstance(e, ActionNoted)]
        return [e for e in events if isinstance(e, event_type)]

    async def hear(self, *events, ids=None):
        """Have the service hear events as one batch, as the bus would hand them over."""
        batch = []
        for n, event in enumerate(events):
            self._position += 1
            row = {
                "id": ids[n] if ids else uuid4(), "type": event.type, "key": event.key,
                "sequence": 1, "cause": None, "request_id": None, "tries": 0, "hidden": None,
                "body": msgspec.json.encode(event).decode(), "said_at": now(),
            }  # fmt: skip
            message = outbox._message(row, event.type.split(".")[0])
            batch.append(
                ear.Incoming(message.id, event.type, self._position, message.body, "reply")
            )
        await self.inbox.receive(batch)

    async def run_job(self, name):
        """Run one of the service's jobs until it finds nothing to do. Gives how much it did."""
        [every] = [every for every in self.service.jobs if every.name == name]
        total = 0
        while done := await every.job(self.resources):
            total += done
        return total

    async def forget(self):
        """Run both rounds of forgetting, with everything published before."""
        for _ in range(2):
            async with self.db.transaction() as tx:
                await tx.execute(
                    "update outbox set published_at = now() where published_at is null"
                )
                await tx.execute("update forgotten set next_at = now() where next_at is not null")
            await self.service.forget_due(self.resources)

    async def fetch(self, sql, *values):
        async with self.db.reading() as tx:
            return await tx.fetch(sql, *values)

    async def dead(self):
        """What the inbox has set aside."""
        return await self.fetch("select * from set_aside where state in ('waiting', 'dead')")


def now():
    return datetime.now(UTC)


async def migrated(dsn, name):
    async with db_connected(dsn) as db:
        await db.migrate("merkato.chassis", f"merkato.{name}")


_preparations = {}


def preparation(name):
    """One function per service: it is the key of the template database."""
    if name not in _preparations:

        async def prepare(dsn):
            await migrated(dsn, name)

        _preparations[name] = prepare
    return _preparations[name]


@asynccontextmanager
async def alone(service, new_database, apps=None):
    """Run one service on a fresh database; `apps`: stand-ins (ASGI apps) for services it asks."""
    dsn = await new_database(service.name, prepare=preparation(service.name))
    tokens = Tokens(service.name, KEYS.signing[service.name], KEYS.published)
    async with db_connected(dsn) as db:
        resources = Resources(service.name, db, ask.Asks(apps or {}, tokens), tokens)
        provided = {
            "db": db, "asks": resources.asks, "tokens": tokens, "kinds": service.kinds(),
        }  # fmt: skip
        users = {"users": (apps or {}).get("users", keeper)}
        keys = ApiKeys(ask.Asks(users, tokens))
        inner = http_app(
            service.all_routes(), tokens, keys, {**provided, **service.provides(resources)}
        )

        async def ready():
            return {}

        if service.name == "users":
            users["users"] = inner
        yield Alone(
            service, resources, edge(service.name, inner, ready, Allowances(service.routes))
        )


def answering(status, body):
    """An ASGI app outside of us that always says the same."""

    async def app(scope, receive, send):
        content = msgspec.json.encode(body)
        start = {"type": "http.response.start", "status": status, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return app


async def eventually(check, *, seconds=20.0, pause=0.05):
    """Wait until `await check()` is truthy and give that; fail with the last answer otherwise."""
    until = time.monotonic() + seconds
    while not (got := await check()):
        if time.monotonic() > until:
            raise AssertionError(f"after {seconds} s still {got!r}")
        await asyncio.sleep(pause)
    return got
