"""What a change to an order would give back, said beforehand: the sums of the change itself."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import harness
import pytest
from service.orders_desk import Inventory, Payments, about, opened, place, wish
from service.test_orders_after_sale import get, post, some

from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.payments import PaymentCaptured
from merkato.orders.actions import credits

ADDRESS = {
    "name": "Ada", "lines": ["1 Quay"], "city": "Bremen", "postal_code": "28195", "country": "DE",
}  # fmt: skip


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        price = Price(currency="EUR", amount_minor=1_190)
        lamp = VariantPriced(
            sku="LAMP", product_id=uuid4(), active=True, version=1, titles={"en": "Lamp"},
            prices=(price,), requires_shipping=True,
        )  # fmt: skip
        await alone.hear(lamp)
        yield alone


async def bought(orders, *, paid=True):
    """Three lamps with tax and shipping; gives the order as it stands then."""
    lines = [{"sku": "LAMP", "quantity": 3}]
    sent = {"shipping_address": ADDRESS, "shipping_method": "standard"}
    placed = (await place(orders, wish(lines=lines, **sent))).json()
    assert placed["totals"]["tax_minor"] > 0 < placed["totals"]["shipping_minor"]
    if paid:
        sums = about(placed["id"]) | {"amount_minor": placed["totals"]["grand_minor"]}
        await orders.hear(PaymentCaptured(**sums))
    return await get(orders, f"orders/{placed['id']}")


async def preview(orders, order, **wanted):
    answer = await post(orders, f"orders/{order['id']}/credits/preview", wanted)
    return answer.json() if answer.status == 200 else answer


@pytest.mark.parametrize("credited", [0, 500])
async def test_a_whole_cancellation_gives_back_what_was_not_credited(orders, credited):
    order = await bought(orders)
    if credited:
        await post(orders, f"orders/{order['id']}/credits", {"amount_minor": credited})
    said = await preview(orders, order, kind="cancellation")
    await post(orders, f"orders/{order['id']}/cancellation")
    given = (await get(orders, f"orders/{order['id']}"))["credits"][-1]
    assert said["amount_minor"] == order["totals"]["grand_minor"] - credited
    assert said["amount_minor"] == given["amount_minor"] == said["refund_minor"]
    assert said["lines"] == given["lines"]
    assert said["tax_minor"] == sum(line["tax_minor"] for line in given["lines"])
    assert said["shipping_minor"] == given["lines"][-1]["gross_minor"]
    assert said["left_minor"] == 0


async def test_an_order_that_is_not_confirmed_needs_not_be_paid(orders):
    order = await bought(orders, paid=False)
    said = await preview(orders, order, kind="cancellation")
    assert said["amount_minor"] == order["totals"]["grand_minor"]
    assert said["tax_minor"] == order["totals"]["tax_minor"]
    assert said["shipping_minor"] == order["totals"]["shipping_minor"]
    assert (said["refund_minor"], said["left_minor"], said["lines"]) == (0, 0, [])
    await post(orders, f"orders/{order['id']}/cancellation")
    again = await preview(orders, order, kind="cancellation")
    assert (again["amount_minor"], again["tax_minor"], again["shipping_minor"]) == (0, 0, 0)


async def test_a_preview_waits_for_a_change_that_is_under_way(orders):
    order = await bought(orders)
    order_id = UUID(order["id"])
    async with orders.db.transaction() as tx:
        await credits.credit(tx, order_id, 700, 0, None, "staff", datetime.now(UTC))
        asked = asyncio.create_task(preview(orders, order, kind="goodwill", amount_minor=300))
        await harness.eventually(lambda: waiting(orders))
    said = await asked
    assert (said["amount_minor"], said["refund_minor"]) == (300, 300)
    assert said["left_minor"] == order["totals"]["grand_minor"] - 1_000
    assert sum(line["gross_minor"] for line in said["lines"]) == 300


async def waiting(orders):
    return await orders.fetch("select from pg_locks where not granted")


GOODWILL = {"kind": "goodwill", "amount_minor": 1}
RETURN = {"kind": "return", "return_id": str(uuid4())}
UNFIT = {  # wishes, and the member that is refused
    "/amount_minor": {"kind": "cancellation", "amount_minor": 1},
    "/return_id": {"kind": "cancellation", "return_id": str(uuid4())},
    "/lines": GOODWILL | some((1, 1)),
    "/shipping": GOODWILL | {"shipping": "keep"},
    "": RETURN | some((1, 1)),
}


@pytest.mark.parametrize("at", UNFIT)
async def test_members_that_do_not_fit_are_refused(orders, at):
    order = await bought(orders)
    refused = await preview(orders, order, **UNFIT[at])
    assert refused.status == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == [at], refused
    assert (await preview(orders, order, **RETURN)).status == 404
