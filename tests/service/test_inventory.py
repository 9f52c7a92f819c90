"""Stock and reservations on a real PostgreSQL: nothing is sold that is not there."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import harness
import pytest
from msgspec.structs import replace

from merkato.config import Config
from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.inventory import ReservationLost, StockChanged, StockLow
from merkato.contracts.orders import (
    CreditLine,
    Line,
    OrderCancelled,
    OrderConfirmed,
    OrderCredited,
    OrderPlaced,
    PiecesBack,
    ReturnReceived,
    Totals,
)
from merkato.inventory.service import service

NO_SUCH_ORDER = harness.answering(404, {"type": "/problems/not-found"})


@pytest.fixture
async def inventory(new_database):
    async with harness.alone(service(Config()), new_database, {"orders": NO_SUCH_ORDER}) as alone:
        yield alone


CLERK = uuid4()


def staff():
    """A token made when it is needed: a long run outlives one made at import."""
    return harness.user_token(CLERK, role="staff")


async def stocked(inventory, **skus):
    for sku, n in skus.items():
        answer = await inventory.request(
            "PUT", f"/api/v1/stock/{sku}", {"on_hand": n}, token=staff(), key=uuid4().hex
        )
        assert answer.status == 200, answer


async def reserve(inventory, order_id, ttl_s=60, principal="user:x", **skus):
    lines = [{"sku": sku, "quantity": n} for sku, n in skus.items()]
    body = {"lines": lines, "ttl_s": ttl_s, "principal": principal}
    return await inventory.request(
        "PUT",
        f"/api/v1/reservations/{order_id}",
        body,
        token=harness.service_token("orders", "inventory"),
    )


async def shelf(inventory, sku):
    [row] = await inventory.fetch("select on_hand, reserved from stock where sku = $1", sku)
    return row["on_hand"], row["reserved"]


def event(kind, order_id, **skus):
    lines = tuple(
        Line(line_no=n, sku=sku, quantity=q, title=sku, unit_price_minor=1, net_minor=q,
             tax_minor=0, gross_minor=q)
        for n, (sku, q) in enumerate(skus.items(), 1)
    )  # fmt: skip
    common = {
        "order_id": order_id, "number": "X", "customer_id": None, "lines": lines,
        "totals": Totals(items_minor=1, shipping_minor=0, tax_minor=0, grand_minor=1),
        "currency": "EUR",
    }  # fmt: skip
    now = datetime.now(UTC)
    if kind is OrderPlaced:
        more = {"payment_method": "on_account", "placed_at": now, "pay_until": now}
    elif kind is OrderCancelled:
        more = {"reason": "customer", "was_confirmed": False}
    else:
        more = {}
    return kind(**common, **more)


async def test_a_reservation_holds_all_lines_or_none(inventory):
    await stocked(inventory, A=5, B=1)
    first, second = uuid4(), uuid4()
    assert (await reserve(inventory, first, A=2, B=1)).status == 201
    refused = await reserve(inventory, second, A=1, B=1)
    assert refused.status == 409
    assert refused.json()["type"] == "/problems/out-of-stock"
    assert refused.json()["missing"] == ["B"]
    assert await shelf(inventory, "A") == (5, 2)


async def test_the_same_order_is_held_once_and_other_lines_are_refused(inventory):
    await stocked(inventory, A=5)
    order = uuid4()
    assert (await reserve(inventory, order, A=2)).status == 201
    assert (await reserve(inventory, order, A=2)).status == 200
    other = await reserve(inventory, order, A=3)
    assert other.status == 409
    assert other.json()["type"] == "/problems/state-conflict"
    assert await shelf(inventory, "A") == (5, 2)


async def test_the_last_units_go_to_whoever_came_first_and_to_nobody_twice(inventory):
    await stocked(inventory, A=7)
    answers = await asyncio.gather(*(reserve(inventory, uuid4(), A=1) for _ in range(200)))
    assert sorted({answer.status for answer in answers}) == [201, 409]
    assert sum(answer.status == 201 for answer in answers) == 7
    assert await shelf(inventory, "A") == (7, 7)


async def test_an_order_that_fits_is_not_refused_because_a_larger_one_was(inventory):
    await stocked(inventory, A=2)
    answers = await asyncio.gather(
        *(reserve(inventory, uuid4(), A=n) for n in (3, 1, 1))  # one batch
    )
    assert [answer.status for answer in answers] == [409, 201, 201]


async def test_only_services_may_reserve(inventory):
    body = {"lines": [{"sku": "A", "quantity": 1}], "ttl_s": 60, "principal": "x"}
    path = f"/api/v1/reservations/{uuid4()}"
    for token in (None, staff(), harness.service_token("orders", "payments")):
        answer = await inventory.request("PUT", path, body, token=token)
        assert answer.status in (401, 404)


async def test_one_principal_cannot_hoard(inventory):
    await stocked(inventory, A=200)
    answers = [await reserve(inventory, uuid4(), A=1, principal="user:greedy") for _ in range(101)]
    assert [answer.status for answer in answers] == [201] * 100 + [429]
    assert (await reserve(inventory, uuid4(), A=1, principal="user:other")).status == 201


async def test_confirmed_goods_leave_and_cancelled_ones_come_back(inventory):
    await stocked(inventory, A=5)
    sold, dropped, undone = uuid4(), uuid4(), uuid4()
    for order in (sold, dropped, undone):
        assert (await reserve(inventory, order, A=1)).status == 201
    await inventory.hear(*(event(OrderPlaced, order, A=1) for order in (sold, dropped, undone)))
    await inventory.hear(
        event(OrderConfirmed, sold, A=1), event(OrderCancelled, dropped, A=1),
        event(OrderConfirmed, undone, A=1), event(OrderCancelled, undone, A=1),
    )  # fmt: skip
    assert await shelf(inventory, "A") == (4, 0)
    rows = await inventory.fetch("select kind, sum(delta)::int as n from journal group by kind")
    assert {row["kind"]: row["n"] for row in rows} == {
        "initial": 5, "committed": -2, "returned": 1
    }  # fmt: skip


async def test_a_cancellation_heard_before_all_else_leaves_a_tombstone(inventory):
    await stocked(inventory, A=5)
    order = uuid4()
    await inventory.hear(event(OrderCancelled, order, A=1))
    assert (await reserve(inventory, order, A=1)).status == 409
    await inventory.hear(event(OrderPlaced, order, A=1), event(OrderConfirmed, order, A=1))
    assert await shelf(inventory, "A") == (5, 0)


async def test_a_late_confirmation_takes_the_goods_again_or_says_they_are_lost(inventory):
    await stocked(inventory, A=1)
    early, late = uuid4(), uuid4()
    await reserve(inventory, early, A=1)
    await inventory.request(
        "DELETE",
        f"/api/v1/reservations/{early}",
        token=harness.service_token("orders", "inventory"),
    )
    assert await shelf(inventory, "A") == (1, 0)
    await inventory.hear(event(OrderConfirmed, early, A=1))
    assert await shelf(inventory, "A") == (0, 0)
    await inventory.hear(event(OrderConfirmed, late, A=1))
    [lost] = await inventory.said(ReservationLost)
    assert lost.order_id == late
    assert await shelf(inventory, "A") == (0, 0)


async def test_provisional_holds_end_unless_their_order_exists(new_database):
    state = {
        "order_id": uuid4(), "status": "placed", "currency": "EUR", "grand_minor": 1,
        "customer_id": None, "principal": "x", "pay_until": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    for orders, left in ((NO_SUCH_ORDER, 0), (harness.answering(200, state), 1),
                         (harness.answering(503, {}), 1)):  # fmt: skip
        async with harness.alone(service(Config()), new_database, {"orders": orders}) as inventory:
            await stocked(inventory, A=5)
            await reserve(inventory, uuid4(), ttl_s=60, A=1)
            assert await inventory.run_job("expire-holds") == 0
            await inventory.fetch("update reservations set expires_at = now()")
            await inventory.run_job("expire-holds")
            assert await shelf(inventory, "A") == (5, left)


async def test_a_hold_that_is_renewed_while_orders_is_asked_does_not_end(new_database):
    order, alone = uuid4(), []

    async def retried(scope, receive, send):  # orders, asked just when its customer tries again
        assert (await reserve(alone[0], order, A=1)).status == 200
        await NO_SUCH_ORDER(scope, receive, send)

    async with harness.alone(service(Config()), new_database, {"orders": retried}) as inventory:
        alone.append(inventory)
        await stocked(inventory, A=1)
        await reserve(inventory, order, A=1)
        await inventory.fetch("update reservations set expires_at = now()")
        assert await inventory.run_job("expire-holds") == 0
        assert await shelf(inventory, "A") == (1, 1)


async def test_stock_cannot_fall_below_what_is_reserved(inventory):
    await stocked(inventory, A=5)
    await reserve(inventory, uuid4(), A=4)
    path = "/api/v1/stock/A/adjustments"
    body = {"delta": -2, "reason": "broken"}
    refused = await inventory.request("POST", path, body, token=staff(), key=uuid4().hex)
    assert refused.status == 409, refused
    key = uuid4().hex
    for _ in range(2):  # the second is a repeat
        done = await inventory.request("POST", path, body | {"delta": -1}, token=staff(), key=key)
        assert done.status == 200
        assert done.json()["on_hand"] == 4
    assert (await inventory.request("POST", path, body, token=staff())).status == 400
    entries = await inventory.request("GET", "/api/v1/stock/A/journal", token=staff())
    assert [entry["delta"] for entry in entries.json()["items"]] == [-1, 5]


async def test_low_stock_is_said_once_per_crossing(inventory):
    await stocked(inventory, A=10)
    await inventory.run_job("stock-news")
    await stocked(inventory, A=4)
    for _ in range(2):
        await inventory.run_job("stock-news")
    await stocked(inventory, A=3)
    await inventory.run_job("stock-news")
    assert [said.available for said in await inventory.said(StockLow)] == [4]
    await stocked(inventory, A=10)
    await inventory.run_job("stock-news")
    await stocked(inventory, A=0)
    await inventory.run_job("stock-news")
    assert [said.crossing for said in await inventory.said(StockLow)] == [1, 2]
    assert (await inventory.said(StockChanged))[-1].available == 0


async def test_customers_see_yes_few_or_no_and_staff_see_numbers(inventory):
    await stocked(inventory, A=10, B=2, C=0)
    path = "/api/v1/stock?sku=A&sku=B&sku=C"
    shown = (await inventory.request("GET", path)).json()["items"]
    assert [item["available"] for item in shown] == ["yes", "few", "no"]
    assert "on_hand" not in shown[0]
    shown = (await inventory.request("GET", path, token=staff())).json()["items"]
    assert shown[1]["on_hand"] == 2
    low = (await inventory.request("GET", "/api/v1/stock?low=true", token=staff())).json()["items"]
    assert [item["sku"] for item in low] == ["B", "C"]
    assert (await inventory.request("GET", "/api/v1/stock")).status == 422


def published(sku, **more):
    return VariantPriced(
        sku=sku, product_id=uuid4(), titles={"en": sku}, active=True, version=1,
        prices=(Price(currency="EUR", amount_minor=1),), **more,
    )  # fmt: skip


async def test_a_variant_gets_a_row_of_stock(inventory):
    await inventory.hear(published("NEW"))
    assert await shelf(inventory, "NEW") == (0, 0)


async def test_stock_counted_under_another_spelling_is_that_of_the_published_sku(inventory):
    await stocked(inventory, **{"tee-red": 4, "mug": 1})
    await reserve(inventory, uuid4(), mug=1)
    await inventory.hear(published("TEE-RED"), published("MUG"))
    assert (await reserve(inventory, uuid4(), **{"TEE-RED": 1})).status == 201
    await stocked(inventory, **{"TEE-RED": 7})
    assert await shelf(inventory, "TEE-RED") == (7, 1)
    told = await inventory.request("GET", "/api/v1/stock/TEE-RED/journal", token=staff())
    assert [entry["delta"] for entry in told.json()["items"]] == [3, 4]
    assert await shelf(inventory, "mug") == (1, 1)  # ordered so: its order's events name it


def back(order_id, **skus):
    """Pieces that came back: how many, and how many of these can be sold again."""
    lines = tuple(
        PiecesBack(line_no=n, sku=sku, title=sku, quantity=q, restocked=r)
        for n, (sku, (q, r)) in enumerate(skus.items(), 1)
    )
    return ReturnReceived(order_id=order_id, number="X", customer_id=None, currency="EUR",
                          return_id=uuid4(), lines=lines)  # fmt: skip


def credited(order_id, kind="cancellation", tracked=True, **skus):
    lines = tuple(
        CreditLine(line_no=n, sku=sku, quantity=q, net_minor=q, tax_minor=0, gross_minor=q,
                   tracked=tracked)
        for n, (sku, q) in enumerate(skus.items(), 1)
    )  # fmt: skip
    return OrderCredited(
        order_id=order_id, number="X", customer_id=None, currency="EUR", credit_id=uuid4(),
        kind=kind, amount_minor=1, lines=lines, credited_minor=1, complete=False,
    )  # fmt: skip


async def journal(inventory, sku="A"):
    rows = await inventory.fetch("select delta, kind from journal where sku = $1 order by id", sku)
    return [(row["kind"], row["delta"]) for row in rows]


async def test_what_comes_back_can_be_sold_again(inventory):
    await stocked(inventory, A=5, B=5)
    order = uuid4()
    await reserve(inventory, order, A=3, B=1)
    first, second = back(order, A=(1, 1), B=(1, 0)), back(order, A=(1, 1))
    await inventory.hear(event(OrderConfirmed, order, A=3, B=1), first)
    assert await shelf(inventory, "A") == (3, 0)
    await inventory.hear(second, credited(order, "return", A=1), credited(order, "goodwill", A=0))
    assert await shelf(inventory, "A") == (4, 0)
    assert await shelf(inventory, "B") == (4, 0)
    assert await journal(inventory) == [
        ("initial", 5), ("committed", -3), ("returned", 1), ("returned", 1),
    ]  # fmt: skip
    rows = await inventory.fetch("select source from journal where kind = 'returned' order by id")
    assert [row["source"] for row in rows] == [first.return_id, second.return_id]


async def test_pieces_taken_off_an_order_come_back_once(inventory):
    await stocked(inventory, A=5)
    order = uuid4()
    await reserve(inventory, order, A=4)
    await inventory.hear(event(OrderConfirmed, order, A=4), credited(order, A=1))
    await inventory.hear(credited(order, tracked=False, A=1))
    assert await shelf(inventory, "A") == (2, 0)
    whole = event(OrderCancelled, order, A=4)
    lines = tuple(replace(line, cancelled=1) for line in whole.lines)
    await inventory.hear(replace(whole, lines=lines))
    assert await shelf(inventory, "A") == (5, 0)


async def test_nothing_comes_back_that_never_left(inventory):
    await stocked(inventory, A=5)
    order = uuid4()
    await reserve(inventory, order, A=4)
    await inventory.hear(credited(order, A=1), back(order, A=(1, 1)), credited(uuid4(), A=1))
    assert await shelf(inventory, "A") == (5, 4)
    assert await journal(inventory) == [("initial", 5)]


async def test_an_order_that_takes_its_goods_late_gives_some_back(inventory):
    await stocked(inventory, A=5)
    order = uuid4()
    await inventory.hear(event(OrderConfirmed, order, A=4), credited(order, A=1))
    assert await shelf(inventory, "A") == (2, 0)
    rows = await inventory.fetch("select quantity from reservation_lines")
    assert [row["quantity"] for row in rows] == [4]
