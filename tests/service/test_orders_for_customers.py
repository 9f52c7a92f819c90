"""Orders that staff place for customers, at prices agreed on, under a name of their own."""

import asyncio
from uuid import UUID, uuid4

import harness
import pytest
from service.orders_desk import TOKEN, Inventory, Payments, opened, place, wish

from merkato.contracts.orders import OrderPlaced
from merkato.contracts.trail import OrdersActionNoted

STAFF = harness.user_token(role="staff")
CUSTOMER = uuid4()


@pytest.fixture
def stock():
    return Inventory()


@pytest.fixture
async def orders(new_database, stock):
    async with opened(new_database, stock, Payments()) as alone:
        yield alone


def euros(amount):
    return {"amount_minor": amount, "currency": "EUR"}


def for_customer(*lines, **more):
    return {**wish(), "lines": list(lines), "customer_id": str(CUSTOMER)} | more


def line(sku="A", quantity=1, agreed=None):
    found = {"sku": sku, "quantity": quantity}
    return found if agreed is None else found | {"agreed_price": euros(agreed)}


async def test_an_order_for_a_customer_is_theirs(orders):
    at = "2010-12-01T08:26:00Z"
    body = for_customer(line(), reference="invoice 536365", reference_time=at)
    placed = await place(orders, body, token=STAFF)
    assert placed.status == 202, placed
    order = placed.json()
    assert (order["customer_id"], order["token"]) == (str(CUSTOMER), None)
    assert (order["reference"], order["reference_time"]) == ("invoice 536365", at)
    [event] = await orders.said(OrderPlaced)
    assert (event.customer_id, event.reference) == (CUSTOMER, "invoice 536365")
    theirs = harness.user_token(CUSTOMER)
    mine = await orders.request("GET", "/api/v1/orders", token=theirs)
    assert [one["id"] for one in mine.json()["items"]] == [order["id"]]


async def test_whoever_orders_for_others_is_noted(orders):
    body = for_customer(line(), line(agreed=5), reference="one")
    order = (await place(orders, body, token=STAFF)).json()
    await place(orders)
    [entry] = await orders.said(OrdersActionNoted)
    assert entry.action == "orders.order_placed_for_customer"
    assert (entry.subject, entry.role) == (f"order:{order['id']}", "staff")
    assert (entry.after["customer_id"], entry.after["grand_minor"]) == (str(CUSTOMER), 1_005)
    assert entry.after["agreed"] == [{"line_no": 2, "sku": "A", "unit_price_minor": 5}]


async def test_orders_are_found_by_reference(orders):
    for name in ("one", "two"):
        body = for_customer(line(), reference=name)
        assert (await place(orders, body, token=STAFF)).status == 202
    found = await orders.request("GET", "/api/v1/orders?reference=two", token=STAFF)
    assert [one["reference"] for one in found.json()["items"]] == ["two"]
    other = await orders.request("GET", "/api/v1/orders?reference=two", token=TOKEN)
    assert other.json()["items"] == []


async def test_orders_are_found_by_how_their_reference_begins(orders):
    for name in ("file-1", "file-2", "other-1"):
        assert (
            await place(orders, for_customer(line(), reference=name), token=STAFF)
        ).status == 202
    found = await orders.request("GET", "/api/v1/orders?reference_prefix=file-", token=STAFF)
    assert [one["reference"] for one in found.json()["items"]] == ["file-2", "file-1"]
    [one] = (await orders.request("GET", "/api/v1/orders?reference=file-1", token=STAFF)).json()[
        "items"
    ]
    assert (one["grand_minor"], one["shipping_minor"], one["credited_minor"]) == (1_000, 0, 0)


async def test_the_list_names_who_bought_to_staff_alone(orders):
    silent = {**for_customer(line()), "contact": None}
    for body in (for_customer(line()), silent):
        assert (await place(orders, body, token=STAFF)).status == 202
    await place(orders)

    async def named(query, token):
        found = await orders.request("GET", f"/api/v1/orders{query}", token=token)
        return [one["contact"] for one in found.json()["items"]]

    contact = wish()["contact"]
    whole = {"name": None, "phone": None} | contact
    assert await named("", STAFF) == [whole, None, whole]
    assert await named(f"?customer={CUSTOMER}", STAFF) == [None, whole]
    assert await named("", TOKEN) == [None]
    assert await named("", harness.user_token(CUSTOMER)) == [None, None]


async def test_orders_are_found_by_their_ids(orders):
    ids = [(await place(orders)).json()["id"] for _ in range(3)]

    async def found(token, *wanted):
        query = "&".join(f"id={one}" for one in wanted)
        return await orders.request("GET", f"/api/v1/orders?{query}", token=token)

    listed = (await found(STAFF, ids[0], ids[2], uuid4())).json()["items"]
    assert [one["id"] for one in listed] == [ids[2], ids[0]]
    assert (await found(harness.user_token(uuid4()), *ids)).json()["items"] == []
    assert (await found(STAFF, "nonsense")).status == 422
    assert (await found(STAFF, *(uuid4() for _ in range(101)))).status == 422


async def test_an_order_for_somebody_nobody_can_write_to_needs_no_contact(orders):
    silent = {**for_customer(line()), "contact": None, "reference_time": "2010-12-01T08:26:00Z"}
    address = {"name": "17850", "lines": ["?"], "city": "?", "postal_code": "?", "country": "IE"}
    placed = await place(orders, silent | {"shipping_address": address}, token=STAFF)
    assert placed.status == 202, placed
    assert placed.json()["contact"] is None
    [event] = await orders.said(OrderPlaced)
    assert event.contact is None
    assert [row["country"] for row in await orders.fetch("select country from orders")] == ["IE"]
    mine = await place(orders, {**wish(), "contact": None})
    assert mine.status == 422, mine


async def test_a_reference_is_given_once(orders, stock):
    bodies = [for_customer(line(quantity=n), reference="one") for n in (1, 2)]
    met = asyncio.Barrier(2)
    stock.before_answer = met.wait
    answers = await asyncio.gather(*(place(orders, body, token=STAFF) for body in bodies))
    assert sorted(answer.status for answer in answers) == [202, 409], answers
    [refused] = [answer.json() for answer in answers if answer.status == 409]
    assert (refused["type"], refused["reference"]) == ("/problems/state-conflict", "one")
    assert len(stock.given_back()) == 1


async def test_an_order_for_a_guest_shows_the_guests_token(orders):
    placed = await place(orders, for_customer(line(), customer_id=None), token=STAFF)
    order = placed.json()
    assert (placed.status, order["customer_id"]) == (202, None)
    proof = {"x-order-token": order["token"]}
    seen = await orders.request("GET", f"/api/v1/orders/{order['id']}", headers=proof)
    assert seen.status == 200


async def test_lines_of_one_sku_at_different_prices_stay_apart(orders, stock):
    lines = (line(agreed=250, quantity=2), line(quantity=4), line(agreed=199), line(agreed=250))
    order = (await place(orders, for_customer(*lines), token=STAFF)).json()
    told = [(one["sku"], one["quantity"], one["unit_price_minor"]) for one in order["lines"]]
    assert told == [("A", 4, 1_000), ("A", 1, 199), ("A", 3, 250)]
    assert {one["list_price_minor"] for one in order["lines"]} == {1_000}
    assert order["totals"]["grand_minor"] == 4_000 + 199 + 750
    rows = await orders.fetch("select line_no, quantity from order_lines order by line_no")
    assert [tuple(row) for row in rows] == [(1, 4), (2, 1), (3, 3)]
    seen = await orders.request("GET", f"/api/v1/orders/{order['id']}", token=STAFF)
    assert seen.json() == order


async def test_agreed_shipping_replaces_the_price_of_the_method(orders):
    body = for_customer(line(), shipping_method="express", agreed_shipping=euros(1_800))
    order = (await place(orders, body, token=STAFF)).json()
    assert order["shipping"]["gross_minor"] == order["totals"]["shipping_minor"] == 1_800
    assert order["totals"]["grand_minor"] == 2_800
    free = body | {"agreed_shipping": euros(0)}
    assert (await place(orders, free, token=STAFF)).json()["totals"]["grand_minor"] == 1_000


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"agreed_shipping": euros(1)}, "/agreed_shipping"),
        ({"shipping_method": "express", "agreed_shipping": {"amount_minor": 1, "currency": "USD"}},
         "/agreed_shipping/currency"),
        ({"lines": [{**line(), "agreed_price": {"amount_minor": 1, "currency": "USD"}}]},
         "/lines/0/agreed_price/currency"),
        ({"lines": [{**line(), "agreed_price": euros(-1)}]}, "/lines/0/agreed_price/amount_minor"),
        ({"reference": "x" * 101}, "/reference"),
        ({"reference": "a\nb"}, "/reference"),
        ({"reference_time": "2010-12-01T08:26:00"}, "/reference_time"),
        ({"reference_time": "0001-01-01T00:00:00+14:00"}, "/reference_time"),
        ({"lines": [line(quantity=600_000), line(quantity=600_000, agreed=1)]}, "/lines"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_where_it_stands(orders, stock, more, pointer):
    refused = await place(orders, for_customer(line()) | more, token=STAFF)
    assert refused.status == 422, refused
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]
    assert stock.asked == []


@pytest.mark.parametrize(
    "more",
    [
        {"customer_id": str(uuid4())}, {"customer_id": None}, {"reference": "mine"},
        {"reference_time": "2010-12-01T08:26:00Z"}, {"lines": [line(agreed=0)]},
    ],
)  # fmt: skip
async def test_customers_may_do_none_of_it(orders, stock, more):
    assert (await place(orders, wish() | more)).status == 403
    assert (
        await place(orders, wish() | more, token=harness.user_token(role="staff"))
    ).status == 202
    anonymous = await orders.request("POST", "/api/v1/orders", wish() | more, key=uuid4().hex)
    assert anonymous.status == 401


async def test_a_repeat_finds_its_order_by_the_staffs_key(orders):
    key, body = uuid4().hex, for_customer(line(agreed=5), reference="again")
    first = await place(orders, body, key=key, token=STAFF)
    again = await place(orders, body, key=key, token=STAFF)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    changed = for_customer(line(agreed=6), reference="again")
    assert (await place(orders, changed, key=key, token=STAFF)).status == 422
    assert UUID(first.json()["id"]).version == 8
