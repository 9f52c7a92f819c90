"""Captures, voids and refunds by staff; and what others may see and do."""

import asyncio
from uuid import uuid4

import harness
import pytest
from service.payments_desk import (
    ORDER_SECRET,
    cancelled,
    credited,
    placed,
    shipped,
)

from merkato.chassis.tokens import thing_token


async def paid(desk, **changed):
    order = placed(**changed)
    await desk.hear(order)
    await desk.ask()
    return order, (await desk.row(order.order_id))["id"]


async def under_way(desk, order, kind):
    """Wait until the provider is being asked to do that."""

    async def sent():
        found = await desk.operations(order.order_id)
        return [one for one in found if (one["kind"], one["state"]) == (kind, "sent")]

    await harness.eventually(sent)


async def test_captured_at_shipment_less_what_was_credited(later):
    order, payment = await paid(later)
    assert await later.types() == ["PaymentAuthorised"]
    assert await later.moved(order.order_id) == []
    assert await later.balance() == {"receivable": 4599, "customer": -4599}
    await later.hear(credited(order, 599), shipped(order, complete=False))
    await later.ask()
    assert await later.balance() == {"receivable": 4000, "customer": -4000}
    assert await later.moved(order.order_id) == []
    part = await later.staff("POST", f"/payments/{payment}/captures", {"amount_minor": 3999})
    assert part.status == 409
    await later.hear(shipped(order), shipped(order))
    row = await later.settled(order.order_id, "captured")
    assert (row["captured_minor"], row["voided_minor"], row["state"]) == (4000, 599, "captured")
    assert await later.types() == ["PaymentAuthorised", "PaymentCaptured"]
    assert (await later.said())[-1].captured_total_minor == 4000
    assert await later.moved(order.order_id) == [("capture", 4000)]
    assert await later.balance() == {"processor": 4000, "customer": -4000}
    again = await later.staff("POST", f"/payments/{payment}/captures", {})
    assert again.status == 409


async def test_taking_off_what_was_left_to_ship_charges_the_rest(later):
    order, _ = await paid(later)
    await later.hear(
        shipped(order, complete=False), credited(order, 1000, complete=True, kind="cancellation")
    )
    await later.has_moved(order.order_id, [("capture", 3599)])
    await later.settled(order.order_id, "captured")
    assert await later.balance() == {"processor": 3599, "customer": -3599}


async def test_a_promise_of_which_all_was_credited_is_let_go(later):
    order, _ = await paid(later)
    await later.hear(credited(order, 599))
    whole = credited(order, 4000, complete=True)
    await later.hear(whole)
    await later.settled(order.order_id, "voided")
    assert await later.types() == ["PaymentAuthorised", "PaymentVoided"]
    assert await later.moved(order.order_id) == []
    assert await later.balance() == {}
    [*_, void] = await later.operations(order.order_id)
    assert (void["kind"], void["method"], void["credit_id"]) == ("void", "card", whole.credit_id)


async def test_a_credit_waits_for_the_capture_under_way(later, outside):
    order, payment = await paid(later)
    fault = {"operation": "capture", "fault": {"wait_ms": 600}}
    await outside.post("/standin/faults", fault)
    await later.hear(shipped(order))
    asking = asyncio.create_task(later.ask())
    await under_way(later, order, "capture")
    credit = credited(order, 600)
    await later.hear(credit)
    await asking
    await later.has_moved(order.order_id, [("capture", 4599), ("refund", 600)])
    [*_, refund] = await later.operations(order.order_id)
    assert refund["credit_id"] == credit.credit_id
    shown = (await later.staff("GET", f"/payments/{payment}")).json()
    assert shown["credits"] == [{"id": str(credit.credit_id), "amount_minor": 600}]


async def test_a_promise_is_given_back_with_the_order(later):
    order, _ = await paid(later)
    await later.hear(cancelled(order))
    await later.settled(order.order_id, "voided")
    assert await later.types() == ["PaymentAuthorised", "PaymentVoided"]
    assert await later.moved(order.order_id) == []
    assert await later.balance() == {}


async def test_a_capture_under_way_when_the_order_ends_goes_back(later, outside):
    order, payment = await paid(later)
    fault = {"operation": "capture", "fault": {"wait_ms": 600}}
    await outside.post("/standin/faults", fault)
    await later.staff("POST", f"/payments/{payment}/captures", {})
    asking = asyncio.create_task(later.ask())
    await under_way(later, order, "capture")
    await later.hear(cancelled(order))
    await asking
    await later.has_moved(order.order_id, [("capture", 4599), ("refund", 4599)])
    assert await later.balance() == {}


async def test_a_promise_the_processor_let_go_is_voided(later, outside):
    order, _ = await paid(later)
    [attempt] = await later.operations(order.order_id)
    api = outside.stripe().v1.payment_intents
    await api.cancel_async(attempt["reference"])
    await later.settled(order.order_id, "voided")
    assert await later.types() == ["PaymentAuthorised", "PaymentVoided"]


@pytest.mark.parametrize("kind", ["capture", "refund", "cancel"])
@pytest.mark.parametrize("after", ["hang", "500"])
async def test_a_lost_answer_to_any_operation_acts_once(later, outside, kind, after):
    order, payment = await paid(later)
    if kind == "refund":
        await later.staff("POST", f"/payments/{payment}/captures", {})
        await later.settled(order.order_id, "captured")
    await outside.post("/standin/faults", {"operation": kind, "fault": {"after": after}})
    if kind == "capture":
        asked = await later.staff("POST", f"/payments/{payment}/captures", {})
        assert asked.status == 202
    else:
        await later.hear(credited(order, 1000) if kind == "refund" else cancelled(order))

    async def unknown():
        await later.ask()
        return "unknown" in {o["state"] for o in await later.operations(order.order_id)}

    await harness.eventually(unknown)

    async def decided():
        await later.ask()
        return all(o["ask_at"] is None for o in await later.operations(order.order_id))

    await harness.eventually(decided, seconds=20)
    expected = {
        "capture": [("capture", 4599)],
        "refund": [("capture", 4599), ("refund", 1000)],
        "cancel": [],
    }
    assert await later.moved(order.order_id) == expected[kind]


async def test_a_credit_is_refunded_once_and_named(desk):
    order, payment = await paid(desk)
    credit = credited(order, 2760)
    await desk.hear(credit)
    await desk.hear(credited(order, 2760, credit_id=credit.credit_id))  # told again
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 2760)])
    [*_, refund] = await desk.operations(order.order_id)
    shown = (await desk.staff("GET", f"/refunds/{refund['id']}")).json()
    assert (shown["state"], shown["amount_minor"], shown["credit_id"]) == (
        "succeeded", 2760, str(credit.credit_id),
    )  # fmt: skip
    [event] = [e for e in await desk.said() if type(e).__name__ == "PaymentRefunded"]
    assert (event.refund_id, event.refunded_total_minor) == (refund["id"], 2760)
    assert event.credit_id == credit.credit_id
    again = {"amount_minor": 1, "credit_id": str(credit.credit_id)}
    assert (await desk.staff("POST", f"/payments/{payment}/refunds", again)).status == 409


async def test_no_refund_without_a_credit(desk):
    _, payment = await paid(desk)
    for body in ({"amount_minor": 100}, {"amount_minor": 100, "credit_id": str(uuid4())}):
        refused = await desk.staff("POST", f"/payments/{payment}/refunds", body)
        assert refused.status == 409, refused
    assert (await desk.staff("POST", f"/payments/{payment}/voids")).status == 409


async def test_what_was_cancelled_names_its_credit(desk):
    order, _ = await paid(desk)
    first, last = credited(order, 599), uuid4()
    await desk.hear(first)
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 599)])
    await desk.hear(cancelled(order, last))
    await desk.has_moved(order.order_id, [("capture", 4599), ("refund", 599), ("refund", 4000)])
    found = [o["credit_id"] for o in await desk.operations(order.order_id) if o["kind"] == "refund"]
    assert found == [first.credit_id, last]
    assert await desk.balance() == {}


async def test_a_pending_refund_is_asked_about_until_it_is_decided(desk):
    order, _ = await paid(desk, token="pm_card_pendingRefund")
    await desk.hear(credited(order, 100))
    await desk.ask()
    row = await desk.row(order.order_id)
    assert row["refunding_minor"] + row["refunded_minor"] == 100  # it may be decided by now

    async def refunded():
        await desk.ask()
        return (await desk.row(order.order_id))["refunded_minor"] == 100

    await harness.eventually(refunded, seconds=20)


async def test_a_refund_that_fails_afterwards_is_undone_and_given_in_another_way(desk):
    order, payment = await paid(desk, token="pm_card_refundFail")
    credit = credited(order, 100)
    await desk.hear(credit)
    await desk.ask()
    assert (await desk.row(order.order_id))["refunded_minor"] == 100

    async def undone():
        await desk.alone.run_job("look-at-webhooks")
        await desk.ask()
        return (await desk.row(order.order_id))["refunded_minor"] == 0

    await harness.eventually(undone, seconds=20)
    assert await desk.types() == ["PaymentCaptured", "PaymentRefunded", "RefundFailed"]
    failed = (await desk.said())[-1]
    assert (failed.credit_id, failed.refunded_total_minor) == (credit.credit_id, 0)
    assert await desk.balance() == {"processor": 4599, "customer": -4599}
    body = {"amount_minor": 60, "credit_id": str(credit.credit_id), "outside": True}
    path = f"/payments/{payment}/refunds"
    answers = await asyncio.gather(*(desk.staff("POST", path, body) for _ in range(2)))
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert await desk.balance() == {"processor": 4599, "bank": -60, "customer": -4539}
    assert await desk.ask() == 0


async def test_money_on_account_arrives_in_parts_and_goes_back(desk):
    order, payment = await paid(desk, method="on_account")
    for amount in (4000, 599):
        body = {"amount_minor": amount}
        assert (await desk.staff("POST", f"/payments/{payment}/captures", body)).status == 202
    assert await desk.balance() == {"bank": 4599, "customer": -4599}
    told = [e.captured_total_minor for e in await desk.said() if "Captured" in type(e).__name__]
    assert told == [4000, 4599]
    await desk.hear(cancelled(order))
    assert await desk.balance() == {}
    assert (await desk.row(order.order_id))["refunded_minor"] == 4599
    assert await desk.ask() == 0


async def test_credits_on_account_lessen_what_is_owed_and_then_go_back(desk):
    order, payment = await paid(desk, method="on_account")
    await desk.hear(credited(order, 599))
    assert await desk.balance() == {"receivable": 4000, "customer": -4000}
    body = {"amount_minor": 3000}
    await desk.staff("POST", f"/payments/{payment}/captures", body)
    await desk.hear(credited(order, 1500))
    assert await desk.balance() == {"bank": 2500, "customer": -2500}
    row = await desk.row(order.order_id)
    assert (row["voided_minor"], row["refunded_minor"]) == (1599, 500)
    assert await desk.types() == ["PaymentAuthorised", "PaymentCaptured", "PaymentRefunded"]
    assert (await desk.staff("POST", f"/payments/{payment}/captures", {})).status == 409


async def test_news_of_an_order_that_was_never_heard_of_are_set_aside(desk):
    await desk.hear(credited(placed(), 100))
    [aside] = await desk.alone.dead()
    assert (aside["type"], aside["state"]) == ("orders.order_credited.v1", "waiting")


async def test_the_ledger_is_append_only_and_balanced(desk):
    order, payment = await paid(desk)
    page = (await desk.staff("GET", f"/ledger?order_id={order.order_id}&limit=3")).json()
    rest = (await desk.staff("GET", f"/ledger?limit=3&cursor={page['next_cursor']}")).json()
    entries = page["items"] + rest["items"]
    assert len(entries) == 4
    assert sum(entry["amount_minor"] for entry in entries) == 0
    with pytest.raises(Exception, match="append only"):
        await desk.alone.fetch("update entries set amount_minor = 1")
    with pytest.raises(Exception, match="does not sum to zero"):
        await desk.alone.fetch(
            "insert into entries (operation_id, posting, account, amount_minor, currency, order_id,"
            " payment_id) select operation_id, 2, account, 1, currency, order_id, payment_id"
            " from entries where account = 'bank' or account = 'processor'"
        )
    with pytest.raises(Exception, match="entries_operation_id_posting_account_key"):
        await desk.alone.fetch(
            "insert into entries (operation_id, posting, account, amount_minor, currency, order_id,"
            " payment_id) select operation_id, posting, account, amount_minor, currency, order_id,"
            " payment_id from entries"
        )
    with pytest.raises(Exception, match="check"):
        await desk.alone.fetch(f"update payments set refunded_minor = 4600 where id = '{payment}'")


async def test_who_may_see_and_pay(desk):
    customer = uuid4()
    order = placed(customer_id=customer)
    await desk.hear(order)
    row = await desk.row(order.order_id)
    mine, other = harness.user_token(customer), harness.user_token()
    guest = {"x-order-token": thing_token(ORDER_SECRET, order.order_id)}
    wrong = {"x-order-token": thing_token(ORDER_SECRET, uuid4())}
    paths = (f"/api/v1/payments/{row['id']}", f"/api/v1/payments?order_id={order.order_id}")
    for path in paths:
        assert (await desk.request("GET", path)).status == 401
        assert (await desk.request("GET", path, token=other)).status == 404
        assert (await desk.request("GET", path, headers=wrong)).status == 404
        for shown in ({"token": mine}, {"headers": guest}):
            answer = await desk.request("GET", path, **shown)
            assert answer.status == 200
            one = answer.json().get("items", [answer.json()])[0]
            assert (one["order_id"], one["note"]) == (str(order.order_id), None)
            assert "pm_card" not in str(answer.body)
    body = {"order_id": order.order_id, "method": "on_account"}
    key = "pay-0123456789abcdef"
    pay = "/api/v1/payments"
    assert (await desk.request("POST", pay, body, key=key)).status == 401
    assert (await desk.request("POST", pay, body, key=key, token=other)).status == 404
    assert (await desk.request("POST", pay, body, token=mine)).status == 400
    assert (await desk.request("POST", pay, body, key=key, token=mine)).status == 409
    assert (await desk.request("GET", pay, token=mine)).status == 422
    by_order = f"/api/v1/payments/by-order/{order.order_id}"
    assert (await desk.request("GET", by_order, token=mine)).status == 404
    service = harness.service_token("orders", "payments")
    state = (await desk.request("GET", by_order, token=service)).json()
    assert (state["state"], state["attempt"], state["amount_minor"]) == ("due", 1, 4599)
    refund = f"/api/v1/payments/{row['id']}/refunds"
    answer = await desk.request("POST", refund, {"amount_minor": 1}, key=key, token=mine)
    assert answer.status == 403


async def test_staff_lists_and_deletes(desk):
    orders = [placed(method="on_account") for _ in range(5)]
    declined = placed(token="pm_card_chargeDeclined")
    await desk.hear(*orders, declined)
    await desk.ask()
    seen, cursor = [], ""
    while True:
        page = (await desk.staff("GET", f"/payments?limit=2{cursor}")).json()
        seen += [one["order_id"] for one in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(str(o.order_id) for o in (*orders, declined))
    [one] = (await desk.staff("GET", "/payments?state=declined")).json()["items"]
    assert one["order_id"] == str(declined.order_id)
    assert (await desk.staff("DELETE", f"/payments/{one['id']}")).status == 204
    assert await desk.row(declined.order_id) is None
    kept = await desk.row(orders[0].order_id)
    assert (await desk.staff("DELETE", f"/payments/{kept['id']}")).status == 409
    for path in (f"/payments/{uuid4()}", "/payments?state=odd", "/payments?limit=0"):
        assert (await desk.staff("GET", path)).status in (404, 422)
    assert (await desk.staff("PATCH", f"/payments/{uuid4()}", {"note": ""})).status == 404
