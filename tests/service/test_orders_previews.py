"""What a change to an order would give back, said beforehand: the sums of the change itself."""

from uuid import uuid4

import pytest
from service.orders_desk import Inventory, Payments, about, opened, place, wish
from service.test_orders_after_sale import get, post

from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.payments import PaymentCaptured

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
