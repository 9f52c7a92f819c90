"""After the sale, as customers and staff live it: shipments, returns, credits, captures."""

import re
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
import shopping
from breaking import lawful
from e2e.test_cards import moved, ordered, payment_of, until_payment
from harness import eventually
from shopping import card, new_key, removed


async def bought(shop, n=3, payment=None):
    """A confirmed order of some pieces at 20.00: (order, token of its customer, sku)."""
    email, token = await shop.member("after")
    sku = await shop.sell(price=2_000, stock=5)
    placed = await shop.place(shop.order_of({sku: n}, email, payment), token=token)
    assert placed.status == 202, placed
    return await shop.until(placed.json()["id"]), token, sku


async def post(shop, path, body=None, token=None):
    return await shop(
        "POST", f"/api/v1/{path}", body or {}, token=token or shop.admin, key=new_key()
    )


async def done(shop, path, body=None, token=None):
    answer = await post(shop, path, body, token)
    assert answer.status < 300, f"{path}: {answer}"
    return answer.json()


def pieces(n, **more):
    return {"lines": [{"line_no": 1, "quantity": n, **more}]}


async def shelved(shop, sku, on_hand):
    async def there():
        return await shop.shelf(sku) == (on_hand, 0)

    await eventually(there)


async def test_one_of_three_goes_back_and_the_rest_is_kept(shop):
    order, token, sku = await bought(shop, 3, card("pm_card_visa"))
    id = order["id"]
    payment = await until_payment(shop, order, token, "captured")
    sent = {"carrier": "DHL", "tracking": "0034", **pieces(3)}
    shipped = await done(shop, f"orders/{id}/shipments", sent)
    await done(shop, f"shipments/{shipped['shipments'][0]['id']}/delivery")
    await shelved(shop, sku, 2)
    made = await done(shop, f"orders/{id}/returns", pieces(1, reason="damaged"), token)
    received = await done(shop, f"returns/{made['id']}/receipt")
    assert received["credited_minor"] == 2_000
    await shelved(shop, sku, 3)

    async def paid_back():
        payment = await payment_of(shop, order, token)
        return await moved(shop, payment) == (6_000, 2_000)

    await eventually(paid_back)
    payment = await payment_of(shop, order, token)
    [refund] = [one for one in payment["operations"] if one["kind"] == "refund"]
    assert refund["credit_id"] == received["credit_id"]

    async def told():
        found = await shop.order(id, token=token)
        return found if found["payment_status"] == "partly_refunded" else None

    seen = await eventually(told)
    assert seen["fulfilment_status"] == "partly_returned"
    assert seen["totals"]["credited_minor"] == seen["totals"]["refunded_minor"] == 2_000
    assert seen["shipments"][0]["tracking"] == "0034"
    more = await post(shop, f"orders/{id}/returns", pieces(3), token)
    assert (more.status, more.json()["type"]) == (422, "/problems/validation")
    page = await shop("GET", f"/api/v1/orders/{id}/invoice.html", token=token)
    assert order["number"] in page.body.decode()


async def test_pieces_are_taken_off_and_then_the_rest(shop):
    order, token, sku = await bought(shop, 3)
    path = f"orders/{order['id']}/cancellation"
    less = await done(shop, path, pieces(1), token)
    assert (less["status"], less["totals"]["credited_minor"]) == ("confirmed", 2_000)
    await shelved(shop, sku, 3)
    rest = await done(shop, path, pieces(2), token)
    assert (rest["status"], rest["totals"]["credited_minor"]) == ("cancelled", 6_000)
    await shelved(shop, sku, 5)


async def test_an_invoice_is_settled_after_goodwill_and_refunded_after_a_return(shop):
    order, token, sku = await bought(shop, 2)
    id = order["id"]
    grand = order["totals"]["grand_minor"]
    await done(shop, f"orders/{id}/credits", {"amount_minor": 500, "reason": "late"})

    async def lessened():
        return (await payment_of(shop, order, token))["voided_minor"] == 500

    await eventually(lessened)
    payment = await payment_of(shop, order, token)
    await done(shop, f"payments/{payment['id']}/captures", {"amount_minor": 1_000})
    await done(shop, f"payments/{payment['id']}/captures")
    too_much = await post(shop, f"payments/{payment['id']}/captures")
    assert too_much.status == 409

    async def settled():
        return (await shop.order(id))["payment_status"] == "paid"

    await eventually(settled)
    await done(shop, f"orders/{id}/shipments")
    back = await done(shop, f"orders/{id}/returns", {**pieces(2, restock=False), "received": True})
    assert back["credited_minor"] == grand - 500  # the last piece, and with it the shipping

    async def refunded():
        return (await shop.order(id))["payment_status"] == "refunded"

    await eventually(refunded)
    payment = await payment_of(shop, order, token)
    assert payment["refunded_minor"] == payment["captured_minor"] == grand - 500
    ledger = await shop.ok("GET", f"/api/v1/ledger?order_id={id}", token=shop.admin)
    assert sum(one["amount_minor"] for one in ledger["items"]) == 0
    assert {one["account"] for one in ledger["items"]} == {"bank", "customer", "receivable"}
    await shelved(shop, sku, 3)  # what came back cannot be sold again


async def test_a_refund_that_fails_is_seen_and_given_in_another_way(shop):
    order, token, _ = await ordered(shop, card("pm_card_refundFail"))
    await shop.until(order["id"])
    await until_payment(shop, order, token, "captured")
    credit = await done(shop, f"orders/{order['id']}/credits", {"amount_minor": 300})

    async def failed():
        return (await shop.order(order["id"]))["payment_status"] == "refund_failed"

    await eventually(failed, seconds=40)
    payment = await payment_of(shop, order, token)
    by_bank = {"amount_minor": 300, "credit_id": credit["id"], "outside": True}
    await done(shop, f"payments/{payment['id']}/refunds", by_bank)

    async def given():
        found = await shop.order(order["id"])
        return found["payment_status"] == "partly_refunded"

    await eventually(given)
    timeline = await shop.ok("GET", f"/api/v1/orders/{order['id']}/timeline", token=token)
    what = [step["what"] for step in timeline["items"]]
    assert what[-4:] == ["credited", "payment_refunded", "refund_failed", "payment_refunded"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def later():
    """A shop that charges cards when everything is shipped."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-later-"))
    async with shopping.open_shop(folder, payments={"capture": "at_shipment"}) as running:
        yield running
        await lawful(running)
    removed(folder)


async def test_a_card_is_charged_when_nothing_is_left_to_ship(later):
    order, token, _ = await bought(later, 3, card("pm_card_visa"))
    path = f"orders/{order['id']}/shipments"
    payment = await until_payment(later, order, token, "authorised")
    await done(later, path, pieces(1))
    await done(later, f"orders/{order['id']}/cancellation", pieces(1), token)
    assert await moved(later, payment) == (0, 0)
    await done(later, path)
    payment = await until_payment(later, order, token, "captured")
    assert await moved(later, payment) == (4_000, 0)
    assert (payment["captured_minor"], payment["voided_minor"]) == (4_000, 2_000)


async def test_a_challenged_card_is_charged_at_shipment_and_refunded_in_part(later):
    challenged = card("pm_card_threeDSecure2Required")
    order, token, _ = await ordered(later, challenged)
    payment = await until_payment(later, order, token, "action_required")
    [url] = [one["url"] for one in payment["operations"] if one["url"]]
    form = {"content-type": "application/x-www-form-urlencoded"}
    page = await later("GET", url)
    assert re.search(r'value="accept"', page.body.decode())
    await later("POST", url, b"answer=accept", headers=form)
    await later.until(order["id"])
    payment = await until_payment(later, order, token, "authorised")
    await done(later, f"orders/{order['id']}/shipments")
    await until_payment(later, order, token, "captured")
    back = await done(later, f"orders/{order['id']}/credits", {"amount_minor": 490})

    async def refunded():
        payment = await payment_of(later, order, token)
        return payment["refunded_minor"] == 490 and await moved(later, payment) == (2_490, 490)

    await eventually(refunded)
    payment = await payment_of(later, order, token)
    assert payment["credits"] == [{"id": back["id"], "amount_minor": 490}]


@pytest.mark.parametrize("last", ["credits", "cancellation"])
async def test_a_promise_that_is_not_needed_is_let_go(later, last):
    order, token, _ = await ordered(later, card("pm_card_visa"))
    await later.until(order["id"])
    await until_payment(later, order, token, "authorised")
    body = {"amount_minor": 2_490} if last == "credits" else {}
    await done(later, f"orders/{order['id']}/{last}", body)
    payment = await until_payment(later, order, token, "voided")
    assert await moved(later, payment) == (0, 0)
    if last == "credits":

        async def voided():
            return (await later.order(order["id"]))["payment_status"] == "voided"

        await eventually(voided)
        await done(later, f"orders/{order['id']}/shipments")  # it is on us: nothing is owed


async def test_a_lost_dispute_is_seen_by_all_and_breaks_no_law(shop):
    order, token, _ = await ordered(shop, card("pm_card_createDispute"))
    await shop.until(order["id"])

    async def denied():
        payment = await payment_of(shop, order, token)
        return [one for one in payment["operations"] if (one["reference"] or "")[:3] == "dp_"]

    [dispute] = await eventually(denied, seconds=40)
    await shop.ok("POST", f"{shop.outside[1]}/standin/disputes/{dispute['reference']}",
                  {"status": "lost"})  # fmt: skip

    async def credited():
        found = await shop.order(order["id"], token=token)
        return found if found["totals"]["credited_minor"] else None

    seen = await eventually(credited, seconds=40)
    assert seen["totals"]["credited_minor"] == seen["totals"]["refunded_minor"] == 2_490
    assert seen["credits"][0]["id"] == dispute["id"]
