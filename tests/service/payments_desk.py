"""The payments service for tests: alone on PostgreSQL, with the stand-in processor over HTTP."""

import contextlib
from datetime import timedelta
from uuid import uuid4

import harness
from aiohttp import web
from service.test_outside_running import KEY, SECRET, free_port, started

from merkato.config import Config, Orders, Payments
from merkato.contracts.orders import (
    LinesShipped,
    OrderCancelled,
    OrderCredited,
    OrderPlaced,
    Totals,
)
from merkato.payments.service import service

ORDER_SECRET = "o" * 32
STAFF = harness.user_token(role="staff")


def configured(url, **settings):
    fixed = {"stripe_url": url, "stripe_key": KEY, "stripe_webhook_secret": SECRET}
    known = {"provider_deadline_s": 1.0, **fixed, **settings}
    return Config(payments=Payments(**known), orders=Orders(token_secret=ORDER_SECRET))


def placed(order_id=None, method="card", token="pm_card_visa", amount=4599, **changed):
    facts = {
        "order_id": order_id or uuid4(), "number": "K7QM-2F9X-4", "customer_id": None, "lines": (),
        "totals": Totals(items_minor=amount, shipping_minor=0, tax_minor=0, grand_minor=amount),
        "currency": "EUR", "payment_method": method, "placed_at": harness.now(),
        "pay_until": harness.now() + timedelta(minutes=30),
        "payment_token": token if method == "card" else None,
    }  # fmt: skip
    return OrderPlaced(**facts | changed)


def cancelled(event, credit_id=None):
    return OrderCancelled(
        order_id=event.order_id, number=event.number, customer_id=event.customer_id, lines=(),
        totals=event.totals, currency=event.currency, reason="customer",
        was_confirmed=credit_id is not None, credit_id=credit_id,
    )  # fmt: skip


def of(event):
    return {
        "order_id": event.order_id, "number": event.number, "customer_id": event.customer_id,
        "currency": event.currency,
    }  # fmt: skip


def shipped(event, complete=True):
    return LinesShipped(**of(event), shipment_id=uuid4(), lines=(), carrier=None, tracking=None,
                        complete=complete)  # fmt: skip


def credited(event, amount, *, complete=False, kind="goodwill", credit_id=None):
    return OrderCredited(
        **of(event), credit_id=credit_id or uuid4(), kind=kind, amount_minor=amount, lines=(),
        credited_minor=amount, complete=complete,
    )  # fmt: skip


class Desk:
    """What a test does with the service."""

    def __init__(self, alone, outside):
        self.alone, self.outside = alone, outside
        self.request, self.hear, self.said = alone.request, alone.hear, alone.said
        self.deliver = True  # take webhooks
        self.webhooks = []  # (body, signature) as they came

    async def ask(self):
        """Have the provider asked about what is due."""
        return await self.alone.run_job("ask-provider")

    async def settled(self, order_id, *states, seconds=30):
        """Let the jobs run until the payment is in one of the states; give the row."""

        async def there():
            await self.alone.run_job("look-at-webhooks")
            await self.ask()
            row = await self.row(order_id)
            return row if row and row["state"] in states else None

        return await harness.eventually(there, seconds=seconds, pause=0.1)

    async def row(self, order_id):
        rows = await self.alone.fetch("select * from payments where order_id = $1", order_id)
        return rows[0] if rows else None

    async def operations(self, order_id):
        return await self.alone.fetch(
            "select o.* from operations o join payments p on p.id = o.payment_id"
            " where p.order_id = $1 order by o.created_at, o.id",
            order_id,
        )

    async def balance(self):
        """The ledger's balances by account."""
        rows = await self.alone.fetch(
            "select account, sum(amount_minor)::bigint as sum from entries group by account"
        )
        return {row["account"]: row["sum"] for row in rows if row["sum"]}

    async def moved(self, order_id):
        """What the processor's own ledger says of an order: [(kind, amount)]."""
        ours = {o["reference"] for o in await self.operations(order_id)}
        rows = await self.outside.ledger()
        return [
            (row["kind"], row["amount"])
            for row in rows
            if row["metadata"].get("order_id") == str(order_id) or row["reference"] in ours
        ]

    async def has_moved(self, order_id, expected):
        """Have the provider asked until its ledger says so; a webhook may hold up one question."""

        async def says_so():
            await self.ask()
            return await self.moved(order_id) == expected

        await harness.eventually(says_so, seconds=30)

    async def answer(self, url, choice):
        """Answer a challenge as the customer; the shop's page behind it is not here."""
        form = {"answer": choice}
        async with self.outside.http.post(url, data=form, allow_redirects=False) as page:
            assert page.status < 400 or choice == "accept"

    async def types(self):
        return [type(event).__name__ for event in await self.said()]

    async def staff(self, method, path, body=None, key=None):
        keyed = key or (f"key-{uuid4()}" if method == "POST" else None)
        return await self.request(method, f"/api/v1{path}", body, token=STAFF, key=keyed)


@contextlib.asynccontextmanager
async def opened(new_database, outside, **settings):
    """A desk whose processor is `outside`; webhooks arrive where `outside` sends them."""
    made = service(configured(outside.url, **settings))
    provider = made.provides(None)["reader"]
    async with harness.alone(made, new_database) as alone:
        desk = Desk(alone, outside)
        outside.desk = desk
        try:
            yield desk
        finally:
            outside.desk = None
            await provider.close()


@contextlib.asynccontextmanager
async def processor(folder):
    """The stand-in as a process; its webhooks go to the desk that is open."""
    port = free_port()

    async def take(request):
        body, signature = await request.read(), request.headers["Stripe-Signature"]
        desk = outside.desk
        if desk is None:
            return web.Response(status=200)
        desk.webhooks.append((body, signature))
        if not desk.deliver:
            return web.Response(status=503)
        headers = {"stripe-signature": signature}
        path = "/api/v1/payments/webhooks/stripe"
        answer = await desk.request("POST", path, body, headers=headers)
        return web.Response(status=answer.status)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with started(folder, webhook_url=f"http://127.0.0.1:{port}/hook") as outside:
            outside.desk = None
            yield outside
    finally:
        await runner.cleanup()
