"""A whole shop in processes of its own, as `merkato up` starts it, and customers who buy there."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp
import asyncpg
import documented
import msgspec
from harness import Answer, eventually

from merkato import config
from merkato.chassis.engines import ports
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import addresses

PATIENCE_S = 100
PASSWORD = "four quiet herons at dawn"
PROBLEM = "application/problem+json"
ADDRESS = {
    "name": "Ada Lund", "lines": ["1 Harbour Row"], "city": "Bremen", "postal_code": "28195",
    "country": "DE",
}  # fmt: skip
STAND_INS = ("mailbox", "processor", "telephones")
ON_ACCOUNT = {"method": "on_account"}


def removed(home):
    """Remove a shop's folder, and the data that had to be placed outside of it."""
    for link in home.rglob("postgres"):
        if link.is_symlink():
            shutil.rmtree(link.readlink().parent)
    shutil.rmtree(home)


def new_key():
    """An Idempotency-Key nobody used."""
    return uuid4().hex


async def patiently(ask):
    """Ask, five times while it is a 503: of many at once some may be too late for the database."""
    for _ in range(5):
        if (answer := await ask()).status != 503:
            break
    return answer


def card(token):
    """Pay with the stand-in's card of that name."""
    return {"method": "card", "token": token}


class Shop:
    """One shop in the folder `home`. `each`: a process per service."""

    def __init__(self, home, *, each=False):
        self.home, self.each = home, each
        self.port = ports.pick()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.session = None
        self.unanswered = []
        self.admin = ""

    def command(self, *words, text="", timeout_s=PATIENCE_S):
        """Run `merkato <words>` to its end; it has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "merkato", *words],
            env=os.environ | {"MERKATO_HOME": str(self.home)},
            cwd=self.home, capture_output=True, text=True, timeout=timeout_s, check=False,
            input=text,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    async def up(self, **settings):
        """Start it; `settings` are of its config.json."""
        wanted = {"environment": "development", "log_level": "warning", **settings}
        (self.home / "config.json").write_text(json.dumps(wanted))
        words = ["up", "--detach", "--no-demo", "--port", str(self.port), *["--each"] * self.each]
        await asyncio.to_thread(self.command, *words)

    async def down(self):
        await asyncio.to_thread(self.command, "down")

    def logs(self):
        """The ends of all logs."""
        files = sorted((self.home / "logs").glob("*.log")) if self.home.exists() else []
        return "".join(f"\n== {f.name}\n{f.read_text(errors='replace')[-3_000:]}" for f in files)

    def state(self):
        """What the supervisor says of its processes."""
        return json.loads((self.home / "run/state.json").read_text())

    def pid(self, name):
        """The process that runs a service now (all of them are in one called `shop`, or not)."""
        named = {child["name"]: child["pid"] for child in self.state()["children"]}
        return named[name] if name in named else named["shop"]

    @property
    def engines(self):
        return addresses(Home(self.home), config.SERVICES, None, None)

    @property
    def outside(self):
        """Addresses of the stand-ins: (mailbox, processor, telephones)."""
        numbers = Home(self.home).ports()
        return tuple(f"http://127.0.0.1:{numbers[name]}" for name in STAND_INS)

    async def __call__(self, method, path, body=None, *, token=None, key=None, cart=None,
                       order=None, headers=None, timeout_s=15.0):  # fmt: skip
        """Send a request. `cart`, `order`: guests' tokens. `body`: bytes as they are, else JSON."""
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"content-type": "application/json"} if content is not None else {}
        sent |= {"authorization": f"Bearer {token}"} if token else {}
        sent |= {"idempotency-key": key} if key else {}
        sent |= {"x-cart-token": cart} if cart else {}
        sent |= {"x-order-token": order} if order else {}
        url = path if path.startswith("http") else self.base_url + path
        async with self.session.request(
            method, url, data=content, headers=sent | (headers or {}), allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:  # fmt: skip
            found = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(response.status, found, await response.read())
        if not path.startswith("http"):
            kind = found.get("content-type")
            documented.check(method, path, answer.status, kind, answer.body)
        return answer

    async def ok(self, method, path, body=None, **more):
        """Send a request that has to succeed; give its answer, decoded."""
        answer = await self(method, path, body, **more)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.json() if answer.body else None

    async def sql(self, service, statement, *values):
        """Ask a service's database, as the reading role."""
        connection = await asyncpg.connect(self.engines.audit_urls[service], timeout=10)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    async def log_in(self, email, password=PASSWORD):
        body = {"email": email, "password": password}
        answer = await patiently(lambda: self("POST", "/api/v1/auth/token", body))
        assert answer.status == 200, answer
        return answer.json()["access_token"]

    async def member(self, name="customer"):
        """Register somebody: (e-mail address, access token)."""
        email = f"{name}-{uuid4().hex[:12]}@example.org"
        await self.ok("POST", "/api/v1/auth/register", {"email": email, "password": PASSWORD})
        return email, await self.log_in(email)

    async def members(self, count):
        """Register many, four at a time: each password takes a processor for a while."""
        places = asyncio.Semaphore(4)

        async def one():
            async with places:
                return await self.member()

        return await asyncio.gather(*(one() for _ in range(count)))

    async def make_admin(self):
        self.command("create-admin", "admin@example.org", text=PASSWORD + "\n")
        self.admin = await self.log_in("admin@example.org")

    async def sell(self, *, price=1_000, stock=1_000, title="Lamp", **variant):
        """Put a product on sale and wait until it can be bought; gives its sku."""
        sku = f"SKU-{uuid4().hex[:12]}"
        row = {"sku": sku, "prices": [{"currency": "EUR", "amount_minor": price}], **variant}
        body = {"status": "active", "texts": {"en": {"title": f"{title} {sku}"}}, "variants": [row]}
        await self.ok("POST", "/api/v1/products", body, token=self.admin)
        if variant.get("track_stock", True):
            await self.restock(sku, stock)

        async def is_known():
            rows = await self.sql("orders", "select from offers where sku = $1 and active", sku)
            return bool(rows)

        await eventually(is_known)
        return sku

    async def restock(self, sku, stock):
        body = {"on_hand": stock}
        await self.ok("PUT", f"/api/v1/stock/{sku}", body, token=self.admin, key=new_key())

    async def shelf(self, sku):
        """(on hand, reserved)"""
        query = "select on_hand, reserved from stock where sku = $1"
        [row] = await self.sql("inventory", query, sku)
        return row["on_hand"], row["reserved"]

    def order_of(self, lines, email, payment=None, **more):
        """A body for POST /orders; `lines`: sku -> quantity."""
        return {
            "lines": [{"sku": sku, "quantity": n} for sku, n in lines.items()],
            "contact": {"email": email}, "shipping_address": ADDRESS,
            "shipping_method": "standard", "payment": payment or ON_ACCOUNT, **more,
        }  # fmt: skip

    async def place(self, body, *, token=None, key=None, **more):
        return await self("POST", "/api/v1/orders", body, token=token, key=key or new_key(), **more)

    async def order(self, order_id, **who):
        return await self.ok("GET", f"/api/v1/orders/{order_id}", **(who or {"token": self.admin}))

    async def until(self, order_id, status="confirmed", *, seconds=30.0):
        """Wait until an order stands there; gives it."""

        async def there():
            found = await self.order(order_id)
            return found if found["status"] == status else None

        return await eventually(there, seconds=seconds, pause=0.1)

    async def cancel(self, order_id, **who):
        path = f"/api/v1/orders/{order_id}/cancellation"
        return await self("POST", path, {}, key=new_key(), **(who or {"token": self.admin}))

    async def mails(self, to):
        """Mails to an address, oldest first."""
        found = await self.ok("GET", f"{self.outside[0]}/api/messages?to={to}&limit=1000")
        return found["items"][::-1]

    async def mails_about(self, order_id, what):
        """Message-IDs of the accepted mails that tell a step of an order."""
        path = f"{self.outside[0]}/api/messages?limit=1000"
        found = (await self.ok("GET", path))["items"]
        start = f"{order_id}.{what}."
        return [mail["message_id"] for mail in found if mail["message_id"].startswith(start)]

    async def ledger(self):
        """All money that the stand-in processor moved."""
        return (await self.ok("GET", f"{self.outside[1]}/standin/ledger?limit=10000"))["items"]

    async def broken_laws(self):
        """Look over all databases for what must never be: an empty list."""
        wrong = []
        for service, law, query in LAWS:
            rows = await self.sql(service, query)
            wrong += [f"{law}: {dict(row)}" for row in rows]
        return wrong + await self._orders_against_stock() + await self._mails_against_orders()

    async def _orders_against_stock(self):
        """S4 and S5: what was taken off the shelf is what confirmed orders have ordered."""
        orders = await self.sql("orders", ORDERED)
        holds = await self.sql("inventory", "select order_id, state from reservations")
        state = {row["order_id"]: row["state"] for row in holds}
        fits = {"confirmed": {"committed"}, "cancelled": {"released", "expired", None},
                "placed": {"held"}}  # fmt: skip
        return [
            f"S4: order {row['id']} is {row['status']}, its reservation {state.get(row['id'])}"
            for row in orders
            if state.get(row["id"]) not in fits[row["status"]]
        ]

    async def _mails_against_orders(self):
        """N1: one confirmation for every order that was ever confirmed, if anybody can be told."""
        rows = await self.sql("orders", TO_BE_TOLD)
        confirmed = {str(row["order_id"]) for row in rows}
        sent = await self.sql("notifications", CONFIRMATIONS)
        counts = Counter(row["fact"].removesuffix(".confirmed") for row in sent)
        wrong = [f"N1: {order_id} has {n} mails" for order_id, n in counts.items() if n != 1]
        return wrong + [f"N1: {one} has no mail" for one in confirmed - counts.keys()]


TO_BE_TOLD = """
select order_id from timeline join order_contacts using (order_id)
 where what = 'confirmed' and contact is not null
"""
CONFIRMATIONS = """
select fact from messages where channel = 'email' and state = 'sent' and fact like '%.confirmed'
"""
ORDERED = """
select o.id, o.status from orders o
 where exists (select from order_lines l where l.order_id = o.id)
   and exists (select from outbox e where e.key = o.id::text and e.type like 'orders.order_placed%'
                  and e.body::jsonb @> '{"lines": [{"tracked": true}]}')
"""
LAWS = (
    ("inventory", "S1", """select sku, on_hand, j.sum from stock
        left join lateral (select sum(delta) from journal where journal.sku = stock.sku) j on true
        where on_hand <> coalesce(j.sum, 0)"""),
    ("inventory", "S2", """select s.sku, s.reserved, h.sum from stock s left join lateral (
        select sum(l.quantity) from reservation_lines l join reservations r using (order_id)
         where l.sku = s.sku and r.state = 'held') h on true
        where s.reserved <> coalesce(h.sum, 0)"""),
    ("orders", "O1", """select order_id, count(*) from timeline where from_status is not null
        group by order_id having count(*) filter (where to_status = 'confirmed') > 1
            or count(*) filter (where to_status = 'cancelled') > 1"""),
    ("orders", "E1", """select key, count(*) from outbox where key in (select id::text from orders)
        group by key having count(*) <> max(sequence)"""),
    ("orders", "I1", """select principal, idempotency_key, count(*) from orders
        group by 1, 2 having count(*) > 1"""),
    *((name, "E1 unpublished", """select id, type, said_at from outbox where published_at is null
        and said_at < clock_timestamp() - interval '30 s'""") for name in config.SERVICES),
    *((name, "dead letter", """select event_id, type, reason from set_aside
        where state in ('waiting', 'dead')""") for name in config.SERVICES),
)  # fmt: skip


@asynccontextmanager
async def open_shop(home, *, each=False, **settings):
    """Start a shop in `home`, with an administrator; stop it at the end."""
    shop = Shop(home, each=each)
    await shop.up(**settings)
    connector = aiohttp.TCPConnector(limit=400)
    cookies = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=cookies) as shop.session:
        try:
            await shop.make_admin()
            yield shop
        finally:
            await shop.down()


def whose(tokens, key):
    """Whose order a key is: one of a few customers, each of whom may have 20 holds at a time."""
    return tokens[int(key[:8], 16) % len(tokens)]


async def load(shop, sku, tokens, stop, *, per_s=20.0):
    """Place orders until `stop` is set; gives {key: order id or None} of all that were sent.

    None means that no answer came, or not a good one: the order may exist. What came instead is
    in `shop.unanswered`.
    """
    sent, shop.unanswered = {}, []

    async def one(key):
        sent[key] = None
        body = shop.order_of({sku: 1}, f"{key}@example.org")
        try:
            answer = await shop.place(body, token=whose(tokens, key), key=key)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            shop.unanswered.append(repr(error))
            return
        if answer.status == 202:
            sent[key] = answer.json()["id"]
        else:
            shop.unanswered.append(repr(answer))

    async with asyncio.TaskGroup() as group:
        due = time.monotonic()
        while not stop.is_set():
            group.create_task(one(new_key()))
            due += 1 / per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return sent
