"""The stand-in card processor's API, spoken to by the official SDK: what it does and refuses."""

import asyncio
import time

import aiohttp
import pytest
import pytest_asyncio
import stripe
from service.test_outside_running import create, drained, heard, payment, processing, renew


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory):
    async with processing(tmp_path_factory.mktemp("outside")) as outside:
        yield outside


@pytest_asyncio.fixture(loop_scope="session")
async def outside(house):
    await renew(house)
    yield house
    await drained(house)


async def test_approves_captures_and_refunds(outside):
    v1 = outside.stripe().v1
    intent = await create(outside, metadata={"order_id": "o1", "attempt": "o1:1"})
    assert (intent.status, intent.amount, intent.amount_capturable) == (
        "requires_capture",
        4599,
        4599,
    )
    assert await outside.ledger() == []
    intent = await v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 4000})
    assert (intent.status, intent.amount_received) == ("succeeded", 4000)
    refund = await v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 1500, "metadata": {"refund": "r1"}}
    )
    assert (refund.status, refund.amount, refund.charge) == (
        "succeeded",
        1500,
        intent.latest_charge,
    )
    assert (await v1.refunds.retrieve_async(refund.id)).amount == 1500
    listed = await v1.refunds.list_async({"payment_intent": intent.id})
    assert [one.id for one in listed.data] == [refund.id]
    rows = [
        (row["kind"], row["reference"], row["amount"], row["currency"], row["metadata"])
        for row in await outside.ledger()
    ]
    assert rows == [
        ("capture", intent.id, 4000, "eur", {"order_id": "o1", "attempt": "o1:1"}),
        ("refund", refund.id, 1500, "eur", {"refund": "r1"}),
    ]
    await heard(
        outside,
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "charge.refunded",
        "refund.updated",
    )


async def test_captures_at_once_when_asked_to(outside):
    intent = await create(outside, capture_method="automatic")
    assert (intent.status, intent.amount_received) == ("succeeded", 4599)
    assert [row["amount"] for row in await outside.ledger()] == [4599]


async def test_never_refunds_more_than_was_captured(outside):
    v1 = outside.stripe().v1
    intent = await create(outside, capture_method="automatic")
    await v1.refunds.create_async({"payment_intent": intent.id, "amount": 4000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than"):
        await v1.refunds.create_async({"payment_intent": intent.id, "amount": 600})
    rest = await v1.refunds.create_async({"payment_intent": intent.id})
    assert rest.amount == 599
    with pytest.raises(stripe.InvalidRequestError) as told:
        await v1.refunds.create_async({"payment_intent": intent.id})
    assert told.value.code == "charge_already_refunded"


async def test_captures_once_and_never_more_than_authorised(outside):
    v1 = outside.stripe().v1
    intent = await create(outside)
    with pytest.raises(stripe.InvalidRequestError, match="more than can be captured"):
        await v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 4600})
    await v1.payment_intents.capture_async(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as told:
        await v1.payment_intents.capture_async(intent.id)
    assert told.value.code == "payment_intent_unexpected_state"


async def test_cancels_an_authorisation(outside):
    v1 = outside.stripe().v1
    intent = await create(outside)
    intent = await v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (intent.status, intent.amount_capturable) == ("canceled", 0)
    with pytest.raises(stripe.InvalidRequestError):
        await v1.payment_intents.capture_async(intent.id)
    assert await outside.ledger() == []
    await heard(outside, "payment_intent.amount_capturable_updated", "payment_intent.canceled")


async def test_the_same_key_is_one_payment(outside):
    first = await create(outside, key="once")
    again = await create(outside, key="once")
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError) as told:
        await create(outside, key="once", amount=1)
    assert told.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        await outside.stripe().v1.payment_intents.capture_async(
            first.id, {}, {"idempotency_key": "once"}
        )


async def test_the_same_key_many_times_at_once_is_one_payment(outside):
    tries = (create(outside, key="race", capture_method="automatic") for _ in range(20))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    paid = {answer.id for answer in answers if not isinstance(answer, Exception)}
    assert all(e.http_status == 409 for e in answers if isinstance(e, Exception))
    assert paid == {row["reference"] for row in await outside.ledger()}
    assert len(paid) == 1


async def test_answers_are_not_held_back_by_the_network(outside):
    took_s = []
    for _ in range(31):
        begun = time.monotonic()
        await outside.ledger()
        took_s.append(time.monotonic() - begun)
    assert sorted(took_s)[15] < 0.03, "Nagle's algorithm costs 40 ms an answer"


async def test_a_key_under_work_is_a_conflict(outside):
    both = (create(outside, "pm_standin_slow_1000", key="busy") for _ in range(2))
    answers = await asyncio.gather(*both, return_exceptions=True)
    [told] = [one for one in answers if isinstance(one, stripe.APIError)]
    assert told.http_status == 409
    [intent] = [one for one in answers if one is not told]
    assert (await create(outside, "pm_standin_slow_1000", key="busy")).id == intent.id


async def test_lists_page_by_page(outside):
    v1 = outside.stripe().v1
    made = [(await create(outside)).id for _ in range(3)]
    page = await v1.payment_intents.list_async({"limit": 2})
    assert page.has_more
    rest = await v1.payment_intents.list_async({"limit": 2, "starting_after": page.data[-1].id})
    assert [intent.id for intent in [*page.data, *rest.data]] == made[::-1]


async def test_expands_the_charge(outside):
    v1 = outside.stripe().v1
    intent = await create(outside, capture_method="automatic")
    whole = await v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    assert (whole.latest_charge.object, whole.latest_charge.amount_captured) == ("charge", 4599)


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 10**20}, "amount"),
        ({"amount": "12.5"}, "amount"),
        ({"amount": 5_123, "currency": "kwd"}, "amount"),
        ({"amount": 550, "currency": "isk"}, "amount"),
        ({"currency": "e€r"}, "currency"),
        ({"capture_method": "later"}, "capture_method"),
        ({"payment_method": "pm_card_nobody"}, "payment_method"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"return_url": "https://shop.example/\r\nX-Injected: 1"}, "return_url"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_refuses_what_the_api_refuses(outside, changed, param):
    with pytest.raises(stripe.InvalidRequestError) as told:
        await outside.stripe().v1.payment_intents.create_async(payment() | changed)
    assert (told.value.http_status, told.value.param) == (400, param)


async def test_refuses_a_wrong_key_and_an_unknown_id(outside):
    wrong = stripe.StripeClient("sk_wrong", base_addresses={"api": outside.url})
    with pytest.raises(stripe.AuthenticationError):
        await wrong.v1.payment_intents.retrieve_async("pi_1")
    with pytest.raises(stripe.InvalidRequestError) as told:
        await outside.stripe().v1.payment_intents.retrieve_async("pi_1")
    assert (told.value.http_status, told.value.code) == (404, "resource_missing")


async def test_modes(outside):
    await outside.post("/standin/mode", {"mode": "down", "seconds": 60})
    with pytest.raises(stripe.APIError) as told:
        await create(outside)
    assert told.value.http_status == 503
    await outside.post("/standin/mode", {"mode": "limited", "seconds": 60})
    with pytest.raises(stripe.RateLimitError) as limited:
        await create(outside)
    assert int(limited.value.headers["retry-after"]) > 50
    await outside.post("/standin/mode", {"mode": "garbage", "seconds": 60})
    with pytest.raises(stripe.APIError):
        await create(outside)
    await outside.post("/standin/mode", {"mode": "down", "seconds": 0})
    assert (await create(outside)).status == "requires_capture"


@pytest.mark.parametrize("after", ["hang", "500"])
async def test_a_planned_fault_hits_one_refund(outside, after):
    intent = await create(outside, capture_method="automatic")
    plan = {"operation": "refund", "fault": {"after": after}}
    await outside.post("/standin/faults", plan)
    v1, wanted = outside.stripe(timeout_s=0.5).v1, {"payment_intent": intent.id, "amount": 100}
    with pytest.raises(stripe.StripeError):
        await v1.refunds.create_async(wanted, {"idempotency_key": "r1"})
    refund = await v1.refunds.create_async(wanted, {"idempotency_key": "r1"})
    rows = [row["reference"] for row in await outside.ledger() if row["kind"] == "refund"]
    assert rows == [refund.id]


async def test_the_page_escapes_what_it_shows(outside):
    await create(outside, metadata={"order_id": "<script>alert(1)</script>"})
    async with outside.http.get(f"{outside.url}/") as page:
        html = await page.text()
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "no real money" in html
    assert "45.99 EUR" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


async def test_a_web_page_elsewhere_cannot_control_it(outside):
    form = {"mode": "down"}
    async with outside.http.post(f"{outside.url}/standin/mode", data=form) as answer:
        assert answer.status == 415


async def test_many_payments_at_once_are_all_in_the_ledger(outside):
    v1 = outside.stripe().v1
    begun = time.monotonic()
    made = await asyncio.gather(
        *(v1.payment_intents.create_async(payment(capture_method="automatic")) for _ in range(200))
    )
    rows = await outside.ledger()
    assert sorted(row["reference"] for row in rows) == sorted(intent.id for intent in made)
    assert time.monotonic() - begun < 20


async def test_listens_on_loopback_only(outside):
    with pytest.raises(aiohttp.ClientConnectorError):
        await outside.http.get(outside.url.replace("127.0.0.1", "127.0.0.2") + "/livez")
