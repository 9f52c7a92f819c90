"""Orders on a real database, with stand-ins that answer as inventory and payments would."""

import asyncio
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from service.orders_desk import TOKEN, Inventory, Payments, about, offer, opened, place, wish

from merkato.contracts.inventory import ReservationLost
from merkato.contracts.orders import OrderCancelled, OrderConfirmed, OrderPlaced
from merkato.contracts.payments import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentState,
)
from merkato.orders.domain import placing as rules

SHOWN = {"expected_total": {"amount_minor": 1_000, "currency": "EUR"}}


@pytest.fixture
def stock():
    return Inventory()


@pytest.fixture
def payments():
    return Payments()


@pytest.fixture
async def orders(new_database, stock, payments):
    async with opened(new_database, stock, payments) as alone:
        yield alone


async def status_of(orders, order_id):
    [row] = await orders.fetch("select status, reason from orders where id = $1", order_id)
    return row["status"], row["reason"]


async def test_an_order_its_lines_its_first_step_and_its_event_are_one(orders, stock):
    placed = await place(orders, wish(3))
    assert placed.status == 202, placed
    order = placed.json()
    assert stock.asked == [("PUT", order["id"])]
    [event] = await orders.said(OrderPlaced)
    assert str(event.order_id) == order["id"]
    assert event.totals.grand_minor == order["totals"]["grand_minor"] == 3_000
    assert event.contact.email == "a@example.org"
    steps = await orders.fetch("select n, what, to_status from timeline")
    assert [tuple(step) for step in steps] == [(1, "placed", "placed")]


async def test_a_replay_asks_nobody_and_says_nothing(orders, stock):
    key = uuid4().hex
    first = await place(orders, key=key)
    again = await place(orders, key=key)
    assert again.status == 202
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert len(stock.asked) == 1
    other = await place(orders, wish(2), key=key)
    assert (other.status, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(stock.asked) == 1
    assert len(await orders.said(OrderPlaced)) == 1


async def test_refusals_before_the_hold_touch_no_stock(orders, stock):
    for body, slug in (
        (wish(expected_total={"amount_minor": 1, "currency": "EUR"}), "price-changed"),
        (wish() | {"lines": [{"sku": "NOTHING", "quantity": 1}]}, "unknown-product"),
        (wish(currency="USD"), "unknown-product"),
        (wish(contact=None), "validation"),
    ):
        refused = await place(orders, body)
        assert refused.json()["type"] == f"/problems/{slug}", refused
    assert stock.asked == []


@pytest.mark.parametrize(
    ("status", "slug", "answered"),
    [(409, "out-of-stock", 409), (409, "state-conflict", 409), (429, "rate-limited", 429),
     (503, "overloaded", 503), (500, "internal-error", 503), (504, "upstream-timeout", 504)],
)  # fmt: skip
async def test_a_hold_that_was_refused_is_not_given_back(orders, stock, status, slug, answered):
    stock.status, stock.body = status, {"slug": slug, "missing": ["A"], "detail": "no"}
    refused = await place(orders)
    assert refused.status == answered, refused
    assert stock.given_back() == []
    assert await orders.fetch("select from orders") == []
    if answered == 503:
        assert refused.headers["retry-after"]


async def test_a_price_that_changed_meanwhile_gives_the_hold_back(orders, stock):
    async def change():
        await orders.hear(offer("A", 2_000, version=2))

    stock.before_answer = change
    refused = await place(orders, wish(1) | SHOWN)
    assert (refused.status, refused.json()["type"]) == (409, "/problems/price-changed")
    assert stock.given_back() == [stock.asked[0][1]]
    assert await orders.said(OrderPlaced) == []


async def test_an_order_that_the_database_refuses_gives_the_hold_back(orders, stock):
    async def forbid():
        await orders.fetch("alter table orders add check (locale <> 'en')")

    stock.before_answer = forbid
    assert (await place(orders)).status == 500
    assert stock.given_back() == [stock.asked[0][1]]


async def test_an_order_too_long_for_one_event_is_refused_before_the_hold(orders, stock):
    long = {"en": "\N{CYRILLIC SMALL LETTER ZHE}" * 130_000}
    await orders.hear(*(replace(offer(sku, 500, version=2), titles=long) for sku in "AB"))
    both = [{"sku": sku, "quantity": 1} for sku in "AB"]
    refused = await place(orders, wish(lines=both))
    assert (refused.status, refused.json()["errors"][0]["pointer"]) == (422, "/lines")
    assert stock.asked == []
    assert (await place(orders, wish())).status == 202


async def test_a_hold_another_call_took_is_not_given_back(orders, stock):
    async def change():
        await orders.hear(offer("A", 2_000, version=2))

    stock.before_answer, stock.status = change, 200
    assert (await place(orders, wish(1) | SHOWN)).status == 409
    assert stock.given_back() == []


async def test_who_was_shown_no_total_pays_the_price_of_the_moment(orders, stock):
    async def change():
        await orders.hear(offer("A", 2_000, version=2))

    stock.before_answer = change
    placed = await place(orders, wish(1))
    assert placed.status == 202, placed
    assert placed.json()["totals"]["grand_minor"] == 2_000


async def test_a_race_for_a_key_gives_the_losers_hold_back(orders, stock):
    key = uuid4().hex
    met = asyncio.Barrier(2)
    stock.before_answer = met.wait
    answers = await asyncio.gather(*(place(orders, wish(n), key) for n in (1, 2)))
    assert sorted(answer.status for answer in answers) == [202, 422], answers
    [winner] = [answer.json()["id"] for answer in answers if answer.status == 202]
    held = {path for method, path in stock.asked if method == "PUT"}
    assert len(held) == 2
    assert stock.given_back() == [one for one in held if one != winner]


async def test_a_race_for_a_key_with_one_body_keeps_the_hold(orders, stock):
    key = uuid4().hex
    stock.before_answer = asyncio.Barrier(2).wait
    answers = await asyncio.gather(*(place(orders, key=key) for _ in range(2)))
    assert [answer.status for answer in answers] == [202, 202], answers
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert stock.given_back() == []
    assert len(await orders.said(OrderPlaced)) == 1


async def test_a_cart_is_ordered_once(orders, stock):
    cart = (await orders.request("POST", "/api/v1/carts", {}, token=TOKEN)).json()
    line = {"sku": "A", "quantity": 2}
    await orders.request("POST", f"/api/v1/carts/{cart['id']}/lines", line, token=TOKEN)
    body = {key: one for key, one in wish().items() if key != "lines"} | {"cart_id": cart["id"]}
    stock.before_answer = asyncio.Barrier(2).wait
    answers = await asyncio.gather(*(place(orders, body) for _ in range(2)))
    assert sorted(answer.status for answer in answers) == [202, 409], answers
    assert len(stock.given_back()) == 1
    stock.before_answer = None
    assert (await place(orders, body)).json()["type"] == "/problems/state-conflict"
    stale = body | {"cart_version": 1}
    assert (await place(orders, stale)).status == 409


async def test_a_key_makes_one_cart_and_adds_pieces_once(orders):
    async def send(path, body, token=TOKEN, key=None, **headers):
        path = f"/api/v1/carts{path}"
        return await orders.request("POST", path, body, token=token, key=key, headers=headers)

    key = uuid4().hex
    made = [(await send("", {}, key=key)).json()["id"] for _ in range(2)]
    other = (await send("", {}, key=uuid4().hex)).json()["id"]
    assert made[0] == made[1] != other
    assert (await send("", {"locale": "de"}, key=key)).status == 422
    guests = [(await send("", {}, token=None, key=key)).json() for _ in range(2)]
    assert guests[0]["id"] != guests[1]["id"]  # strangers may have the same key
    proof = {"x-cart-token": guests[0]["token"]}
    for cart, token, headers in ((made[0], TOKEN, {}), (guests[0]["id"], None, proof)):
        line = {"sku": "A", "quantity": 600_000}
        first, again = [await send(f"/{cart}/lines", line, token, key, **headers) for _ in range(2)]
        assert (first.status, again.status) == (201, 201), again
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert first.json() == again.json() | {"updated_at": first.json()["updated_at"]}
        assert (await send(f"/{cart}/lines", {"sku": "A"}, token, key, **headers)).status == 422
        more = await send(f"/{cart}/lines", {"sku": "A"}, token, uuid4().hex, **headers)
        assert more.json()["lines"][0]["quantity"] == 600_001
        at_once = await asyncio.gather(
            *(send(f"/{cart}/lines", {"sku": "B"}, token, "k" * 16, **headers) for _ in range(3))
        )
        assert {answer.status for answer in at_once} == {201}
        assert at_once[0].json()["lines"][1]["quantity"] == 1


async def test_a_cart_or_order_has_at_most_so_many_lines(orders, monkeypatch):
    monkeypatch.setattr(rules, "LINES_MAX", 1)
    mine, other = [(await orders.request("POST", "/api/v1/carts", {}, token=token)).json()
                   for token in (TOKEN, None)]  # fmt: skip
    for cart, sku, token in ((mine, "A", TOKEN), (other, "B", None)):
        proof = {"x-cart-token": cart["token"] or ""}
        path = f"/api/v1/carts/{cart['id']}/lines"
        added = await orders.request("POST", path, {"sku": sku}, token=token, headers=proof)
        assert added.status == 201, added
    merge = {"cart_id": other["id"], "token": other["token"]}
    path = f"/api/v1/carts/{mine['id']}"
    assert (await orders.request("POST", f"{path}/merge", merge, token=TOKEN)).status == 422
    assert len((await orders.request("GET", path, token=TOKEN)).json()["lines"]) == 1
    await orders.fetch("update cart_lines set cart_id = $1", mine["id"])
    body = {"cart_id": mine["id"], "contact": {"email": "a@example.org"}}
    refused = await place(orders, body | {"payment": {"method": "on_account"}})
    assert (refused.status, refused.json()["errors"][0]["pointer"]) == (422, "/lines")


async def test_a_batch_of_mixed_verdicts_moves_each_order_its_way(orders):
    ids = [UUID((await place(orders)).json()["id"]) for _ in range(5)]
    paid, refused, lost, both, declined = ids
    await orders.hear(
        PaymentCaptured(**about(paid)),
        PaymentDeclined(**about(refused), attempt=1, reason="fraud", final=True),
        ReservationLost(order_id=lost, lines=()),
        PaymentAuthorised(**about(both), method="card"),
        ReservationLost(order_id=both, lines=()),
        PaymentDeclined(**about(declined), attempt=1, reason="no money"),
        PaymentCaptured(**about(paid)),
    )
    assert [await status_of(orders, one) for one in ids] == [
        ("confirmed", None), ("cancelled", "payment-refused"), ("cancelled", "stock-lost"),
        ("cancelled", "stock-lost"), ("placed", None),
    ]  # fmt: skip
    assert {one.order_id for one in await orders.said(OrderConfirmed)} == {paid, both}
    gone = {one.order_id: one.was_confirmed for one in await orders.said(OrderCancelled)}
    assert gone == {refused: False, lost: False, both: True}
    gaps = await orders.fetch(
        "select key from outbox group by key having count(*) <> max(sequence)"
    )
    assert gaps == []


async def test_a_verdict_about_an_order_not_known_yet_waits(orders):
    unknown = uuid4()
    await orders.hear(PaymentCaptured(**about(unknown)))
    [waiting] = await orders.dead()
    assert (waiting["key"], waiting["state"]) == (str(unknown), "waiting")


async def test_old_news_of_a_price_changes_nothing(orders):
    await orders.hear(offer("A", 2_000, version=3), offer("A", 9_000, version=2))
    assert (await place(orders)).json()["lines"][0]["unit_price_minor"] == 2_000
    await orders.hear(offer("A", 1, version=1))
    assert (await place(orders)).json()["lines"][0]["unit_price_minor"] == 2_000
    await orders.hear(offer("A", 2_000, version=4, active=False))
    assert (await place(orders)).json()["type"] == "/problems/unknown-product"


def known(order_id, state, **more):
    return PaymentState(**about(order_id), method="card", state=state, attempt=1, **more)


async def test_the_watch_moves_on_what_stands_still(orders, payments):
    ids = [UUID((await place(orders)).json()["id"]) for _ in range(5)]
    captured, authorised, fraud, due, silent = ids
    payments.states = {
        captured: known(captured, "captured"), authorised: known(authorised, "authorised"),
        fraud: known(fraud, "declined", final=True, reason="fraud"), due: known(due, "due"),
        silent: 503,
    }  # fmt: skip
    await orders.run_job("watch")
    assert [(await status_of(orders, one))[0] for one in ids] == [
        "confirmed", "confirmed", "cancelled", "placed", "placed"
    ]  # fmt: skip
    before = await orders.fetch("select count(*) from timeline")
    await orders.run_job("watch")
    assert await orders.fetch("select count(*) from timeline") == before


async def test_the_watch_says_again_what_payments_never_heard(orders):
    order_id = (await place(orders)).json()["id"]
    async with orders.db.transaction() as tx:
        await tx.execute("update outbox set published_at = clock_timestamp() - interval '1 min'")
    await orders.run_job("watch")
    rows = await orders.fetch("select published_at, tries, id from outbox where key = $1", order_id)
    assert [(row["published_at"], row["tries"]) for row in rows] == [(None, 1)]


async def test_the_watch_cancels_when_the_time_to_pay_is_over(orders, payments):
    ids = [UUID((await place(orders)).json()["id"]) for _ in range(3)]
    unpaid, paid, silent = ids
    async with orders.db.transaction() as tx:
        await tx.execute("update orders set pay_until = clock_timestamp() - interval '1 s'")
    payments.states = {
        unpaid: known(unpaid, "declined"), paid: known(paid, "captured"), silent: 503,
    }  # fmt: skip
    await orders.run_job("watch")
    assert [await status_of(orders, one) for one in ids] == [
        ("cancelled", "payment-timeout"), ("confirmed", None), ("placed", None)
    ]  # fmt: skip
