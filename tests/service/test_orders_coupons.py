"""Coupons: made by staff, put on carts, held by orders, used, freed, and never beyond a limit."""

from uuid import UUID, uuid4

import harness
import pytest
from service.orders_desk import (
    STAFF,
    TOKEN,
    Inventory,
    Payments,
    about,
    opened,
    place,
    put_coupon,
    wish,
)

from merkato.contracts.orders import OrderPlaced
from merkato.contracts.payments import PaymentActionRequired, PaymentCaptured, PaymentDeclined
from merkato.contracts.trail import OrdersActionNoted

LATER = "2120-01-01T00:00:00Z"
TEN = {"kind": "percent", "basis_points": 1_000}


@pytest.fixture
def stock():
    return Inventory()


@pytest.fixture
async def orders(new_database, stock):
    async with opened(new_database, stock, Payments()) as alone:
        yield alone


async def coupon(orders, code="SAVE", **body):
    made = await put_coupon(orders, code, {**TEN, **body} if "kind" not in body else body)
    assert made.status == 201, made
    return made.json()


def slug(answer):
    return answer.json()["type"].rsplit("/", 1)[-1]


async def uses(orders):
    """(uses of coupons, uses by customers, states of uses): what the three tables say."""
    [of_all] = await orders.fetch("select coalesce(sum(uses), 0)::int as n from coupons")
    [of_them] = await orders.fetch("select coalesce(sum(uses), 0)::int as n from coupon_customers")
    rows = await orders.fetch("select state from coupon_uses order by at, order_id")
    return of_all["n"], of_them["n"], [row["state"] for row in rows]


async def new_cart(orders, quantity=2, token=TOKEN, **headers):
    cart = (await orders.request("POST", "/api/v1/carts", {}, token=token)).json()
    path = f"/api/v1/carts/{cart['id']}"
    proof = {"x-cart-token": cart["token"]} if cart["token"] else {}
    line = {"sku": "A", "quantity": quantity}
    await orders.request("POST", f"{path}/lines", line, token=token, headers=proof)
    return path, proof


async def test_an_order_with_a_coupon_costs_less_and_says_why(orders):
    await coupon(orders, "Save-10")
    body = wish(lines=[{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}], coupon="sAVE-10")
    placed = await place(orders, body)
    assert placed.status == 202, placed
    order = placed.json()
    assert order["coupon"] == "SAVE-10"
    assert [one["discount_minor"] for one in order["lines"]] == [200, 50]
    assert [(one["line_no"], one["amount_minor"]) for one in order["adjustments"]] == [
        (1, 200), (2, 50)
    ]  # fmt: skip
    totals = order["totals"]
    assert (totals["items_minor"], totals["discount_minor"], totals["grand_minor"]) == (
        2_500, 250, 2_250
    )  # fmt: skip
    [event] = await orders.said(OrderPlaced)
    assert (event.totals.discount_minor, event.totals.grand_minor) == (250, 2_250)
    seen = await orders.request("GET", f"/api/v1/orders/{order['id']}", token=TOKEN)
    assert seen.json() == order


async def test_a_coupon_is_held_used_once_and_freed(orders):
    await coupon(orders, uses_max=2)
    first, second = [UUID((await place(orders, wish(coupon="SAVE"))).json()["id"]) for _ in "12"]
    assert await uses(orders) == (2, 2, ["held", "held"])
    action = PaymentActionRequired(**about(first), attempt=1, url="https://bank.example")
    declined = PaymentDeclined(**about(first), attempt=1, reason="no money")
    for news in (action, declined, action):
        await orders.hear(news)
        assert await uses(orders) == (2, 2, ["held", "held"])
    await orders.hear(PaymentCaptured(**about(first)), PaymentCaptured(**about(first)))
    await orders.hear(PaymentDeclined(**about(second), attempt=1, reason="fraud", final=True))
    assert await uses(orders) == (1, 1, ["used", "freed"])
    path = f"/api/v1/orders/{first}/cancellation"
    for key in (uuid4().hex, uuid4().hex):
        done = await orders.request("POST", path, {}, token=TOKEN, key=key)
        assert done.status == 200, done
    assert await uses(orders) == (0, 0, ["freed", "freed"])


async def test_a_total_limit_is_kept_and_gives_the_hold_back(orders, stock):
    await coupon(orders, uses_max=1)
    first = await place(orders, wish(coupon="SAVE"))
    other = harness.user_token()
    refused = await place(orders, wish(coupon="SAVE"), token=other)
    assert (first.status, refused.status, slug(refused)) == (202, 409, "coupon-exhausted")
    assert refused.json()["reason"] == "limit"
    assert len(stock.given_back()) == 1
    order = first.json()["id"]
    path = f"/api/v1/orders/{order}/cancellation"
    await orders.request("POST", path, {}, token=TOKEN, key=uuid4().hex)
    assert (await place(orders, wish(coupon="SAVE"), token=other)).status == 202


async def test_a_customers_limit_is_kept_by_person(orders):
    await coupon(orders, uses_per_customer_max=1)
    assert (await place(orders, wish(coupon="SAVE"))).status == 202
    again = await place(orders, wish(coupon="SAVE"))
    assert (again.status, again.json()["reason"]) == (409, "customer-limit")
    other = await place(orders, wish(coupon="SAVE"), token=harness.user_token())
    assert other.status == 202


async def test_guests_count_by_their_address(orders):
    await coupon(orders, uses_per_customer_max=1)
    answers = []
    for email in ("ada@example.org", "ADA@Example.org", "eve@example.org"):
        path, proof = await new_cart(orders, token=None)
        body = {
            "cart_id": path.rsplit("/", 1)[-1], "contact": {"email": email}, "coupon": "SAVE",
            "payment": {"method": "on_account"},
        }  # fmt: skip
        answers.append(
            await orders.request("POST", "/api/v1/orders", body, key=uuid4().hex, headers=proof)
        )
    assert [answer.status for answer in answers] == [202, 409, 202]
    rows = await orders.fetch("select customer from coupon_customers")
    assert all("ada" not in row["customer"] for row in rows)


async def test_a_replay_of_the_last_use_is_the_order(orders):
    await coupon(orders, uses_max=1)
    key, body = uuid4().hex, wish(coupon="SAVE")
    first = await place(orders, body, key=key)
    again = await place(orders, body, key=key)
    assert (again.status, again.json()) == (202, first.json())
    assert (await place(orders, wish(), key=key)).status == 422


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"kind": "fixed", "amounts": {"USD": 500}}, "currency"),
        ({**TEN, "minimum": {"EUR": 1_001}}, "minimum-not-reached"),
        ({**TEN, "valid_until": "2020-01-01T00:00:00Z"}, "expired"),
        ({**TEN, "valid_from": LATER}, "not-yet-valid"),
    ],
)
async def test_a_coupon_that_does_not_fit_is_refused_and_nothing_is_held(
    orders, stock, body, reason
):
    await coupon(orders, **body)
    for refused in (await place(orders, wish(coupon="SAVE")),
                    await orders.request("PUT", f"{(await new_cart(orders, 1))[0]}/coupons/SAVE",
                                         token=TOKEN)):  # fmt: skip
        assert (refused.status, slug(refused)) == (422, "coupon-invalid"), refused
        assert refused.json()["reason"] == reason
    assert stock.asked == []


@pytest.mark.parametrize(
    "code", ["NOPE", "SAVE%20IT", "%EF%BC%B3AVE", "SAV%E2%84%A4", "-", "a" * 41]
)
async def test_codes_are_ascii_and_known(orders, stock, code):
    await coupon(orders)
    path, _ = await new_cart(orders)
    refused = await orders.request("PUT", f"{path}/coupons/{code}", token=TOKEN)
    assert (refused.status, slug(refused)) == (422, "coupon-invalid"), refused
    assert (await place(orders, wish(coupon="ＳAVE"))).status == 422
    assert stock.asked == []


async def test_a_cart_shows_its_coupon_and_orders_with_it(orders):
    await coupon(orders, minimum={"EUR": 1_500})
    path, _ = await new_cart(orders)
    put = await orders.request("PUT", f"{path}/coupons/save", token=TOKEN)
    cart = put.json()
    assert (put.status, cart["coupon"]) == (200, {"code": "SAVE", "applied": True, "reason": None})
    assert (cart["totals"]["discount_minor"], cart["totals"]["grand_minor"]) == (200, 1_800)
    line = f"{path}/lines/{cart['lines'][0]['line_id']}"
    less = (await orders.request("PATCH", line, {"quantity": 1}, token=TOKEN)).json()
    assert less["coupon"]["reason"] == "minimum-not-reached"
    assert less["totals"]["grand_minor"] == 1_000
    body = {key: one for key, one in wish().items() if key != "lines"}
    body |= {"cart_id": cart["id"], "expected_total": {"amount_minor": 1_800, "currency": "EUR"}}
    assert slug(await place(orders, body)) == "coupon-invalid"
    await orders.request("PATCH", line, {"quantity": 2}, token=TOKEN)
    assert (await place(orders, body)).json()["totals"]["grand_minor"] == 1_800


async def test_a_coupon_comes_off_a_cart_and_can_be_left_out(orders):
    await coupon(orders)
    await coupon(orders, "OTHER")
    path, _ = await new_cart(orders)
    for code in ("SAVE", "OTHER"):
        await orders.request("PUT", f"{path}/coupons/{code}", token=TOKEN)
    same = await orders.request("DELETE", f"{path}/coupons/SAVE", token=TOKEN)
    assert same.json()["coupon"]["code"] == "OTHER"
    off = await orders.request("DELETE", f"{path}/coupons/other", token=TOKEN)
    assert (off.json()["coupon"], off.json()["totals"]["grand_minor"]) == (None, 2_000)
    await orders.request("PUT", f"{path}/coupons/SAVE", token=TOKEN)
    body = {key: one for key, one in wish().items() if key != "lines"}
    body |= {"cart_id": path.rsplit("/", 1)[-1], "coupon": None}
    assert (await place(orders, body)).json()["totals"]["grand_minor"] == 2_000


async def test_a_guests_coupon_comes_along_after_logging_in(orders):
    await coupon(orders)
    guest, proof = await new_cart(orders, token=None)
    put = await orders.request("PUT", f"{guest}/coupons/SAVE", headers=proof)
    assert put.status == 200, put
    mine, _ = await new_cart(orders)
    body = {"cart_id": guest.rsplit("/", 1)[-1], "token": proof["x-cart-token"]}
    merged = await orders.request("POST", f"{mine}/merge", body, token=TOKEN)
    assert merged.json()["coupon"]["code"] == "SAVE"
    assert merged.json()["totals"]["grand_minor"] == 3_600


async def test_a_coupon_that_changed_while_goods_were_held_is_priced_again(orders, stock):
    made = await coupon(orders)

    async def change():
        stock.before_answer = None
        body = {**TEN, "basis_points": 2_000}
        await put_coupon(orders, "SAVE", body, version=made["version"])

    stock.before_answer = change
    placed = await place(orders, wish(coupon="SAVE"))
    assert placed.json()["totals"]["grand_minor"] == 800

    async def archive():
        stock.before_answer = None
        path = "/api/v1/coupons/SAVE"
        gone = await orders.request("DELETE", path, token=STAFF, headers={"if-match": '"v2"'})
        assert gone.status == 204, gone

    stock.before_answer = archive
    refused = await place(orders, wish(coupon="SAVE"))
    assert (refused.status, refused.json()["reason"]) == (422, "unknown")
    assert len(stock.given_back()) == 2


async def test_staff_make_change_list_and_archive_coupons(orders):
    await coupon(orders, "B-1", uses_max=3)
    await coupon(orders, "A-1")
    order = (await place(orders, wish(coupon="b-1"))).json()
    listed = await orders.request("GET", "/api/v1/coupons?limit=1", token=STAFF)
    assert [one["code"] for one in listed.json()["items"]] == ["A-1"]
    more = f"/api/v1/coupons?limit=1&cursor={listed.json()['next_cursor']}"
    [second] = (await orders.request("GET", more, token=STAFF)).json()["items"]
    assert (second["code"], second["uses"]) == ("B-1", 1)
    [use] = (await orders.request("GET", "/api/v1/coupons/b-1/uses", token=STAFF)).json()["items"]
    assert (use["order_id"], use["state"]) == (order["id"], "held")
    body = {**TEN, "uses_max": 1}
    assert (await put_coupon(orders, "B-1", body)).status == 428
    assert (await put_coupon(orders, "B-1", body, version=2)).status == 412
    changed = await put_coupon(orders, "B-1", body, version=1)
    assert (changed.status, changed.json()["version"]) == (200, 2)
    path = "/api/v1/coupons/b-1"
    for _ in range(2):
        gone = await orders.request("DELETE", path, token=STAFF, headers={"if-match": '"v2"'})
        assert gone.status == 204
    assert slug(await place(orders, wish(coupon="B-1"))) == "coupon-invalid"
    back = await put_coupon(orders, "B-1", {**TEN, "uses_max": 2}, version=3)
    assert (back.status, back.json()["archived"], back.json()["uses"]) == (200, False, 1)
    assert (await orders.request("GET", path, token=TOKEN)).status == 403
    noted = [(one.action, one.subject) for one in await orders.said(OrdersActionNoted)]
    done = ("made", "B-1"), ("made", "A-1"), ("changed", "B-1"), ("archived", "B-1")
    assert noted == [(f"orders.coupon_{what}", f"coupon:{code}") for what, code in
                     (*done, ("changed", "B-1"))]  # fmt: skip


async def test_a_limit_is_not_put_below_what_was_used(orders):
    await coupon(orders)
    for _ in range(2):
        await place(orders, wish(coupon="SAVE"))
    for version, limit in enumerate(("uses_max", "uses_per_customer_max"), 1):
        refused = await put_coupon(orders, "SAVE", {**TEN, limit: 1}, version=version)
        assert (refused.status, slug(refused), refused.json()["uses"]) == (409, "state-conflict", 2)
        fits = await put_coupon(orders, "SAVE", {**TEN, limit: 2}, version=version)
        assert fits.status == 200, fits


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("SAVE", {"kind": "percent"}), ("SAVE", {"kind": "fixed"}),
        ("SAVE", {**TEN, "amounts": {"EUR": 1}}), ("SAVE", {**TEN, "basis_points": 10_001}),
        ("SAVE", {"kind": "fixed", "amounts": {"EUR": 0}}), ("SAVE", {**TEN, "uses_max": 0}),
        ("SAVE", {**TEN, "valid_from": "0001-01-01T00:00:00+14:00"}),
        ("SAVE", {**TEN, "valid_from": LATER, "valid_until": LATER}),
        ("S%20E", TEN), ("ＳAVE", TEN),
    ],
)  # fmt: skip
async def test_coupons_that_mean_nothing_are_refused(orders, code, body):
    assert (await put_coupon(orders, code, body)).status == 422


async def test_an_order_may_cost_nothing(orders):
    await coupon(orders, kind="percent", basis_points=10_000)
    order = (await place(orders, wish(coupon="SAVE"))).json()
    assert (order["totals"]["discount_minor"], order["totals"]["grand_minor"]) == (1_000, 0)
    [event] = await orders.said(OrderPlaced)
    assert event.totals.grand_minor == 0
