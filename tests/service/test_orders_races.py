"""Orders that race for coupons, prices and carts, in two processes' desks over a late database."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import harness
import pytest
from delayed import delayed
from service.orders_desk import (
    TOKEN,
    Inventory,
    Payments,
    about,
    offer,
    opened,
    place,
    put_coupon,
    wish,
)

from merkato.audit.laws import coupons, money
from merkato.contracts.payments import PaymentActionRequired, PaymentCaptured

ROUNDS = [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]
PEOPLE = [harness.user_token() for _ in range(100)]
ADDRESS = {"name": "Ada", "lines": ["Quay 1"], "city": "Bremen", "postal_code": "1"}
TEN = {"kind": "percent", "basis_points": 1_000}


@pytest.fixture
async def desks(new_database):
    """Two of the service, as two processes have it, on one database that answers late."""
    async with AsyncExitStack() as stack:
        dsn = await new_database("orders", prepare=harness.preparation("orders"))
        late = await stack.enter_async_context(delayed(dsn))

        async def same(*_, **__):
            return late

        yield [
            await stack.enter_async_context(opened(same, Inventory(), Payments())) for _ in range(2)
        ]


async def lawful(desk):
    """See that coupons and sums are as the audit wants them."""
    for law in (*coupons.STATEMENTS, *money.STATEMENTS):
        if law.database == "orders":
            assert await desk.fetch(law.broken, *(None for _ in law.takes)) == []


def slugs(answers):
    return Counter(
        answer.status if answer.status < 300 else answer.json()["type"].rsplit("/", 1)[-1]
        for answer in answers
    )


async def all_at_once(desks, orders):
    """Place (body, token) each, by turns at the desks."""
    return await asyncio.gather(
        *(place(desks[n % 2], body, token=token) for n, (body, token) in enumerate(orders))
    )


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_coupon_for_one_order_is_had_by_one_of_a_hundred(desks, rounds):
    for n in range(rounds):
        code = f"ONE-{n}"
        assert (await put_coupon(desks[0], code, {**TEN, "uses_max": 1})).status == 201
        answers = await all_at_once(desks, [(wish(coupon=code), person) for person in PEOPLE])
        assert slugs(answers) == {202: 1, "coupon-exhausted": 99}
        await lawful(desks[0])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_limit_of_seven_is_used_to_the_last(desks, rounds):
    """Some of those who come first are refused for another reason; nobody else loses by it."""
    for n in range(rounds):
        code = f"SEVEN-{n}"
        assert (await put_coupon(desks[0], code, {**TEN, "uses_max": 7})).status == 201
        wrong = {"expected_total": {"amount_minor": 1, "currency": "EUR"}}
        orders = [
            (wish(coupon=code) | (wrong if i % 5 == 0 else {}), person)
            for i, person in enumerate(PEOPLE[:40])
        ]
        answers = await all_at_once(desks, orders)
        assert slugs(answers) == {202: 7, "price-changed": 8, "coupon-exhausted": 25}
        await lawful(desks[0])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_one_customer_uses_a_coupon_as_often_as_allowed(desks, rounds):
    for n in range(rounds):
        code, person = f"THREE-{n}", harness.user_token()
        body = {**TEN, "uses_per_customer_max": 3}
        assert (await put_coupon(desks[0], code, body)).status == 201
        answers = await all_at_once(desks, [(wish(coupon=code), person)] * 50)
        assert slugs(answers) == {202: 3, "coupon-exhausted": 47}
        refused = {answer.json().get("reason") for answer in answers if answer.status == 409}
        assert refused == {"customer-limit"}
        await lawful(desks[0])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_an_order_is_priced_by_one_version_of_all_its_offers(desks, rounds):
    """A and B change together while people order both: both old or both new, never one of each."""
    body = wish(lines=[{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 1}])
    for n in range(1, rounds + 1):
        old, new = (2 * n - 1) * 100, (2 * n + 1) * 100
        start = 2 * n
        await desks[0].hear(offer("A", old, version=start), offer("B", old, version=start))
        shown = {"expected_total": {"amount_minor": 2 * old, "currency": "EUR"}}
        orders = [(body | (shown if i % 2 else {}), person) for i, person in enumerate(PEOPLE[:30])]

        async def change(new=new, version=start + 1):
            await asyncio.sleep(0.02)
            await desks[1].hear(offer("A", new, version=version), offer("B", new, version=version))

        answers, _ = await asyncio.gather(all_at_once(desks, orders), change())
        assert set(slugs(answers)) <= {202, "price-changed"}
        for (asked, _), answer in zip(orders, answers, strict=True):
            if answer.status == 202:
                units = {line["unit_price_minor"] for line in answer.json()["lines"]}
                assert units in ({old}, {new})
                assert "expected_total" not in asked or units == {old}
        later = await place(desks[0], body | shown)
        assert later.json()["type"] == "/problems/price-changed"
        assert later.json()["total"]["amount_minor"] == 2 * new
        await lawful(desks[0])


async def filled_cart(desk, person):
    """A cart with an express parcel to Germany in it, at version 3."""
    cart = (await desk.request("POST", "/api/v1/carts", {}, token=person)).json()
    path = f"/api/v1/carts/{cart['id']}"
    await desk.request("POST", f"{path}/lines", {"sku": "A", "quantity": 1}, token=person)
    to = {"shipping_address": {**ADDRESS, "country": "DE"}, "shipping_method": "express"}
    ready = await desk.request("PATCH", path, to, token=person)
    assert ready.status == 200, ready
    return ready.json()


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_what_changes_in_a_cart_after_pricing_is_priced_or_refused(desks, rounds):
    """The address moves to France and the parcel slows down while the cart is ordered."""
    costs = {"DE": (1_290, 366), "FR": (490, 249)}  # shipping; 19 or 20 percent in all of it
    seen = Counter()
    for n in range(rounds):
        person = PEOPLE[n % 100]
        cart = await filled_cart(desks[0], person)
        change = {"shipping_address": {**ADDRESS, "country": "FR"}, "shipping_method": "standard"}
        body = {key: one for key, one in wish().items() if key != "lines"}
        body |= {"cart_id": cart["id"]}
        shown = {"amount_minor": cart["totals"]["grand_minor"], "currency": "EUR"}
        if n % 3:
            body |= {"expected_total": shown, "cart_version": cart["version"]}
        changed, *placed = await asyncio.gather(
            desks[1].request("PATCH", f"/api/v1/carts/{cart['id']}", change, token=person),
            *(place(desk, body, token=person) for desk in desks),
        )
        seen += slugs(placed)
        done = [answer.json() for answer in placed if answer.status == 202]
        assert len(done) <= 1
        for order in done:
            country = order["shipping_address"]["country"]
            shipping, tax = costs[country]
            assert order["shipping"]["gross_minor"] == shipping
            assert order["totals"]["tax_minor"] == tax
            assert order["totals"]["grand_minor"] == 1_000 + shipping
            assert n % 3 == 0 or country == "DE"
            assert (country == "DE") == (changed.status == 409)
        await lawful(desks[0])
    assert set(seen) <= {202, "state-conflict", "cart-changed", "price-changed"}


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_paying_in_two_steps_uses_a_coupon_once(desks, rounds):
    """3-D Secure and its repeats, heard twice, beside the customer who cancels."""
    for n in range(rounds):
        code = f"STEPS-{n}"
        assert (await put_coupon(desks[0], code, {**TEN, "uses_max": 2})).status == 201
        ids = [UUID((await place(desks[0], wish(coupon=code))).json()["id"]) for _ in range(2)]
        action = [
            PaymentActionRequired(**about(i), attempt=1, url="https://bank.example") for i in ids
        ]
        paid = [PaymentCaptured(**about(i)) for i in ids]
        path = f"/api/v1/orders/{ids[1]}/cancellation"
        *_, cancelled = await asyncio.gather(
            desks[0].hear(*action, *paid),
            desks[1].hear(*action, *paid),
            desks[1].hear(*paid),
            desks[0].request("POST", path, {}, token=TOKEN, key=uuid4().hex),
        )
        assert cancelled.status == 200, cancelled
        rows = await desks[0].fetch("select state, uses from coupon_uses join coupons using (code) "
                                    "where code = $1 order by state", code)  # fmt: skip
        assert [tuple(row) for row in rows] == [("freed", 1), ("used", 1)]
        await lawful(desks[0])
