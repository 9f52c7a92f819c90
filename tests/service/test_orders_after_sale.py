"""After the sale, on a real database: shipments, returns, credits, cancelled lines."""

import asyncio
from uuid import uuid4

import harness
import pytest
from service.orders_desk import PERSON, TOKEN, Inventory, Payments, about, opened, place, wish

from merkato.contracts.orders import (
    LinesShipped,
    OrderCancelled,
    OrderCredited,
    ReturnReceived,
    ReturnRejected,
    ReturnRequested,
    ShipmentDelivered,
)
from merkato.contracts.payments import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
    RefundFailed,
)
from merkato.contracts.trail import ActionNoted
from merkato.contracts.users import UserErased

STAFF = harness.user_token(role="staff")


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        yield alone


async def confirmed(orders, *lines, **more):
    """An order of pieces of A and B, confirmed on account."""
    wanted = [{"sku": sku, "quantity": n} for sku, n in (lines or (("A", 3), ("B", 2)))]
    order = (await place(orders, wish(lines=wanted, **more))).json()
    await orders.hear(PaymentAuthorised(**money(order), method="on_account"))
    return order


def money(order, amount=None):
    grand = order["totals"]["grand_minor"]
    return about(order["id"]) | {"amount_minor": grand if amount is None else amount}


async def post(orders, path, body=None, token=STAFF, key=None):
    key = key or uuid4().hex
    return await orders.request("POST", f"/api/v1/{path}", body or {}, token=token, key=key)


async def get(orders, path, token=TOKEN):
    answer = await orders.request("GET", f"/api/v1/{path}", token=token)
    assert answer.status == 200, answer
    return answer.json()


def some(*pieces, **more):
    return {"lines": [{"line_no": i, "quantity": n} for i, n in pieces], **more}


async def test_goods_are_shipped_in_parts_and_arrive(orders):
    order = await confirmed(orders)
    path = f"orders/{order['id']}/shipments"
    by = {"carrier": "DHL", "tracking": "00340", "tracking_url": "https://track.example/00340"}
    first = await post(orders, path, some((1, 2), **by))
    assert first.status == 201, first
    shown = first.json()
    assert (shown["fulfilment_status"], shown["lines"][0]["shipped"]) == ("partial", 2)
    assert shown["shipments"][0]["tracking"] == "00340"
    [told] = await orders.said(LinesShipped)
    assert (told.complete, told.carrier, told.contact.email) == (False, "DHL", "a@example.org")
    assert [(p.sku, p.quantity) for p in told.lines] == [("A", 2)]
    rest = await post(orders, path)
    assert rest.json()["fulfilment_status"] == "shipped"
    assert (await orders.said(LinesShipped))[-1].complete
    assert (await post(orders, path)).status == 422
    for shipment in rest.json()["shipments"]:
        for _ in range(2):
            arrived = await post(orders, f"shipments/{shipment['id']}/delivery")
            assert arrived.status == 200
    assert arrived.json()["fulfilment_status"] == "delivered"
    assert len(await orders.said(ShipmentDelivered)) == 2
    timeline = await get(orders, f"orders/{order['id']}/timeline")
    what = [step["what"] for step in timeline["items"]]
    assert what[2:] == ["lines_shipped"] * 2 + ["shipment_delivered"] * 2
    noted = [entry.action for entry in await orders.said(ActionNoted)]
    assert noted[:3] == ["orders.lines_shipped"] * 2 + ["orders.shipment_delivered"]
    assert (await post(orders, f"orders/{order['id']}/cancellation", token=TOKEN)).status == 409


async def test_what_is_not_confirmed_is_not_shipped(orders):
    order = (await place(orders)).json()
    assert (await post(orders, f"orders/{order['id']}/shipments")).status == 409
    assert (await post(orders, f"orders/{uuid4()}/shipments")).status == 404
    assert (await post(orders, f"shipments/{uuid4()}/delivery")).status == 404
    assert (await post(orders, f"orders/{order['id']}/shipments", token=TOKEN)).status == 403
    by_card = wish(payment={"method": "card", "token": "pm_card_visa"})
    order = (await place(orders, by_card)).json()
    await orders.hear(PaymentAuthorised(**money(order), method="card"))
    await orders.hear(PaymentVoided(**money(order)))
    assert (await post(orders, f"orders/{order['id']}/shipments")).status == 409


async def test_pieces_come_back_are_credited_and_restocked(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/shipments")
    wanted = {
        "lines": [
            {"line_no": 1, "quantity": 2, "reason": "damaged"}, {"line_no": 2, "quantity": 1},
        ],
        "note": "one is broken",
    }  # fmt: skip
    asked = await post(orders, f"orders/{order['id']}/returns", wanted, token=TOKEN)
    assert asked.status == 201, asked
    made = asked.json()
    assert (made["status"], made["note"], made["lines"][0]["reason"]) == (
        "requested", "one is broken", "damaged",
    )  # fmt: skip
    [told] = await orders.said(ReturnRequested)
    assert [(p.sku, p.quantity) for p in told.lines] == [("A", 2), ("B", 1)]
    more = some((1, 2))
    again = await post(orders, f"orders/{order['id']}/returns", more, token=TOKEN)
    assert (again.status, again.json()["errors"][0]["pointer"]) == (422, "/lines/0/quantity")
    arrived = {
        "lines": [
            {"line_no": 1, "received": 2, "restock": False}, {"line_no": 2, "received": 1},
        ]
    }  # fmt: skip
    assert (await post(orders, f"returns/{made['id']}/receipt", arrived, token=TOKEN)).status == 403
    received = await post(orders, f"returns/{made['id']}/receipt", arrived)
    assert received.status == 200, received
    assert (received.json()["status"], received.json()["credited_minor"]) == ("received", 2_500)
    [back] = await orders.said(ReturnReceived)
    assert [(p.sku, p.quantity, p.restocked) for p in back.lines] == [("A", 2, 0), ("B", 1, 1)]
    [credit] = await orders.said(OrderCredited)
    assert (credit.kind, credit.amount_minor, credit.return_id) == (
        "return", 2_500, back.return_id,
    )  # fmt: skip
    assert (await post(orders, f"returns/{made['id']}/receipt")).status == 409
    assert (await post(orders, f"returns/{made['id']}/rejection", {"reason": "no"})).status == 409
    shown = await get(orders, f"orders/{order['id']}")
    assert shown["fulfilment_status"] == "partly_returned"
    assert shown["totals"]["credited_minor"] == 2_500
    assert shown["credits"][0]["lines"][0]["gross_minor"] == 2_000
    assert [r["id"] for r in shown["returns"]] == [made["id"]]


async def test_a_return_in_parts_and_a_refused_one(orders):
    order = await confirmed(orders, ("A", 3))
    await post(orders, f"orders/{order['id']}/shipments")
    path = f"orders/{order['id']}/returns"
    made = (await post(orders, path, some((1, 3)), token=TOKEN)).json()
    nothing = {"lines": [{"line_no": 1, "received": 0}]}
    assert (await post(orders, f"returns/{made['id']}/receipt", nothing)).status == 422
    more = {"lines": [{"line_no": 1, "received": 4}]}
    assert (await post(orders, f"returns/{made['id']}/receipt", more)).status == 422
    one = {"lines": [{"line_no": 1, "received": 1}]}
    received = (await post(orders, f"returns/{made['id']}/receipt", one)).json()
    assert (received["credited_minor"], received["lines"][0]["received"]) == (1_000, 1)
    made = (await post(orders, path, some((1, 2)), token=TOKEN)).json()
    why = {"reason": "It was worn."}
    refused = await post(orders, f"returns/{made['id']}/rejection", why)
    assert (refused.json()["status"], refused.json()["rejection"]) == ("rejected", "It was worn.")
    [told] = await orders.said(ReturnRejected)
    assert told.reason == "It was worn."
    last = await post(orders, path, some((1, 2), received=True))
    assert (last.status, last.json()["credited_minor"]) == (201, 2_000)
    shown = await get(orders, f"orders/{order['id']}")
    assert (shown["fulfilment_status"], shown["totals"]["credited_minor"]) == ("returned", 3_000)


async def test_staff_ask_and_receive_in_one_call(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/shipments")
    body = some((1, 1), received=True)
    body["lines"][0]["restock"] = False
    path = f"orders/{order['id']}/returns"
    assert (await post(orders, path, body, token=TOKEN)).status == 403
    key = uuid4().hex
    made = await post(orders, path, body, key=key)
    assert (made.status, made.json()["status"]) == (201, "received")
    again = await post(orders, path, body, key=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert await orders.said(ReturnRequested) == []
    [back] = await orders.said(ReturnReceived)
    assert back.lines[0].restocked == 0


async def test_returns_are_listed_for_staff(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/shipments")
    for _ in range(3):
        await post(orders, f"orders/{order['id']}/returns", some((1, 1)), token=TOKEN)
    page = await get(orders, "returns?limit=2", STAFF)
    rest = await get(orders, f"returns?limit=2&cursor={page['next_cursor']}", STAFF)
    found = page["items"] + rest["items"]
    assert [len(found), rest["next_cursor"]] == [3, None]
    await post(orders, f"returns/{found[0]['id']}/receipt")
    for query, n in (
        ("status=received", 1), (f"order_id={order['id']}", 3), (f"customer_id={uuid4()}", 0),
        (f"customer_id={PERSON}&status=requested", 2), ("since=2100-01-01T00:00:00Z", 0),
    ):  # fmt: skip
        assert len((await get(orders, f"returns?{query}", STAFF))["items"]) == n, query
    assert (await get(orders, f"returns/{found[0]['id']}", STAFF))["status"] == "received"
    assert (await orders.request("GET", "/api/v1/returns", token=TOKEN)).status == 403


async def test_lines_are_taken_off_before_they_are_shipped(orders):
    order = await confirmed(orders)
    path = f"orders/{order['id']}/cancellation"
    less = await post(orders, path, some((1, 1), reason="too many"), token=TOKEN)
    assert less.status == 200, less
    assert (less.json()["status"], less.json()["totals"]["credited_minor"]) == ("confirmed", 1_000)
    [credit] = await orders.said(OrderCredited)
    assert (credit.kind, credit.complete, credit.reason) == ("cancellation", False, None)
    assert [(c.line_no, c.quantity, c.gross_minor) for c in credit.lines] == [(1, 1, 1_000)]
    await post(orders, f"orders/{order['id']}/shipments", some((1, 1)))
    assert (await post(orders, path, some((1, 2)), token=TOKEN)).status == 422
    rest = await post(orders, path, some((1, 1), (2, 2)), token=TOKEN)
    assert rest.json()["fulfilment_status"] == "shipped"
    assert (await orders.said(OrderCredited))[-1].complete
    assert await orders.said(OrderCancelled) == []


async def test_taking_off_the_last_line_cancels_the_order(orders):
    order = await confirmed(orders)
    path = f"orders/{order['id']}/cancellation"
    await post(orders, path, some((1, 3)), token=TOKEN)
    last = await post(orders, path, some((2, 2)), token=TOKEN)
    assert last.json()["status"] == "cancelled"
    [told] = await orders.said(OrderCancelled)
    assert [(one.quantity, one.cancelled) for one in told.lines] == [(3, 3), (2, 0)]
    assert told.totals.credited_minor == told.totals.grand_minor == 4_000
    shown = last.json()
    assert str(told.credit_id) == shown["credits"][-1]["id"]
    assert [c["amount_minor"] for c in shown["credits"]] == [3_000, 1_000]
    assert [one["credited_minor"] for one in shown["lines"]] == [3_000, 1_000]
    assert (await post(orders, path, token=TOKEN)).status == 200  # harmless


async def test_lines_of_an_unpaid_order_are_not_taken_off(orders):
    order = (await place(orders)).json()
    answer = await post(orders, f"orders/{order['id']}/cancellation", some((1, 1)), token=TOKEN)
    assert answer.status == 409


async def test_goodwill_by_order_by_line_and_never_above_what_is_left(orders):
    order = await confirmed(orders)
    path = f"orders/{order['id']}/credits"
    whole = await post(orders, path, {"amount_minor": 100, "reason": "late"})
    assert whole.status == 201, whole
    assert [(c["line_no"], c["gross_minor"]) for c in whole.json()["lines"]] == [(1, 75), (2, 25)]
    by_line = {"lines": [{"line_no": 2, "amount_minor": 975}]}
    assert (await post(orders, path, by_line)).json()["amount_minor"] == 975
    more = {"lines": [{"line_no": 2, "amount_minor": 1}]}
    assert (await post(orders, path, more)).status == 409
    assert (await post(orders, path, {"amount_minor": 2_926})).status == 409
    assert (await post(orders, path, {"amount_minor": 2_925})).status == 201
    assert (await post(orders, path, {"amount_minor": 1})).status == 409
    for body in ({}, {"amount_minor": 1, **by_line}, {"amount_minor": 0}, {"amount_minor": -1}):
        assert (await post(orders, path, body)).status == 422
    assert (await post(orders, path, {"amount_minor": 1}, token=TOKEN)).status == 403
    assert [c.kind for c in await orders.said(OrderCredited)] == ["goodwill"] * 3
    [row] = await orders.fetch("select credited_minor, grand_minor from orders")
    assert row["credited_minor"] == row["grand_minor"] == 4_000


@pytest.mark.parametrize("rounds", [3, pytest.param(100, marks=pytest.mark.slow)])
async def test_two_credits_of_more_than_there_is(orders, rounds):
    for _ in range(rounds):
        order = await confirmed(orders)
        path = f"orders/{order['id']}/credits"
        body = {"amount_minor": 2_400}  # 60 %
        answers = await asyncio.gather(*(post(orders, path, body) for _ in range(2)))
        assert sorted(answer.status for answer in answers) == [201, 409]


async def test_where_the_money_stands(orders):
    order = await confirmed(orders)

    async def status():
        shown = await get(orders, f"orders/{order['id']}")
        return shown["payment_status"], shown["totals"]["captured_minor"]

    await orders.hear(PaymentCaptured(**money(order, 1_000), captured_total_minor=1_000))
    assert await status() == ("partly_paid", 1_000)
    await post(orders, f"orders/{order['id']}/credits", {"amount_minor": 500})
    await orders.hear(PaymentCaptured(**money(order, 2_500), captured_total_minor=3_500))
    assert await status() == ("paid", 3_500)
    refund = {"refund_id": uuid4(), "refunded_total_minor": 1_500}
    await orders.hear(PaymentRefunded(**money(order, 1_500), **refund))
    assert await status() == ("partly_refunded", 3_500)
    await orders.hear(RefundFailed(**money(order, 100), refund_id=uuid4(), reason="card-closed"))
    assert await status() == ("refund_failed", 3_500)
    await post(orders, f"orders/{order['id']}/shipments")
    await post(orders, f"orders/{order['id']}/credits", {"amount_minor": 100})
    told = {"dispute_id": uuid4(), "state": "opened", "refunded_total_minor": 1_500}
    await orders.hear(PaymentDisputed(**money(order, 100), **told))
    assert await status() == ("refund_failed", 3_500)
    refund["refunded_total_minor"] = 3_500
    await orders.hear(PaymentRefunded(**money(order, 2_000), **refund))
    assert await status() == ("refunded", 3_500)


@pytest.mark.parametrize(("credit", "status"), [(4_000, 201), (3_999, 409)])
async def test_an_order_whose_promise_went_back_is_shipped_if_it_costs_nothing(
    orders, credit, status
):
    order = await confirmed(orders)
    path = f"orders/{order['id']}"
    assert (await post(orders, f"{path}/credits", {"amount_minor": credit})).status == 201
    await orders.hear(PaymentVoided(**money(order)))
    assert (await post(orders, f"{path}/shipments")).status == status


async def test_a_lost_dispute_is_credited_under_its_own_name(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/credits", {"amount_minor": 1_000})
    lost = {"dispute_id": uuid4(), "refunded_total_minor": 4_000}
    opened_ = PaymentDisputed(**money(order), **lost | {"refunded_total_minor": 0}, state="opened")
    await orders.hear(opened_)
    await orders.hear(PaymentDisputed(**money(order), **lost, state="lost"))
    credit = (await orders.said(OrderCredited))[-1]
    assert (credit.credit_id, credit.amount_minor) == (lost["dispute_id"], 3_000)
    shown = await get(orders, f"orders/{order['id']}")
    assert shown["totals"]["credited_minor"] == 4_000
    timeline = await get(orders, f"orders/{order['id']}/timeline")
    what = [step["what"] for step in timeline["items"]]
    assert what[-3:] == ["dispute_opened", "dispute_lost", "credited"]
    other = await confirmed(orders)
    await orders.hear(PaymentDisputed(**money(other), **lost, state="won"))
    assert len(await orders.said(OrderCredited)) == 2


async def test_others_see_nothing_of_it(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/shipments")
    stranger = harness.user_token(uuid4())
    path = f"orders/{order['id']}/returns"
    assert (await post(orders, path, some((1, 1)), token=stranger)).status == 404
    assert (await post(orders, path, some((1, 1)), token=None)).status == 404
    keyless = await orders.request("POST", f"/api/v1/{path}", some((1, 1)), token=TOKEN, headers={})
    assert keyless.status == 400


async def test_who_may_only_read_orders_changes_none(orders):
    fresh, sent = await confirmed(orders), await confirmed(orders)
    await post(orders, f"orders/{sent['id']}/shipments")
    cancellation, back = f"orders/{fresh['id']}/cancellation", f"orders/{sent['id']}/returns"
    tokens = [harness.user_token(role=role) for role in ("fulfilment", "accountant")]
    for token in (*tokens, harness.api_key("orders:read")[0]):
        await get(orders, f"orders/{fresh['id']}", token)
        for path, body in ((cancellation, some((1, 1))), (back, some((1, 1))), (cancellation, {})):
            refused = await post(orders, path, body, token)
            assert (refused.status, refused.json()["type"]) == (403, "/problems/forbidden"), path
    assert not await orders.said((OrderCredited, OrderCancelled, ReturnRequested))
    writer, _ = harness.api_key("orders:write")
    assert (await post(orders, back, some((1, 1)), writer)).status == 201
    assert (await post(orders, cancellation, {}, writer)).status == 200


async def test_what_a_customer_wrote_is_forgotten_with_them(orders):
    order = await confirmed(orders)
    await post(orders, f"orders/{order['id']}/cancellation", some((1, 1), reason="CANARY"), TOKEN)
    await post(orders, f"orders/{order['id']}/shipments")
    await post(orders, f"orders/{order['id']}/returns", some((1, 1), note="CANARY"), TOKEN)
    await orders.hear(UserErased(user_id=PERSON))
    for table in ("timeline", "returns", "credits", "outbox", "order_contacts"):
        rows = await orders.fetch(f"select t::text as text from {table} t")
        assert rows
        assert not [row for row in rows if "CANARY" in row["text"]], table
    made = (await get(orders, "returns", STAFF))["items"][0]
    assert (await post(orders, f"returns/{made['id']}/receipt")).status == 200
