"""Payments against the stand-in processor: what is charged, how often, and what goes back."""

import asyncio

import pytest
import pytest_asyncio
from service.payments_desk import cancelled, opened, placed, processor


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside(tmp_path_factory):
    async with processor(tmp_path_factory.mktemp("processor")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def desk(new_database, outside):
    async with opened(new_database, outside) as desk:
        yield desk


async def test_on_account_is_authorised_by_hearing_of_the_order(desk):
    order = placed(method="on_account")
    await desk.hear(order)
    [event] = await desk.said()
    assert (event.order_id, event.amount_minor, event.method) == (
        order.order_id,
        4599,
        "on_account",
    )
    assert await desk.balance() == {"receivable": 4599, "customer": -4599}
    assert await desk.moved(order.order_id) == []


async def test_a_card_is_captured(desk):
    order = placed()
    await desk.hear(order)
    assert (await desk.row(order.order_id))["state"] == "due"
    await desk.ask()
    row = await desk.row(order.order_id)
    assert (row["state"], row["captured_minor"]) == ("captured", 4599)
    assert await desk.types() == ["PaymentCaptured"]
    assert await desk.moved(order.order_id) == [("capture", 4599)]
    assert await desk.balance() == {"processor": 4599, "customer": -4599}
    assert {o["payment_token"] for o in await desk.operations(order.order_id)} == {None}
