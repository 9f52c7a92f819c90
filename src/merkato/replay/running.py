"""Works a plan off: sales become orders, in order of time per customer; then what is taken back.

Harmless to stop and to repeat: what a reference names already is left alone.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from merkato.chassis.ids import derived_id
from merkato.client import Client, Refused
from merkato.replay.back import Taking
from merkato.replay.plan import Plan, Sale, Step, key
from merkato.replay.shelves import POSTAGE_ALONE, Shelves, needed

CONFIRMED_WITHIN_S = 300.0  # longest wait for an order to be confirmed
SOON = ("unknown-product", "price-changed")  # orders hears of goods and prices a moment later
KNOWN_S = 30.0  # within this
LOOK_S = 0.2  # the first pause between two looks at an order, then longer
WAITING_MAX = 100  # orders not confirmed yet, beyond which a day of the file waits for them
METHOD = "standard"  # the shipping method; what it costs is agreed on

Progress = Callable[[int, int, str], None]  # (done, of how many, what)


class Counts(msgspec.Struct):
    """What a run has made, and what it found there already."""

    goods_made: int = 0
    stocked_up: int = 0
    prices_set: int = 0
    orders_placed: int = 0
    orders_found: int = 0
    taken_back: int = 0
    taken_back_before: int = 0
    refused: dict[str, str] = {}  # reference -> why


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a list shows it."""

    id: str
    status: str
    currency: str
    grand_minor: int
    shipping_minor: int
    credited_minor: int
    reference: str


def limited(plan: Plan, limit: int | None) -> Sequence[Step]:
    """Give the steps of the first `limit` documents."""
    if limit is None:
        return plan.steps
    seen: set[str] = set()
    steps = []
    for step in plan.steps:
        seen.add(step.invoice)
        if len(seen) > limit:
            break
        steps.append(step)
    return steps


async def orders_of(shop: Client, prefix: str) -> dict[str, Order]:
    """Map references of this file to the orders that have them."""
    pages = shop.every("/orders", limit=100, reference_prefix=f"{prefix}-")
    found = [msgspec.convert(item, Order) async for item in pages]
    return {order.reference: order for order in found}


async def credits_of(shop: Client, prefix: str) -> dict[str, int]:
    """Map references of this file to the credits that have them, in minor units."""
    pages = shop.every("/credits", limit=100, reference_prefix=f"{prefix}-")
    return {item["reference"]: item["amount_minor"] async for item in pages}


async def sales_of(shop: Client, plan: Plan, currency: str) -> dict[str, dict[str, int]]:
    """Read what the shop's reports say of sales by month and by country, in minor units."""
    if not plan.steps:
        return {}
    days = {"from": f"{plan.steps[0].at:%Y-%m-%d}", "to": f"{plan.steps[-1].at:%Y-%m-%d}"}
    found: dict[str, dict[str, int]] = {}
    for by in ("month", "country"):
        query = {**days, "tz": "UTC", "by": by, "reference_prefix": f"{plan.prefix}-"}
        rows = shop.every("/reports/sales", limit=100, **query)
        found[by] = {
            item["key"]: item["sales_minor"] async for item in rows if item["currency"] == currency
        }
    return found


class Runner:
    """One run over the steps of a plan. `speed`: seconds of the file per second, None: no limit."""

    def __init__(
        self, shop: Client, plan: Plan, currency: str, progress: Progress,
        *, at_once: int, speed: float | None = None,
    ) -> None:  # fmt: skip
        self.shop, self.plan, self.currency, self.progress = shop, plan, currency, progress
        self.speed, self.counts = speed, Counts()
        self.shelves = Shelves(shop, plan.prefix, currency)
        self._places = asyncio.Semaphore(at_once)
        self._placing: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}  # of a customer
        self._ids: dict[str, str] = {}  # reference -> order
        self._done = 0

    async def run(self, steps: Sequence[Step]) -> Counts:
        """Do what of the steps was not done before. Raises NoAnswer; refusals are counted."""
        orders = await orders_of(self.shop, self.plan.prefix)
        credited = await credits_of(self.shop, self.plan.prefix)
        self._ids = {reference: order.id for reference, order in orders.items()}
        left = [s for s in steps if s.reference not in orders and s.reference not in credited]
        sales = [step for step in left if isinstance(step, Sale)]
        found = len(steps) - len(left)
        self.counts.orders_found = sum(isinstance(s, Sale) for s in steps) - len(sales)
        self.counts.taken_back_before = found - self.counts.orders_found
        pieces = needed(sales)
        filled = await self.shelves.fill(self.plan.goods, pieces)
        self.counts.goods_made, self.counts.stocked_up = filled
        self._done = found
        try:
            async with asyncio.TaskGroup() as group:
                await self._work(group, left, len(steps), set(pieces))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        await self.settled(0)
        return self.counts

    async def _work(
        self, group: asyncio.TaskGroup, left: Sequence[Step], total: int, skus: set[str]
    ) -> None:
        changes = [one for one in self.plan.changes if one.sku in skus]
        at, day, pace = 0, None, _Pace(self.speed)
        for step in left:
            if step.at.date() != day:
                day, begin = step.at.date(), at
                while at < len(changes) and changes[at].day <= day:
                    at += 1
                await self._new_day(changes[begin:at])
            await pace.wait(step.at)
            await self._places.acquire()
            before = self._last.get(step.customer) if step.customer else None
            task = group.create_task(self._one(step, before, total))
            if step.customer:
                self._last[step.customer] = task
            if isinstance(step, Sale):
                self._placing.add(task)
                task.add_done_callback(self._placing.discard)

    async def _new_day(self, changes: Sequence[Any]) -> None:
        """Let the orders of the day before be placed, then change the list prices."""
        if self._placing:
            await asyncio.wait(set(self._placing))
        await self.settled(WAITING_MAX)
        if changes:
            await self.shelves.price(changes)
            self.counts.prices_set += len(changes)

    async def settled(self, most: int) -> None:
        """Wait until at most so many orders (fewer than a page) wait to be confirmed."""
        until = time.monotonic() + CONFIRMED_WITHIN_S
        pause = LOOK_S
        while time.monotonic() < until:
            page = await self.shop.list_orders(status="placed", limit=max(most, 1))
            if len(page["items"]) <= most and (most == 0 or page["next_cursor"] is None):
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _one(self, step: Step, before: asyncio.Task[None] | None, total: int) -> None:
        try:
            if before is not None:
                with suppress(Exception):
                    await asyncio.shield(before)
            try:
                await (self._place(step) if isinstance(step, Sale) else self._take(step))
            except Refused as refusal:
                self.counts.refused[step.reference] = str(refusal)
        finally:
            self._places.release()
        self._done += 1
        self.progress(self._done, total, f"{step.at:%Y-%m-%d}")

    async def _place(self, sale: Sale) -> None:
        body, until = order_body(sale, self.plan.prefix, self.currency), time.monotonic() + KNOWN_S
        while True:
            try:
                placed = await self.shop.place_order(body, key(sale.reference))
                break
            except Refused as refusal:
                if refusal.slug not in SOON or time.monotonic() > until:
                    placed = await self._placed_before(sale, refusal)
                    break
            await asyncio.sleep(LOOK_S)
        self._ids[sale.reference] = placed["id"]
        self.counts.orders_placed += 1

    async def _placed_before(self, sale: Sale, refusal: Refused) -> dict[str, Any]:
        """Give the order that has this reference: a run before was cut off while placing it."""
        if refusal.slug == "state-conflict":
            page = await self.shop.list_orders(reference=sale.reference)
            if page["items"]:
                return dict(page["items"][0])
        raise refusal

    async def _take(self, taking: Taking) -> None:
        if taking.sale not in self._ids:
            why = self.counts.refused.get(taking.sale, "its sale is not there")
            self.counts.refused[taking.reference] = why
            return
        order = await self._confirmed(self._ids[taking.sale])
        order_id, name = order["id"], key(taking.reference)
        about = {"reference": taking.reference, "reference_time": taking.at}
        try:
            match taking.way:
                case "cancellation":
                    body = about | {"lines": _lines(order, taking), "shipping": "keep"}
                    await self.shop.cancel_order(order_id, body, name)
                case "return":
                    if order["fulfilment_status"] in ("unfulfilled", "partial"):
                        await self.shop.ship(order_id, {}, _shipping(taking))
                    lines = _lines(order, taking)
                    body = about | {"lines": lines, "received": True, "shipping": "keep"}
                    await self.shop.take_back(order_id, body, name)
                case "credit":
                    body = about | _money(order, taking)
                    await self.shop.credit(order_id, body, name)
        except Refused as refusal:
            if refusal.slug != "state-conflict" or not await self._taken(taking):
                raise
        self.counts.taken_back += 1

    async def _taken(self, taking: Taking) -> bool:
        found = self.shop.every("/credits", reference_prefix=taking.reference)
        return [one async for one in found] != []

    async def _confirmed(self, order_id: str) -> Mapping[str, Any]:
        """Wait until an order is confirmed; what is not placed is shown as it is."""
        until, pause = time.monotonic() + CONFIRMED_WITHIN_S, LOOK_S
        while True:
            order = await self.shop.get_order(order_id)
            if order["status"] != "placed" or time.monotonic() > until:
                return order
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)


class _Pace:
    """Keeps a run from being faster than so many seconds of the file per second."""

    def __init__(self, speed: float | None) -> None:
        self.speed = speed
        self.begun: tuple[datetime, float] | None = None

    async def wait(self, at: datetime) -> None:
        """Wait until a moment of the file is due."""
        if not self.speed:
            return
        if self.begun is None:
            self.begun = at, time.monotonic()
        due = self.begun[1] + (at - self.begun[0]).total_seconds() / self.speed
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def customer_id(prefix: str, customer: str | None) -> str | None:
    """Give a customer of the file the same id in every run; guests have none."""
    if customer is None:
        return None
    return str(derived_id(hashlib.sha256(f"{prefix}\0{customer}".encode()).digest()))


def order_body(sale: Sale, prefix: str, currency: str) -> dict[str, object]:
    """Make the body of POST /orders."""

    def money(minor: int) -> dict[str, object]:
        return {"amount_minor": minor, "currency": currency}

    lines = [
        {"sku": line.sku, "quantity": line.quantity, "agreed_price": money(line.unit_minor)}
        for line in sale.lines
    ] or [{"sku": POSTAGE_ALONE, "quantity": 1, "agreed_price": money(0)}]
    return {
        "lines": lines,
        "currency": currency,
        "locale": "en",
        "customer_id": customer_id(prefix, sale.customer),
        "shipping_address": {
            "name": f"Customer {sale.customer}" if sale.customer else "Guest",
            "lines": ["not in the file"], "city": "not in the file", "postal_code": "-",
            "country": sale.country,
        },
        "shipping_method": METHOD,
        "agreed_shipping": money(sale.shipping_minor),
        "reference": sale.reference,
        "reference_time": sale.at,
        "payment": {"method": "on_account"},
    }  # fmt: skip


def _numbers(order: Mapping[str, Any]) -> dict[tuple[str, int], int]:
    """Map what tells a line of an order, sku and price, to its number."""
    return {(one["sku"], one["unit_price_minor"]): one["line_no"] for one in order["lines"]}


def _lines(order: Mapping[str, Any], taking: Taking) -> list[dict[str, int]]:
    numbers = _numbers(order)
    return [
        {"line_no": numbers[line.sku, line.unit_minor], "quantity": line.quantity}
        for line in taking.lines
    ]


def _money(order: Mapping[str, Any], taking: Taking) -> dict[str, object]:
    numbers = _numbers(order)
    lines = [
        {"line_no": numbers[line.sku, line.unit_minor], "amount_minor": line.amount_minor}
        for line in taking.lines
    ]
    found: dict[str, object] = {"lines": lines} if lines else {}
    return found | ({"shipping_minor": taking.shipping_minor} if taking.shipping_minor else {})


def _shipping(taking: Taking) -> str:
    return key(f"{taking.sale}-shipment")
