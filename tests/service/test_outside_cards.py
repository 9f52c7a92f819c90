"""Every outcome of the stand-in's cards, through the official SDK, and the webhooks they send."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
import stripe
from service.test_outside_running import create, drained, eventually, heard, processing, renew


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory):
    async with processing(tmp_path_factory.mktemp("outside")) as outside:
        yield outside


@pytest_asyncio.fixture(loop_scope="session")
async def outside(house):
    await renew(house)
    yield house
    await drained(house)


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ],
)
async def test_declines(outside, token, code, decline_code):
    with pytest.raises(stripe.CardError) as told:
        await create(outside, token, key="declined")
    assert (told.value.http_status, told.value.code) == (402, code)
    error = told.value.error
    assert error.decline_code == decline_code
    assert error.payment_intent.status == "requires_payment_method"
    with pytest.raises(stripe.CardError) as again:
        await create(outside, token, key="declined")
    assert again.value.error.payment_intent.id == error.payment_intent.id
    await heard(outside, "payment_intent.payment_failed")
    paid = await outside.stripe().v1.payment_intents.confirm_async(
        error.payment_intent.id, {"payment_method": "pm_card_visa"}
    )
    assert (paid.status, paid.last_payment_error) == ("requires_capture", None)


async def test_a_challenge_after_a_decline_is_no_decline(outside):
    with pytest.raises(stripe.CardError) as told:
        await create(outside, "pm_card_chargeDeclined")
    intent = await outside.stripe().v1.payment_intents.confirm_async(
        told.value.error.payment_intent.id, {"payment_method": "pm_card_threeDSecure2Required"}
    )
    assert (intent.status, intent.last_payment_error) == ("requires_action", None)


async def test_declines_once_for_an_order(outside):
    metadata = {"order_id": "o9"}
    with pytest.raises(stripe.CardError):
        await create(outside, "pm_standin_decline_once", metadata=metadata)
    intent = await create(outside, "pm_standin_decline_once", metadata=metadata)
    assert intent.status == "requires_capture"
    with pytest.raises(stripe.CardError):
        await create(outside, "pm_standin_decline_once_other", metadata=metadata)


async def test_slow_charges_even_if_nobody_waits(outside):
    with pytest.raises(stripe.APIConnectionError):
        await create(outside, "pm_standin_slow_800", timeout_s=0.2, capture_method="automatic")
    assert await outside.ledger() == []
    assert len(await eventually(outside.ledger)) == 1


@pytest.mark.parametrize("capture_method", ["automatic", "manual"])
async def test_charges_then_hangs_and_the_repeat_knows(outside, capture_method):
    token, more = "pm_standin_charge_then_hang", {"metadata": {"attempt": "o1:1"}}
    more["capture_method"] = capture_method
    with pytest.raises(stripe.APIConnectionError):
        await create(outside, token, key="hang", timeout_s=0.5, **more)
    v1 = outside.stripe().v1
    found = await v1.payment_intents.search_async({"query": "metadata['attempt']:'o1:1'"})
    assert len(found.data) == 1
    again = await create(outside, token, key="hang", **more)
    assert again.id == found.data[0].id
    assert len(await outside.ledger()) == (capture_method == "automatic")


async def test_charges_then_500_and_the_repeat_knows(outside):
    token = "pm_standin_charge_then_500"
    with pytest.raises(stripe.APIError) as told:
        await create(outside, token, key="500", capture_method="automatic")
    assert told.value.http_status == 500
    again = await create(outside, token, key="500", capture_method="automatic")
    assert [row["reference"] for row in await outside.ledger()] == [again.id]


async def test_charges_a_wrong_amount(outside):
    intent = await create(outside, "pm_standin_wrong_amount", capture_method="automatic")
    assert intent.amount == intent.amount_received == 4600
    assert [row["amount"] for row in await outside.ledger()] == [4600]


async def test_forgets(outside):
    for _ in range(2):
        with pytest.raises(stripe.APIConnectionError):
            await create(
                outside,
                "pm_standin_forgets",
                key="f",
                timeout_s=0.3,
                metadata={"attempt": "f"},
            )
    v1 = outside.stripe().v1
    found = await v1.payment_intents.search_async({"query": "metadata['attempt']:'f'"})
    assert found.data == []
    assert (await v1.payment_intents.list_async()).data == []
    assert await outside.ledger() == []


async def test_forgets_once(outside):
    with pytest.raises(stripe.APIConnectionError):
        await create(outside, "pm_standin_forgets_once", key="f1", timeout_s=0.3)
    intent = await create(outside, "pm_standin_forgets_once", key="f1")
    assert intent.status == "requires_capture"


@pytest.mark.parametrize(
    ("answer", "status", "told", "ledger"),
    [
        ("accept", "succeeded", "payment_intent.succeeded", 1),
        ("refuse", "requires_payment_method", "payment_intent.payment_failed", 0),
    ],
)
async def test_challenges(outside, answer, status, told, ledger):
    intent = await create(
        outside,
        "pm_card_threeDSecure2Required",
        capture_method="automatic",
        return_url="https://shop.example/back?order=1",
    )
    assert intent.status == "requires_action"
    url = intent.next_action.redirect_to_url.url
    assert await outside.ledger() == []
    async with outside.http.get(url) as page:
        assert page.status == 200
        assert "no real money" in await page.text()
    async with outside.http.get(url + "x") as page:
        assert page.status == 404
    async with outside.http.post(url, data={"answer": answer}, allow_redirects=False) as back:
        assert back.status == 303
        query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["payment_intent"] == [intent.id]
    assert query["order"] == ["1"]
    v1 = outside.stripe().v1
    assert (await v1.payment_intents.retrieve_async(intent.id)).status == status
    async with outside.http.post(url, data={"answer": "accept"}) as late:
        assert "Already decided" in await late.text()
    assert len(await outside.ledger()) == ledger
    await heard(outside, "payment_intent.requires_action", told)


async def test_webhooks_twice(outside):
    await create(outside, "pm_standin_webhooks_twice", capture_method="automatic")
    await heard(outside, "payment_intent.succeeded", "payment_intent.succeeded")
    assert len({event.id for event in outside.shop.events}) == 1


async def test_webhooks_reordered(outside):
    await create(outside, "pm_standin_webhooks_reordered", capture_method="automatic")
    await heard(outside, "payment_intent.created", "payment_intent.succeeded")
    assert outside.shop.types() == ["payment_intent.succeeded", "payment_intent.created"]


async def test_webhooks_are_repeated_until_taken(outside):
    outside.shop.status = 500
    await create(outside, capture_method="automatic")

    async def refused_twice():
        return len(outside.shop.refused) >= 2

    await eventually(refused_twice)
    outside.shop.status = 200
    await heard(outside, "payment_intent.succeeded")
    [delivery] = (await outside.get("/standin/webhooks"))["items"]
    assert (delivery["state"], delivery["status"]) == ("delivered", 200)
    assert delivery["tries"] >= 3
    await outside.post(f"/standin/webhooks/{delivery['seq']}/resend", {})
    await heard(outside, "payment_intent.succeeded", "payment_intent.succeeded")


async def test_webhooks_can_be_held_back(outside):
    await outside.post("/standin/mode", {"webhooks_off": True, "seconds": 60})
    await create(outside, capture_method="automatic")
    await asyncio.sleep(0.5)
    assert outside.shop.events == []
    await outside.post("/standin/mode", {})
    await heard(outside, "payment_intent.succeeded")


async def test_events_can_be_asked_for(outside):
    v1 = outside.stripe().v1
    intent = await create(outside, capture_method="automatic")
    [event] = (await v1.events.list_async({"type": "payment_intent.succeeded"})).data
    assert event.data.object["id"] == intent.id
    assert (await v1.events.retrieve_async(event.id)).id == event.id


@pytest.mark.parametrize(
    ("token", "first", "last", "rows"),
    [
        ("pm_card_pendingRefund", "pending", "succeeded", 2),
        ("pm_card_refundFail", "succeeded", "failed", 1),
    ],
)
async def test_refunds_that_change_later(outside, token, first, last, rows):
    v1 = outside.stripe().v1
    intent = await create(outside, token, capture_method="automatic")
    refund = await v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.status == first

    async def settled():
        return (await v1.refunds.retrieve_async(refund.id)).status == last

    await eventually(settled)
    assert len(await outside.ledger()) == rows

    async def told():
        types = outside.shop.types()
        failed = "refund.failed" in types or last != "failed"  # in any order after the update
        return types.count("refund.updated") == 2 and failed

    await eventually(told)
    assert ("refund.failed" in outside.shop.types()) == (last == "failed")
