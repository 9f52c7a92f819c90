"""One order per key and per cart, and the last unit for one customer, whoever hurries."""

import asyncio

import pytest
from e2e.test_buying import guest_cart
from shopping import ON_ACCOUNT, new_key, patiently

KINDS = {202, 409}


async def test_the_same_key_fifty_times_at_once_is_one_order(shop):
    email, token = await shop.member()
    sku, key = await shop.sell(stock=100), new_key()
    body = shop.order_of({sku: 1}, email)

    async def place():
        return await patiently(lambda: shop.place(body, token=token, key=key))

    answers = await asyncio.gather(*(place() for _ in range(50)))
    assert {answer.status for answer in answers} <= KINDS, answers
    placed = [answer for answer in answers if answer.status == 202]
    assert len({answer.json()["id"] for answer in placed}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in placed) == 1
    for answer in answers:
        assert answer.status == 202 or answer.json()["type"] == "/problems/request-in-progress"
    quoted = await shop.place(body, token=token, key=f'"{key}"')
    assert quoted.headers["idempotent-replayed"] == "true"
    assert quoted.json()["id"] == placed[0].json()["id"]
    rows = await shop.sql("orders", "select from orders where idempotency_key = $1", key)
    assert len(rows) == 1


async def test_the_same_key_with_another_body_is_refused(shop):
    email, token = await shop.member()
    sku, key = await shop.sell(stock=10), new_key()
    assert (await shop.place(shop.order_of({sku: 1}, email), token=token, key=key)).status == 202
    other = await shop.place(shop.order_of({sku: 2}, email), token=token, key=key)
    assert (other.status, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_two_bodies_with_one_key_at_once_are_one_order(shop):
    email, token = await shop.member()
    sku = await shop.sell(stock=100)
    for _ in range(5):
        key = new_key()
        answers = await asyncio.gather(
            *(shop.place(shop.order_of({sku: n}, email), token=token, key=key) for n in (1, 2))
        )
        assert sorted(answer.status for answer in answers) == [202, 422], answers


async def test_a_key_belongs_to_its_principal(shop):
    sku, key = await shop.sell(stock=10), new_key()
    orders = []
    for _ in range(2):
        email, token = await shop.member()
        placed = await shop.place(shop.order_of({sku: 1}, email), token=token, key=key)
        assert placed.status == 202, placed
        orders.append(placed.json()["id"])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("key", ["", "short", "k" * 101, "k" * 300, "naïve-key-1234567", "a b" * 9])
async def test_keys_have_a_form(shop, key):
    email, token = await shop.member()
    body = shop.order_of({"NOTHING": 1}, email)
    headers = {"idempotency-key": key}
    answer = await shop("POST", "/api/v1/orders", body, token=token, headers=headers)
    assert (answer.status, answer.json()["type"]) == (400, "/problems/malformed"), answer


async def test_without_a_key_nothing_is_ordered(shop):
    email, token = await shop.member()
    answer = await shop("POST", "/api/v1/orders", shop.order_of({"X": 1}, email), token=token)
    assert answer.json()["type"] == "/problems/idempotency-key-missing"


async def test_two_keys_for_one_cart_are_one_order(shop):
    sku = await shop.sell(stock=100)
    for _ in range(5):
        path, token = await guest_cart(shop, {sku: 1})
        body = {"cart_id": path.rsplit("/", 1)[-1], "payment": ON_ACCOUNT}
        answers = await asyncio.gather(*(shop.place(body, cart=token) for _ in range(2)))
        assert sorted(answer.status for answer in answers) == [202, 409], answers
        [refused] = [answer for answer in answers if answer.status == 409]
        assert refused.json()["type"] == "/problems/state-conflict"
        assert (await shop.place(body, cart=token)).status == 409


async def test_an_order_has_the_lines_of_one_version_of_its_cart(shop):
    sku, other = await shop.sell(stock=100, price=100), await shop.sell(stock=100, price=7)
    for _ in range(5):
        path, token = await guest_cart(shop, {sku: 1})
        body = {"cart_id": path.rsplit("/", 1)[-1], "payment": ON_ACCOUNT}
        add = {"sku": other, "quantity": 1}
        placed, _ = await asyncio.gather(
            shop.place(body, cart=token), shop("POST", f"{path}/lines", add, cart=token)
        )
        assert placed.status in KINDS, placed
        if placed.status == 202:
            order = placed.json()
            items = sum(one["unit_price_minor"] * one["quantity"] for one in order["lines"])
            assert order["totals"]["items_minor"] == items
            cart = await shop.ok("GET", path, cart=token)
            assert [one["sku"] for one in cart["lines"]] == [one["sku"] for one in order["lines"]]


async def last_units(shop, rounds, clients=200):
    """Let many customers buy the last unit of something at once, again and again."""
    people = await shop.members(20)

    async def buy(sku, email, token):
        body, key = shop.order_of({sku: 1}, email), new_key()
        return await patiently(lambda: shop.place(body, token=token, key=key))

    for _ in range(rounds):
        sku = await shop.sell(stock=1)
        answers = await asyncio.gather(
            *(buy(sku, *one) for one in people * (clients // len(people)))
        )
        assert sorted(answer.status for answer in answers) == [202] + [409] * (clients - 1)
        refused = {answer.json()["type"] for answer in answers if answer.status == 409}
        assert refused == {"/problems/out-of-stock"}
        [order] = [answer.json() for answer in answers if answer.status == 202]
        await shop.until(order["id"])
        rows = await shop.sql("orders", "select order_id from order_lines where sku = $1", sku)
        assert [str(row["order_id"]) for row in rows] == [order["id"]]


async def test_the_last_unit_is_sold_once(shop):
    await last_units(shop, rounds=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_last_unit_is_sold_once_a_hundred_times(shop):
    await last_units(shop, rounds=100)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_flash_sale_sells_what_is_there(shop):
    people = await shop.members(50)
    sku, room = await shop.sell(stock=200), asyncio.Semaphore(400)

    async def buy(email, token):
        async with room:
            answer = await shop.place(shop.order_of({sku: 1}, email), token=token, timeout_s=20)
            return answer.status

    statuses = await asyncio.gather(*(buy(*one) for one in people * 60))
    assert statuses.count(202) == 200
    assert set(statuses) <= {202, 409, 429, 503}
