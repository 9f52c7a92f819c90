"""A service of orders under test, with stand-ins that answer as inventory and payments would."""

from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import harness
import msgspec

from merkato.config import Config, Orders
from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.payments import PaymentState
from merkato.orders.service import service

SETTINGS = Orders(token_secret="s" * 40, watch_after_s=0)
PERSON = uuid4()
TOKEN = harness.user_token(PERSON)
STAFF = harness.user_token(role="staff")


class Inventory:
    """Answers as it is told; notes what it was asked."""

    def __init__(self):
        self.status, self.body, self.asked = 201, {}, []
        self.before_answer = None

    async def __call__(self, scope, receive, send):
        message = await receive()
        self.asked.append((scope["method"], scope["path"].rsplit("/", 1)[-1]))
        if scope["method"] == "PUT" and self.before_answer is not None:
            await self.before_answer()
        status = self.status if scope["method"] == "PUT" else 204
        body = {"type": f"/problems/{self.body.get('slug', 'x')}", **self.body}
        await harness.answering(status, body)(scope, receive, send)
        assert message["type"] == "http.request"

    def given_back(self):
        return [path for method, path in self.asked if method == "DELETE"]


class Payments:
    """Answers what `states` has of an order, or the status that stands there; else 404."""

    def __init__(self):
        self.states = {}

    async def __call__(self, scope, receive, send):
        found = self.states.get(UUID(scope["path"].rsplit("/", 1)[-1]), 404)
        status, body = (200, found) if isinstance(found, PaymentState) else (found, {})
        await harness.answering(status, msgspec.to_builtins(body))(scope, receive, send)


@asynccontextmanager
async def opened(new_database, stock, payments):
    """Orders alone, with A for 10.00 EUR and B for 5.00 EUR on offer."""
    apps = {"inventory": stock, "payments": payments}
    made = service(Config(orders=SETTINGS))
    async with harness.alone(made, new_database, apps) as alone:
        await alone.hear(offer("A", 1_000), offer("B", 500))
        yield alone


def offer(sku, amount, version=1, active=True):
    return VariantPriced(
        sku=sku, product_id=uuid4(), titles={"en": sku}, active=active, version=version,
        prices=(Price(currency="EUR", amount_minor=amount),), requires_shipping=False,
    )  # fmt: skip


def wish(n=1, **more):
    return {
        "lines": [{"sku": "A", "quantity": n}], "contact": {"email": "a@example.org"},
        "payment": {"method": "on_account"}, **more,
    }  # fmt: skip


async def place(orders, body=None, key=None, token=TOKEN):
    key = key or uuid4().hex
    return await orders.request("POST", "/api/v1/orders", body or wish(), token=token, key=key)


async def put_coupon(orders, code, body, *, version=None):
    """Make a coupon as staff, or replace the one of a version."""
    headers = {} if version is None else {"if-match": f'"v{version}"'}
    path = f"/api/v1/coupons/{code}"
    return await orders.request("PUT", path, body, token=STAFF, headers=headers)


def about(order_id):
    return {"order_id": order_id, "payment_id": uuid4(), "amount_minor": 1_000, "currency": "EUR"}
