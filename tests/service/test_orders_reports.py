"""Reports of sales, and names of credits by which integrations find them again."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import harness
import pytest
from service.orders_desk import TOKEN, Inventory, Payments, about, offer, opened, place, wish

from merkato.contracts.catalog import ProductArchived, ProductChanged, ProductPublished
from merkato.contracts.payments import PaymentAuthorised

STAFF = harness.user_token(role="staff")
TEA, JAM, FOOD = uuid4(), uuid4(), uuid4()


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        yield alone


async def sold(orders, *lines, at=None, country="DE", shipping=0, confirm=True, **more):
    """An order placed for a guest: (sku, pieces, agreed price) each."""
    address = {"name": "A", "lines": ["1"], "city": "B", "postal_code": "1", "country": country}
    body = wish(
        lines=[
            {"sku": s, "quantity": n, "agreed_price": {"amount_minor": p, "currency": "EUR"}}
            for s, n, p in lines
        ],
        customer_id=None, contact=None, shipping_address=address, shipping_method="standard",
        agreed_shipping={"amount_minor": shipping, "currency": "EUR"}, reference_time=at, **more,
    )  # fmt: skip
    answer = await place(orders, body, token=STAFF)
    assert answer.status == 202, answer
    order = answer.json()
    if confirm:
        paid = about(order["id"]) | {"amount_minor": order["totals"]["grand_minor"]}
        await orders.hear(PaymentAuthorised(**paid, method="on_account"))
    return order


async def post(orders, path, body, token=STAFF, key=None):
    key = key or uuid4().hex
    return await orders.request("POST", f"/api/v1/orders/{path}", body, token=token, key=key)


async def report(orders, by="month", token=STAFF, **query):
    days = {"from": "2010-12-01", "to": "2011-02-28", **query}
    asked = "&".join(f"{name}={value}" for name, value in days.items())
    return await orders.request("GET", f"/api/v1/reports/sales?by={by}&{asked}", token=token)


async def rows(orders, by="month", **query):
    answer = await report(orders, by, **query)
    assert answer.status == 200, answer
    return {row["key"]: row for row in answer.json()["items"]}


async def test_sales_count_at_their_own_time_and_credits_at_theirs(orders):
    december = await sold(
        orders, ("A", 3, 255), ("B", 1, 100), at="2010-12-31T23:30:00Z", shipping=495
    )
    await sold(orders, ("A", 1, 300), at="2011-01-03T09:00:00Z", country="FR")
    await sold(orders, ("A", 9, 300), at="2011-01-03T09:00:00Z", confirm=False)
    back = {
        "lines": [{"line_no": 1, "quantity": 2}], "shipping": "keep", "reference": "file-C1",
        "reference_time": "2011-02-01T10:00:00Z",
    }  # fmt: skip
    assert (await post(orders, f"{december['id']}/cancellation", back)).status == 200
    found = await rows(orders)
    shown = {
        key: (row["orders"], row["units"], row["sales_minor"], row["cancelled_minor"],
              row["net_minor"])
        for key, row in found.items()
    }  # fmt: skip
    assert shown == {
        "2010-12": (1, 4, 3 * 255 + 100 + 495, 0, 1_360),
        "2011-01": (1, 1, 300, 0, 300),
        "2011-02": (0, 0, 0, 510, -510),
    }
    assert found["2010-12"]["shipping_minor"] == 495
    berlin = await rows(orders, tz="Europe/Berlin")  # there it was January already
    assert {key: row["orders"] for key, row in berlin.items()} == {"2011-01": 2, "2011-02": 0}
    countries = await rows(orders, "country")
    assert {key: row["net_minor"] for key, row in countries.items()} == {"DE": 850, "FR": 300}
    assert set(await rows(orders, "day", to="2010-12-31")) == {"2010-12-31"}
    assert (await rows(orders, "currency"))["EUR"]["sales_minor"] == 1_660


async def test_sales_by_sku_product_and_category(orders):
    text = {"texts": {"en": {"title": "Tea", "slug": "tea"}}}
    await orders.hear(
        ProductPublished(product_id=TEA, version=1, skus=("A",), categories=(FOOD,), **text),
        ProductChanged(product_id=TEA, version=2, skus=("A", "B"), categories=(FOOD, JAM), **text),
    )
    await orders.hear(ProductArchived(product_id=TEA, version=1, skus=("A",), **text))  # old news
    await orders.hear(offer("C", 100))
    order = await sold(
        orders, ("A", 2, 200), ("B", 1, 50), ("C", 1, 10), at="2011-01-01T00:00:00Z", shipping=99
    )
    credit = {"lines": [{"line_no": 1, "amount_minor": 40}], "reference": "file-C2",
              "reference_time": "2011-01-02T00:00:00Z"}  # fmt: skip
    assert (await post(orders, f"{order['id']}/credits", credit)).status == 201
    by_sku = await rows(orders, "sku")
    assert {k: (r["label"], r["units"], r["items_minor"]) for k, r in by_sku.items()} == {
        "A": ("A", 2, 400), "B": ("B", 1, 50), "C": ("C", 1, 10),
    }  # fmt: skip
    assert (by_sku["A"]["goodwill_minor"], by_sku["A"]["net_minor"]) == (40, 360)
    by_product = await rows(orders, "product")
    assert {k: r["sales_minor"] for k, r in by_product.items()} == {str(TEA): 450, "C": 10}
    by_category = await rows(orders, "category")
    assert {k: r["net_minor"] for k, r in by_category.items()} == {
        str(FOOD): 410, str(JAM): 410, "": 10,
    }  # fmt: skip


async def test_a_report_is_read_in_pages_and_as_csv(orders):
    await orders.hear(offer("=1+1", 100), offer("-X", 100))
    await sold(orders, ("=1+1", 1, 10), ("-X", 2, 10), ("A", 1, 5), at="2011-01-01T00:00:00Z")
    first = (await report(orders, "sku", limit=2)).json()
    assert [row["key"] for row in first["items"]] == ["-X", "=1+1"]
    rest = (await report(orders, "sku", limit=2, cursor=first["next_cursor"])).json()
    assert ([row["key"] for row in rest["items"]], rest["next_cursor"]) == (["A"], None)
    answer = await report(orders, "sku", format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [(row["key"], row["units"]) for row in read] == [
        ("'-X", "2"),
        ("'=1+1", "1"),
        ("A", "1"),
    ]


async def test_a_report_of_some_references_leaves_the_others_out(orders):
    for name in ("file-1", "other-1"):
        await sold(orders, ("A", 1, 10), at="2011-01-01T00:00:00Z", reference=name)
    found = await rows(orders, reference_prefix="file-")
    assert found["2011-01"]["orders"] == 1


async def test_what_is_cancelled_whole_was_sold_and_given_back(orders):
    order = await sold(orders, ("A", 1, 10), at="2011-01-01T00:00:00Z")
    everything = {"lines": [{"line_no": 1, "quantity": 1}], "shipping": "keep",
                  "reference": "file-C9", "reference_time": "2011-01-05T00:00:00Z"}  # fmt: skip
    assert (await post(orders, f"{order['id']}/cancellation", everything)).json()["status"] == (
        "cancelled"
    )
    [row] = (await rows(orders)).values()
    assert (row["sales_minor"], row["cancelled_minor"], row["net_minor"]) == (10, 10, 0)


@pytest.mark.parametrize(
    ("query", "status"),
    [({"tz": "Mars/Base"}, 422), ({"tz": "x%00y"}, 400), ({"from": "2011-03-01"}, 422),
     ({"from": "0001-01-01"}, 422), ({"by": "moon"}, 422), ({"cursor": "WyJhIl0"}, 422),
     ({"limit": 1001}, 422), ({"to": "yesterday"}, 422)],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_refused(orders, query, status):
    answer = await report(orders, **({"by": "month"} | query))
    assert answer.status == status, answer


async def test_the_days_of_a_report_end_with_today_in_its_zone(orders):
    for zone, hours in (("UTC", 0), ("Pacific/Kiritimati", 14), ("Etc/GMT%2B12", -12)):
        path = f"/api/v1/reports/sales?format=csv&tz={zone}"
        told = await orders.request("GET", path, token=STAFF)
        today = (datetime.now(UTC) + timedelta(hours=hours)).date()
        assert told.headers["content-disposition"].endswith(f'-{today}.csv"'), zone


async def test_reports_are_for_staff(orders):
    assert (await report(orders, token=TOKEN)).status == 403
    assert (await report(orders, token=None)).status == 401
    answer = await orders.request("GET", "/api/v1/credits", token=TOKEN)
    assert answer.status == 403


async def test_credits_are_found_by_their_names_and_a_name_is_given_once(orders):
    one = await sold(orders, ("A", 5, 10), reference="file-1")
    two = await sold(orders, ("A", 5, 10), reference="file-2")
    named = {"amount_minor": 7, "reference": "file-C1", "reference_time": "2011-01-01T00:00:00Z"}
    made = await post(orders, f"{one['id']}/credits", named)
    assert (made.status, made.json()["reference"]) == (201, "file-C1"), made
    for order in (one, two):
        again = await post(orders, f"{order['id']}/credits", named)
        assert (again.status, again.json()["reference"]) == (409, "file-C1"), again
    await post(orders, f"{two['id']}/shipments", {})
    back = {"lines": [{"line_no": 1, "quantity": 5}], "received": True, "reference": "file-C2"}
    assert (await post(orders, f"{two['id']}/returns", back)).status == 201
    found = await orders.request("GET", "/api/v1/credits?reference_prefix=file-C", token=STAFF)
    shown = [(row["reference"], row["kind"], row["amount_minor"]) for row in found.json()["items"]]
    assert shown == [("file-C2", "return", 50), ("file-C1", "goodwill", 7)]
    only = await orders.request("GET", "/api/v1/credits?kind=return&limit=1", token=STAFF)
    assert [row["reference"] for row in only.json()["items"]] == ["file-C2"]


async def test_a_name_needs_a_credit_and_the_scope(orders):
    order = await sold(orders, ("A", 5, 10))
    ask = {"lines": [{"line_no": 1, "quantity": 1}], "reference": "x"}
    await post(orders, f"{order['id']}/shipments", {})
    nothing = await post(orders, f"{order['id']}/returns", ask)  # asked for, nothing credited yet
    assert nothing.status == 409, nothing
    narrow, _ = harness.api_key("orders:credit", "orders:read")
    refused = await post(
        orders, f"{order['id']}/credits", {"amount_minor": 1, "reference": "y"}, token=narrow
    )
    assert refused.status == 403, refused


async def overview(orders):
    answer = await orders.request("GET", "/api/v1/reports/overview?hours=2", token=STAFF)
    assert answer.status == 200, answer
    return answer.json()


async def test_the_overview_counts_from_since(orders):
    early, late = [await sold(orders, ("A", 1, 500)) for _ in range(2)]
    before = await overview(orders)
    assert (before["orders"], sum(one["orders"] for one in before["hourly"])) == (2, 2)
    assert before["hourly"][0]["hour"] == before["since"]
    move = "update orders set placed_at = $2 where id = $1"
    since = datetime.fromisoformat(before["since"])
    await orders.fetch(move, UUID(early["id"]), since.replace(minute=0, second=0, microsecond=0))
    await orders.fetch(move, UUID(late["id"]), since + timedelta(seconds=30))
    after = await overview(orders)
    assert (after["orders"], sum(one["orders"] for one in after["hourly"])) == (1, 1)


async def test_the_overview_counts_orders_without_a_cart_apart(orders):
    line = {"sku": "A", "quantity": 1}
    for _ in range(2):
        cart = (await orders.request("POST", "/api/v1/carts", {}, token=TOKEN)).json()["id"]
        await orders.request("POST", f"/api/v1/carts/{cart}/lines", line, token=TOKEN)
    body = {key: one for key, one in wish().items() if key != "lines"} | {"cart_id": cart}
    assert (await place(orders, body)).status == 202
    for _ in range(3):
        await sold(orders, ("A", 1, 500))
    seen = await overview(orders)
    assert (seen["orders"], seen["carts"], seen["carts_ordered"]) == (4, 2, 1)


async def test_top_goods_are_those_that_were_kept(orders):
    first = await sold(orders, ("A", 3, 400), ("B", 2, 500))
    gone = await sold(orders, ("B", 2, 5_000))
    await sold(orders, ("A", 9, 900), confirm=False)
    await post(orders, f"{first['id']}/cancellation", {"lines": [{"line_no": 1, "quantity": 1}]})
    credit = {"lines": [{"line_no": 2, "amount_minor": 300}]}
    await post(orders, f"{first['id']}/credits", credit)
    await post(orders, f"{gone['id']}/cancellation", {})
    found = (await overview(orders))["top"]
    assert [(one["sku"], one["units"], one["sales_minor"]) for one in found] == [
        ("A", 2, 800), ("B", 2, 700),
    ]  # fmt: skip
    await post(orders, f"{first['id']}/credits", {"lines": [{"line_no": 2, "amount_minor": 700}]})
    assert [one["sku"] for one in (await overview(orders))["top"]] == ["A"]
