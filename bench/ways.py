"""The ways of using the shop: each is one purchase, or one look, over one connection."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import msgspec
from wire import Answer, Connection, request

ADDRESS = (
    b'{"name":"Ada Bench","lines":["1 Measure Road"],"city":"Berlin",'
    b'"postal_code":"10115","country":"DE"}'
)
POLL_S = (0.02, 0.05, 0.1, 0.2)  # pauses of a storefront that waits for the confirmation
CONFIRM_S = 30.0  # and for how long it waits


class Customer(msgspec.Struct, frozen=True):
    """Somebody who has logged in."""

    email: str
    token: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a load process is to do."""

    url: str
    way: str
    run: str  # begins every key, so that none is ever repeated
    seconds: float
    connections: int
    customers: tuple[Customer, ...]
    skus: tuple[str, ...]
    slugs: tuple[str, ...]
    confirms: bool = True  # whether this shop confirms orders at all


class Record(msgspec.Struct, array_like=True):
    """One request that counts: when it was sent (s after the start), how long it took, the end."""

    at_s: float
    took_ms: float
    status: int
    order_id: str = ""
    whole_ms: float = 0.0  # of the way *whole*: from the cart to the confirmation


class Buyer:
    """One connection and who buys over it."""

    def __init__(self, plan: Plan, number: int, connection: Connection, began: float) -> None:
        self._plan, self._number, self._connection = plan, number, connection
        self._began = began
        self._count = 0
        self._dice = random.Random(f"{plan.run}-{number}")
        self.records: list[Record] = []
        self.other_statuses: dict[int, int] = {}  # of requests beside the one that counts

    async def once(self) -> None:
        """Do it once and keep a record."""
        self._count += 1
        await WAYS[self._plan.way](self)

    def _key(self) -> str:
        return f"{self._plan.run}-{self._number:03d}-{self._count:08d}"

    async def _timed(self, message: bytes) -> tuple[Record, Answer]:
        sent = time.perf_counter()
        answer = await self._connection.send(message)
        took_ms = (time.perf_counter() - sent) * 1000
        record = Record(sent - self._began, took_ms, answer.status)
        self.records.append(record)
        return record, answer

    async def _place(self, customer: Customer, body: bytes) -> Record:
        key = f"Idempotency-Key: {self._key()}\r\n"
        record, answer = await self._timed(
            request("POST", "/api/v1/orders", token=customer.token, body=body, headers=key)
        )
        if answer.status == 202:
            record.order_id = _id(answer.body)
        return record

    async def direct(self, skus: tuple[str, ...], payment: bytes) -> None:
        """Order lines at once."""
        customer = self._dice.choice(self._plan.customers)
        lines = b",".join(b'{"sku":"%b","quantity":1}' % sku.encode() for sku in skus)
        body = (
            b'{"lines":[%b],"contact":{"email":"%b"},"shipping_address":%b,'
            b'"shipping_method":"standard","payment":%b}'
            % (lines, customer.email.encode(), ADDRESS, payment)
        )
        await self._place(customer, body)

    def two_skus(self) -> tuple[str, ...]:
        """Choose two different skus."""
        return tuple(self._dice.sample(self._plan.skus, 2))

    async def whole(self) -> None:
        """Do what a storefront does: a cart, two adds, the address, the order, the confirmation."""
        began = time.perf_counter()
        customer = self._dice.choice(self._plan.customers)
        token = customer.token
        made = await self._beside(request("POST", "/api/v1/carts", token=token, body=b"{}"))
        if made.status != 201:
            return
        cart_id = _id(made.body)
        path = f"/api/v1/carts/{cart_id}"
        for sku in self.two_skus():
            body = b'{"sku":"%b","quantity":1}' % sku.encode()
            added = await self._beside(request("POST", f"{path}/lines", token=token, body=body))
            if added.status != 201:
                return
        body = b'{"contact":{"email":"%b"},"shipping_address":%b,"shipping_method":"standard"}' % (
            customer.email.encode(),
            ADDRESS,
        )
        if (await self._beside(request("PATCH", path, token=token, body=body))).status != 200:
            return
        body = b'{"cart_id":"%b","payment":%b}' % (cart_id.encode(), ON_ACCOUNT)
        record = await self._place(customer, body)
        if record.order_id and await self._confirmed(record.order_id, token):
            record.whole_ms = (time.perf_counter() - began) * 1000

    async def _confirmed(self, order_id: str, token: str) -> bool:
        message = request("GET", f"/api/v1/orders/{order_id}", token=token)
        give_up = time.perf_counter() + CONFIRM_S
        looks = 0
        while time.perf_counter() < give_up:
            answer = await self._beside(message)
            if b'"status":"confirmed"' in answer.body:
                return True
            if not self._plan.confirms:
                return False
            await asyncio.sleep(POLL_S[min(looks, len(POLL_S) - 1)])
            looks += 1
        return False

    async def _beside(self, message: bytes) -> Answer:
        answer = await self._connection.send(message)
        self.other_statuses[answer.status] = self.other_statuses.get(answer.status, 0) + 1
        return answer

    async def read(self) -> None:
        """Look at a product."""
        slug = self._dice.choice(self._plan.slugs)
        await self._timed(request("GET", f"/api/v1/products/{slug}"))


ON_ACCOUNT = b'{"method":"on_account"}'
CARD = b'{"method":"card","token":"pm_card_visa"}'

WAYS: dict[str, Callable[[Buyer], Awaitable[None]]] = {
    "direct": lambda buyer: buyer.direct(buyer.two_skus(), ON_ACCOUNT),
    "whole": Buyer.whole,
    "hot": lambda buyer: buyer.direct((buyer._plan.skus[0],), ON_ACCOUNT),
    "card": lambda buyer: buyer.direct(buyer.two_skus(), CARD),
    "read": Buyer.read,
}
BUYING = ("direct", "whole", "hot", "card")


def _id(body: bytes) -> str:
    """Take the id from the beginning of an answer, without decoding the rest."""
    at = body.find(b'"id":"') + 6
    return body[at : at + 36].decode()
