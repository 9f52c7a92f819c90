"""Shipping methods, tax rates and customers' price lists: kept by staff, counted at once."""

import asyncio
from uuid import uuid4

import harness
import pytest
from service.orders_desk import PERSON, STAFF, TOKEN, Inventory, Payments, opened, place, wish

from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.trail import OrdersActionNoted

HEAVY = {
    "titles": {"en": "By lorry"}, "prices": {"EUR": 900}, "days_min": 3, "days_max": 5,
    "countries": ["DE", "AT"], "free_from": {"EUR": 50_000}, "weight_max_g": 30_000,
    "weight_steps": [{"from_g": 10_000, "prices": {"EUR": 1_900}}],
}  # fmt: skip
ADDRESS = {"name": "Ada", "lines": ["Quay 1"], "city": "Bremen", "postal_code": "1"}
METHODS, RATES = "/api/v1/shipping-methods", "/api/v1/tax-rates"


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        yield alone


def price(amount, currency="EUR", **more):
    return Price(currency=currency, amount_minor=amount, **more)


async def sell(orders, sku, *prices, version=2, **more):
    """Have catalog say what a sku costs."""
    await orders.hear(
        VariantPriced(
            sku=sku, product_id=uuid4(), titles={"en": sku}, active=True, version=version,
            prices=prices, **more,
        )
    )  # fmt: skip


async def put(orders, path, body, version=None, token=STAFF):
    headers = {} if version is None else {"if-match": f'"v{version}"'}
    return await orders.request("PUT", path, body, token=token, headers=headers)


def sent(country="DE", method="lorry", quantity=1, **more):
    return wish(
        quantity, shipping_address={**ADDRESS, "country": country}, shipping_method=method, **more
    )


async def test_a_method_is_made_used_changed_and_archived(orders):
    await sell(orders, "A", price(1_000), weight_g=4_000)
    made = await put(orders, f"{METHODS}/lorry", HEAVY)
    assert (made.status, made.headers["etag"]) == (201, '"v1"'), made
    for quantity, cost in ((1, 900), (3, 1_900), (50, None)):
        placed = await place(orders, sent(quantity=quantity))
        if cost is None:
            [error] = placed.json()["errors"]
            assert (placed.status, error["pointer"]) == (422, "/shipping_method")
        else:
            assert placed.json()["shipping"]["gross_minor"] == cost
    assert (await place(orders, sent("FR"))).status == 422
    assert (await put(orders, f"{METHODS}/lorry", HEAVY)).status == 428
    assert (await put(orders, f"{METHODS}/lorry", HEAVY, version=7)).status == 412
    changed = await put(orders, f"{METHODS}/lorry", HEAVY | {"prices": {"EUR": 1}}, version=1)
    assert (changed.status, changed.json()["version"]) == (200, 2)
    assert (await place(orders, sent())).json()["shipping"]["gross_minor"] == 1
    for _ in range(2):
        gone = await orders.request(
            "DELETE", f"{METHODS}/lorry", token=STAFF, headers={"if-match": '"v2"'}
        )
        assert gone.status == 204
    assert (await place(orders, sent())).status == 422
    everything = await orders.request("GET", f"{METHODS}/all?archived=true", token=STAFF)
    assert [one["id"] for one in everything.json()["items"]] == ["standard", "express", "lorry"]
    living = await orders.request("GET", f"{METHODS}/all", token=STAFF)
    assert [one["id"] for one in living.json()["items"]] == ["standard", "express"]
    one = await orders.request("GET", f"{METHODS}/lorry", token=STAFF)
    assert (one.json()["archived"], one.headers["etag"]) == (True, '"v3"')


async def test_customers_choose_from_what_fits_their_cart(orders):
    await sell(orders, "A", price(1_000), weight_g=4_000)
    await put(orders, f"{METHODS}/lorry", HEAVY)
    cart = (await orders.request("POST", "/api/v1/carts", {}, token=TOKEN)).json()
    line = {"sku": "A", "quantity": 3}
    await orders.request("POST", f"/api/v1/carts/{cart['id']}/lines", line, token=TOKEN)

    async def offered(query):
        answer = await orders.request("GET", f"{METHODS}?{query}", token=TOKEN)
        return {one["id"]: one["price_minor"] for one in answer.json()["items"]}

    mine = f"cart_id={cart['id']}"
    assert await offered(mine) == {"standard": 490, "express": 1_290, "lorry": 1_900}
    assert await offered(f"{mine}&country=FR") == {"standard": 490, "express": 1_290}
    assert (await offered("country=DE&weight_g=9999"))["lorry"] == 900
    assert "lorry" not in await offered("country=DE&weight_g=30001")
    assert "lorry" not in await offered("currency=JPY")


async def test_a_cart_that_cannot_be_ordered_in_one_is_not_made_but_shown(orders):
    await sell(orders, "A", price(1_190), price(900, price_list="trade", tax_included=False))
    await sell(orders, "B", price(1_190))
    cart = (await orders.request("POST", "/api/v1/carts", {}, token=TOKEN)).json()
    here = f"/api/v1/carts/{cart['id']}"

    async def ask(method, path, body=None):
        return await orders.request(method, here + path, body, token=TOKEN)

    lines = (await ask("POST", "/lines", {"sku": "A", "quantity": 2})).json()["lines"]
    line = f"/lines/{lines[0]['line_id']}"
    await sell(orders, "A", price(10**9), price(10**9, price_list="trade", tax_included=False),
               version=3)  # fmt: skip
    await asyncio.sleep(1)  # offers are remembered for as long
    assert (await ask("POST", "/lines", {"sku": "A", "quantity": 1_000})).status == 422
    assert (await ask("PATCH", line, {"quantity": 1_001})).status == 422
    assert (await ask("PATCH", line, {"quantity": 3})).status == 200
    assert (await ask("POST", "/lines", {"sku": "B"})).status == 201
    await orders.fetch("insert into customer_price_lists values ($1, 'trade')", PERSON)
    shown = (await ask("GET", "")).json()
    assert shown["totals"] is None
    assert "ordered apart" in shown["refusal"]
    assert [(one["sku"], one["quantity"], one["unit_price_minor"]) for one in shown["lines"]] == [
        ("A", 3, None), ("B", 1, None)
    ]  # fmt: skip
    assert (await ask("PATCH", line, {"quantity": 1})).status == 422
    less = await ask("DELETE", f"/lines/{shown['lines'][1]['line_id']}")
    assert (less.json()["totals"]["grand_minor"], less.json()["refusal"]) == (3 * 10**9, None)
    assert (await ask("POST", "/lines", {"sku": "B"})).status == 422
    assert len((await ask("GET", "")).json()["lines"]) == 1


@pytest.mark.parametrize(
    ("method_id", "more"),
    [
        ("lorry", {"days_max": 1}), ("lorry", {"titles": {}}), ("lorry", {"prices": {"EUR": -1}}),
        ("lorry", {"countries": ["Germany"]}), ("Lorry!", {}),
        ("lorry", {"weight_steps": [{"from_g": 1, "prices": {}}, {"from_g": 1, "prices": {}}]}),
    ],
)  # fmt: skip
async def test_methods_that_mean_nothing_are_refused(orders, method_id, more):
    assert (await put(orders, f"{METHODS}/{method_id}", HEAVY | more)).status == 422


async def test_rates_count_from_their_day_on_and_never_for_old_orders(orders):
    old = (await place(orders, sent(method="express"))).json()
    assert old["totals"]["tax_minor"] == 160 + 206
    now = await put(orders, f"{RATES}/DE/standard/2026-01-01", {"basis_points": 0})
    assert now.status == 200, now
    later = await put(orders, f"{RATES}/DE/standard/2999-01-01", {"basis_points": 9_999})
    assert later.status == 200, later
    assert (await place(orders, sent(method="express"))).json()["totals"]["tax_minor"] == 0
    seen = await orders.request("GET", f"/api/v1/orders/{old['id']}", token=TOKEN)
    assert seen.json()["totals"] == old["totals"]
    gone = await orders.request("DELETE", f"{RATES}/DE/standard/2026-01-01", token=STAFF)
    assert gone.status == 204
    assert (await place(orders, sent(method="express"))).json()["totals"]["tax_minor"] == 366


async def test_rates_are_listed_in_pages(orders):
    first = await orders.request("GET", f"{RATES}?country=DE&limit=1", token=STAFF)
    [reduced] = first.json()["items"]
    assert (reduced["tax_class"], reduced["basis_points"]) == ("reduced", 700)
    cursor = first.json()["next_cursor"]
    rest = await orders.request("GET", f"{RATES}?country=DE&limit=1&cursor={cursor}", token=STAFF)
    assert [one["tax_class"] for one in rest.json()["items"]] == ["standard"]
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    "place_", ["de/standard/2026-01-01", "DE/Standard/2026-01-01", "DE/standard/2026-02-30",
               "DE/standard/now"]
)  # fmt: skip
async def test_rates_of_nowhere_are_refused(orders, place_):
    assert (await put(orders, f"{RATES}/{place_}", {"basis_points": 1})).status == 422


async def test_goods_of_a_list_without_tax_cost_it_on_top(orders):
    await sell(orders, "A", price(1_000, tax_included=False))
    order = (await place(orders, sent(method="express"))).json()
    assert order["tax_included"] is False
    line, shipping, totals = order["lines"][0], order["shipping"], order["totals"]
    assert (line["net_minor"], line["tax_minor"], line["gross_minor"]) == (1_000, 190, 1_190)
    assert (shipping["net_minor"], shipping["gross_minor"]) == (1_290, 1_535)
    assert (totals["items_minor"], totals["tax_minor"], totals["grand_minor"]) == (
        1_000, 435, 2_725
    )  # fmt: skip


async def test_a_customer_pays_by_the_list_that_was_promised(orders):
    prices = price(1_000), price(700, price_list="trade"), price(600, price_list="trade",
                                                                 from_quantity=10)  # fmt: skip
    await sell(orders, "A", *prices, requires_shipping=False)
    path = f"/api/v1/customer-price-lists/{PERSON}"
    assert (await place(orders, wish(1))).json()["lines"][0]["unit_price_minor"] == 1_000
    promised = await put(orders, path, {"price_list": "trade"})
    assert promised.status == 200, promised
    for quantity, unit in ((1, 700), (10, 600)):
        [line] = (await place(orders, wish(quantity))).json()["lines"]
        assert line["unit_price_minor"] == unit
    other = await place(orders, wish(10), token=harness.user_token())
    assert other.json()["lines"][0]["unit_price_minor"] == 1_000
    by_staff = wish(1, customer_id=str(PERSON))
    [line] = (await place(orders, by_staff, token=STAFF)).json()["lines"]
    assert line["unit_price_minor"] == 700
    cart = (await orders.request("POST", "/api/v1/carts", {}, token=TOKEN)).json()
    added = await orders.request(
        "POST", f"/api/v1/carts/{cart['id']}/lines", {"sku": "A", "quantity": 10}, token=TOKEN
    )
    assert added.json()["totals"]["grand_minor"] == 6_000
    rows = await orders.fetch("select distinct price_list from order_lines order by 1")
    assert [row["price_list"] for row in rows] == ["standard", "trade"]
    listed = await orders.request("GET", "/api/v1/customer-price-lists", token=STAFF)
    assert listed.json()["items"] == [{"customer_id": str(PERSON), "price_list": "trade"}]
    assert (await orders.request("DELETE", path, token=STAFF)).status == 204
    assert (await place(orders, wish(1))).json()["lines"][0]["unit_price_minor"] == 1_000


async def test_terms_are_for_staff(orders):
    for path, body in (
        (f"{METHODS}/lorry", HEAVY),
        (f"{RATES}/DE/standard/2026-01-01", {"basis_points": 0}),
        (f"/api/v1/customer-price-lists/{PERSON}", {"price_list": "trade"}),
    ):
        assert (await put(orders, path, body, token=TOKEN)).status == 403
        assert (await put(orders, path, body, token=None)).status == 401


async def test_what_staff_change_is_noted_with_before_and_after(orders):
    await put(orders, f"{METHODS}/lorry", HEAVY)
    await put(orders, f"{METHODS}/lorry", HEAVY | {"days_max": 9}, version=1)
    etag = {"if-match": '"v2"'}
    await orders.request("DELETE", f"{METHODS}/lorry", token=STAFF, headers=etag)
    rate = f"{RATES}/DE/standard/2000-01-01"
    for points in (1_600, 1_600):
        await put(orders, rate, {"basis_points": points})
    for _ in range(2):
        await orders.request("DELETE", rate, token=STAFF)
    path = f"/api/v1/customer-price-lists/{PERSON}"
    for _ in range(2):
        await put(orders, path, {"price_list": "trade"})
    await orders.request("DELETE", path, token=STAFF)
    told = [(one.action.removeprefix("orders."), one.subject, one.before, one.after)
            for one in await orders.said(OrdersActionNoted)]  # fmt: skip
    assert [(action, subject) for action, subject, *_ in told] == [
        ("shipping_method_made", "method:lorry"), ("shipping_method_changed", "method:lorry"),
        ("shipping_method_archived", "method:lorry"),
        ("tax_rate_set", "tax_rate:DE/standard/2000-01-01"),
        ("tax_rate_removed", "tax_rate:DE/standard/2000-01-01"),
        ("price_list_promised", f"customer:{PERSON}"),
        ("price_list_promised", f"customer:{PERSON}"),
    ]  # fmt: skip
    assert told[1][2:] == ({"days_max": 5, "version": 1}, {"days_max": 9, "version": 2})
    assert told[3][2:] == ({"basis_points": 1_900}, {"basis_points": 1_600})
    assert told[5][2:] == ({"price_list": "standard"}, {"price_list": "trade"})
