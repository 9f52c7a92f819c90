"""Whole purchases, as guests and members make them."""

import asyncio

from harness import eventually
from shopping import ADDRESS, ON_ACCOUNT, new_key, patiently


async def guest_cart(shop, lines, email="guest@example.org"):
    """A guest's cart, ready to be ordered: (path, token)."""
    made = await shop.ok("POST", "/api/v1/carts", {"currency": "EUR"})
    path, token = f"/api/v1/carts/{made['id']}", made["token"]
    for sku, n in lines.items():
        await shop.ok("POST", f"{path}/lines", {"sku": sku, "quantity": n}, cart=token)
    details = {
        "contact": {"email": email}, "shipping_address": ADDRESS, "shipping_method": "standard",
    }  # fmt: skip
    await shop.ok("PATCH", path, details, cart=token)
    return path, token


async def test_a_guest_buys_a_cart_and_is_told_by_mail(shop):
    sku, email = await shop.sell(price=2_500, stock=5), f"guest-{new_key()}@example.org"
    path, token = await guest_cart(shop, {sku: 2}, email)
    cart = await shop.ok("GET", path, cart=token)
    assert cart["totals"]["items_minor"] == 5_000
    total = {"amount_minor": cart["totals"]["grand_minor"], "currency": "EUR"}
    body = {"cart_id": cart["id"], "cart_version": cart["version"], "payment": ON_ACCOUNT,
            "expected_total": total}  # fmt: skip
    placed = await shop.place(body, cart=token)
    assert placed.status == 202, placed
    order = placed.json()
    assert placed.headers["location"] == f"/api/v1/orders/{order['id']}"
    assert order["totals"]["grand_minor"] == 5_000 + 490
    assert order["totals"]["tax_minor"] == 798 + 78  # included at 19 %, rounded for each share
    confirmed = await shop.until(order["id"])
    assert (await shop.order(order["id"], order=order["token"]))["status"] == "confirmed"
    assert confirmed["lines"][0]["sku"] == sku

    async def both_mails():
        subjects = [mail["subject"] for mail in await shop.mails(email)]
        return subjects if len(subjects) >= 2 else None

    assert len(await eventually(both_mails)) == 2
    assert len(await shop.mails_about(order["id"], "placed")) == 1
    assert len(await shop.mails_about(order["id"], "confirmed")) == 1
    timeline = await shop.ok("GET", f"/api/v1/orders/{order['id']}/timeline", order=order["token"])
    assert [step["n"] for step in timeline["items"]] == [1, 2]
    assert [step["to_status"] for step in timeline["items"]] == ["placed", "confirmed"]

    async def gone():
        return await shop.shelf(sku) == (3, 0)

    await eventually(gone)


async def test_a_member_buys_lines_and_finds_the_order_in_the_list(shop):
    email, token = await shop.member()
    first, second = await shop.sell(stock=9), await shop.sell(stock=9, price=300)
    body = shop.order_of({first: 1, second: 3}, email)
    order = (await shop.place(body, token=token)).json()
    assert order["totals"]["items_minor"] == 1_900
    await shop.until(order["id"])
    mine = await shop.ok("GET", "/api/v1/orders", token=token)
    assert [one["id"] for one in mine["items"]] == [order["id"]]
    assert order["number"] == mine["items"][0]["number"]


async def test_equal_skus_of_one_order_are_one_line(shop):
    email, token = await shop.member()
    sku = await shop.sell(stock=1)
    body = shop.order_of({sku: 1}, email)
    body["lines"] *= 2
    refused = await shop.place(body, token=token)
    assert (refused.status, refused.json()["type"]) == (409, "/problems/out-of-stock"), refused
    assert await shop.shelf(sku) == (1, 0)


async def test_all_lines_or_none_are_held(shop):
    email, token = await shop.member()
    there, gone = await shop.sell(stock=5), await shop.sell(stock=0)
    refused = await shop.place(shop.order_of({there: 1, gone: 1}, email), token=token)
    assert refused.status == 409
    assert refused.json()["missing"] == [gone]
    assert await shop.shelf(there) == (5, 0)


async def test_a_guests_cart_is_poured_into_the_members(shop):
    sku, other = await shop.sell(), await shop.sell()
    path, guest = await guest_cart(shop, {sku: 2})
    _, token = await shop.member()
    mine = await shop.ok("POST", "/api/v1/carts", {}, token=token)
    lines = f"/api/v1/carts/{mine['id']}/lines"
    for one in (sku, other):
        await shop.ok("POST", lines, {"sku": one, "quantity": 1}, token=token)
    body = {"cart_id": path.rsplit("/", 1)[-1], "token": guest}
    merged = f"/api/v1/carts/{mine['id']}/merge"
    for _ in range(2):  # the second changes nothing
        cart = await shop.ok("POST", merged, body, token=token)
        held = {line["sku"]: line["quantity"] for line in cart["lines"]}
        assert held == {sku: 3, other: 1}
    again = await shop("POST", f"{path}/lines", {"sku": sku, "quantity": 1}, cart=guest)
    assert again.status == 409
    body["token"] = "0" * 43
    assert (await shop("POST", merged, body, token=token)).status == 404


async def test_fifty_parallel_adds_lose_nothing(shop):
    sku = await shop.sell()
    path, token = await guest_cart(shop, {sku: 1})
    add = {"sku": sku, "quantity": 1}

    async def more():
        return await patiently(lambda: shop("POST", f"{path}/lines", add, cart=token))

    answers = await asyncio.gather(*(more() for _ in range(50)))
    assert [answer.status for answer in answers] == [201] * 50
    cart = await shop.ok("GET", path, cart=token)
    assert [line["quantity"] for line in cart["lines"]] == [51]


async def test_goods_that_are_not_sent_need_no_address(shop):
    email, token = await shop.member()
    sku = await shop.sell(requires_shipping=False, track_stock=False, price=700)
    body = {"lines": [{"sku": sku, "quantity": 1}], "contact": {"email": email},
            "payment": ON_ACCOUNT}  # fmt: skip
    order = (await shop.place(body, token=token)).json()
    assert order["totals"]["grand_minor"] == 700
    await shop.until(order["id"])


async def test_a_changed_price_is_told_before_anything_is_bought(shop):
    email, token = await shop.member()
    sku = await shop.sell(price=1_000, stock=5)
    shown = {"amount_minor": 999, "currency": "EUR"}
    body = shop.order_of({sku: 1}, email, expected_total=shown)
    refused = await shop.place(body, token=token)
    assert (refused.status, refused.json()["type"]) == (409, "/problems/price-changed")
    assert refused.json()["total"] == {"amount_minor": 1_490, "currency": "EUR"}
    assert await shop.shelf(sku) == (5, 0)
    body["expected_total"] = refused.json()["total"]
    assert (await shop.place(body, token=token)).status == 202


async def test_a_new_price_counts_as_soon_as_orders_has_heard_of_it(shop):
    email, token = await shop.member()
    sku = await shop.sell(price=1_000)
    query = "select product_id from variants where sku = $1"
    [row] = await shop.sql("catalog", query, sku)
    found = await shop("GET", f"/api/v1/products/{row['product_id']}", token=shop.admin)
    prices = {"prices": [{"currency": "EUR", "amount_minor": 2_000}]}
    etag = {"if-match": found.headers["etag"]}
    await shop.ok("PUT", f"/api/v1/variants/{sku}/prices", prices, token=shop.admin, headers=etag)

    async def heard():
        body = shop.order_of({sku: 1}, email, expected_total=None)
        placed = await shop.place(body, token=token)
        if placed.status == 409:  # it changed between the quote and the commit
            assert placed.json()["type"] == "/problems/price-changed"
            return False
        return placed.json()["lines"][0]["unit_price_minor"] == 2_000

    await eventually(heard)


async def test_cancelling_gives_the_goods_back_once(shop):
    email, token = await shop.member()
    sku = await shop.sell(stock=5)
    order = (await shop.place(shop.order_of({sku: 2}, email), token=token)).json()
    await shop.until(order["id"])
    answers = await asyncio.gather(*(shop.cancel(order["id"], token=token) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.json()["status"] for answer in answers} == {"cancelled"}

    async def back():
        return await shop.shelf(sku) == (5, 0)

    await eventually(back)
    timeline = await shop.ok("GET", f"/api/v1/orders/{order['id']}/timeline", token=token)
    moves = [step["to_status"] for step in timeline["items"] if step["to_status"]]
    assert moves == ["placed", "confirmed", "cancelled"]


async def test_cancelling_while_it_is_being_paid_ends_in_one_way(shop):
    email, token = await shop.member()
    sku = await shop.sell(stock=100)

    async def place_and_cancel():
        body, key = shop.order_of({sku: 1}, email), new_key()
        order = (await patiently(lambda: shop.place(body, token=token, key=key))).json()
        cancelled = await patiently(lambda: shop.cancel(order["id"], token=token))
        assert cancelled.status == 200
        return order["id"]

    ids = await asyncio.gather(*(place_and_cancel() for _ in range(20)))

    async def all_back():
        return await shop.shelf(sku) == (100, 0)

    await eventually(all_back)
    for order_id in ids:
        assert (await shop.order(order_id))["status"] == "cancelled"
