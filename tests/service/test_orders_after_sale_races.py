"""Two who change an order at once, in two processes' desks over a late database (D13, D14, A34)."""

import asyncio
from contextlib import AsyncExitStack

import harness
import pytest
from delayed import delayed
from service.orders_desk import TOKEN, Inventory, Payments, opened
from service.test_orders_after_sale import confirmed, get, post, some

from merkato.audit.laws import money
from merkato.audit.laws import orders as laws

ROUNDS = [2, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]


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
    """See that counters, credits and sums are as the audit wants them."""
    for law in (*laws.STATEMENTS, *money.STATEMENTS):
        if law.database == "orders" and law.law != "O2":
            assert await desk.fetch(law.broken, *(None for _ in law.takes)) == []


WHOLE, PART = {"amount_minor": 4_000}, {"amount_minor": 2_400}  # 60 % of an order over 40.00
REFUND, CANCEL, SHIP, RETURN = "credits", "cancellation", "shipments", "returns"
PAIRS = {  # two requests for one order, and the answers they may have in any order
    "refund ∥ refund": ((REFUND, PART), (REFUND, PART), {(201, 409)}),
    "refund ∥ cancel": ((REFUND, WHOLE), (CANCEL, {}), {(200, 201), (200, 409)}),
    "refund ∥ lines off": ((REFUND, WHOLE), (CANCEL, some((1, 3))), {(200, 201), (200, 409)}),
    "cancel ∥ cancel": ((CANCEL, {}), (CANCEL, {}), {(200, 200)}),
    "cancel ∥ lines off": ((CANCEL, {}), (CANCEL, some((1, 1))), {(200, 200), (200, 409)}),
    "lines off ∥ lines off": ((CANCEL, some((1, 2))), (CANCEL, some((1, 2))), {(200, 422)}),
    "ship ∥ cancel": ((SHIP, {}), (CANCEL, {}), {(201, 409), (200, 409)}),
    "ship ∥ lines off": ((SHIP, {}), (CANCEL, some((1, 1))), {(201, 422), (200, 201)}),
    "ship ∥ ship": ((SHIP, {}), (SHIP, {}), {(201, 422)}),
}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("pair", PAIRS)
async def test_two_at_once(desks, pair, rounds):
    first, second, allowed = PAIRS[pair]
    for _ in range(rounds):
        order = await confirmed(desks[0])
        answers = await asyncio.gather(
            *(
                post(desk, f"orders/{order['id']}/{path}", body)
                for desk, (path, body) in zip(desks, (first, second), strict=True)
            )
        )
        assert tuple(sorted(answer.status for answer in answers)) in allowed, answers
        await lawful(desks[0])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_one_of_three_comes_back_once(desks, rounds):
    """A34: what is returned is credited in proportion, and never more pieces than there are."""
    for _ in range(rounds):
        order = await confirmed(desks[0], ("A", 3))
        await post(desks[0], f"orders/{order['id']}/shipments")
        path = f"orders/{order['id']}/returns"
        asked = await asyncio.gather(*(post(desk, path, some((1, 2)), TOKEN) for desk in desks))
        assert sorted(answer.status for answer in asked) == [201, 422]
        [made] = [answer.json() for answer in asked if answer.status == 201]
        one = {"lines": [{"line_no": 1, "received": 1}]}
        back = await asyncio.gather(
            *(post(desk, f"returns/{made['id']}/receipt", one) for desk in desks)
        )
        assert sorted(answer.status for answer in back) == [200, 409]
        shown = await get(desks[0], f"orders/{order['id']}")
        assert shown["totals"]["credited_minor"] == 1_000  # a third: two thirds are kept
        refused = await post(desks[0], path, some((1, 3)), TOKEN)
        assert refused.status == 422
        await lawful(desks[0])
