"""The shop's process is killed at exactly one place in the code; everything heals by itself.

Each place is armed at a start, and disarmed for the next: so the process dies there once.
"""

import asyncio

import aiohttp
import pytest
from breaking import disarm, healed, ready, settled
from harness import eventually
from shopping import card, new_key

SLOW = pytest.mark.slow
PLACES = [
    "orders-after-commit",
    "relay-published",
    pytest.param("payments-handled", marks=SLOW),
    pytest.param("mail-sent", marks=SLOW),
    pytest.param("orders-before-hold", marks=SLOW),
    pytest.param("orders-after-hold", marks=SLOW),
    pytest.param("orders-before-commit", marks=SLOW),
    pytest.param("relay-selected", marks=SLOW),
    pytest.param("orders-handled", marks=SLOW),
    pytest.param("inventory-handled", marks=SLOW),
    pytest.param("notifications-handled", marks=SLOW),
    pytest.param("payments-heard", marks=SLOW),
    pytest.param("inventory-heard", marks=SLOW),
    pytest.param("orders-heard", marks=SLOW),
    pytest.param("notifications-heard", marks=SLOW),
    pytest.param("mail-claimed", marks=SLOW),
]
AT_THE_PROCESSOR = ["payments-asked", "payments-answered"]


async def armed(shop, place):
    """Start the shop, when it is at rest, so that it dies at `place`; gives its process."""
    await settled(shop)
    await shop.down()
    await shop.up(failpoints={place: "kill"})
    disarm(shop)
    return shop.pid("orders")


async def died(shop, pid):
    """Wait until the process was killed and another runs in its place."""

    async def another():
        return shop.pid("orders") not in (0, pid)

    await eventually(another, seconds=60)
    await ready(shop)


async def attempt(shop, body, token, key):
    """Place an order; None where no answer came."""
    try:
        answer = await shop.place(body, token=token, key=key)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return answer.json()["id"] if answer.status == 202 else None


@pytest.mark.parametrize("place", PLACES)
async def test_a_crash_heals(shop, place):
    _, token = await shop.member()
    sku = await shop.sell(stock=100_000)
    pid = await armed(shop, place)
    keys = [new_key() for _ in range(3)]
    bodies = [shop.order_of({sku: 1}, f"{key}@example.org") for key in keys]
    ids = await asyncio.gather(
        *(attempt(shop, body, token, key) for body, key in zip(bodies, keys, strict=True))
    )
    await died(shop, pid)
    if any(ids):
        await healed(shop, sku, [token], dict(zip(keys, ids, strict=True)))
        return
    first = await attempt(shop, bodies[0], token, keys[0])
    await healed(shop, sku, [token], dict(zip(keys, [first, None, None], strict=True)))


@pytest.mark.slow
@pytest.mark.parametrize("place", AT_THE_PROCESSOR)
async def test_a_crash_while_a_card_is_charged_charges_once(shop, place):
    email, token = await shop.member()
    sku = await shop.sell(price=1_000)
    pid = await armed(shop, place)
    body = shop.order_of({sku: 1}, email, card("pm_card_visa"))
    key = new_key()
    await attempt(shop, body, token, key)
    await died(shop, pid)
    order = (await shop.place(body, token=token, key=key)).json()
    await shop.until(order["id"], seconds=90)

    async def captured():
        found = await shop.ok("GET", f"/api/v1/payments?order_id={order['id']}", token=token)
        return found["items"][0]["captured_minor"] == 1_490

    await eventually(captured)
    charges = [row for row in await shop.ledger() if order["id"] in str(row)]
    assert [row["amount"] for row in charges] == [1_490]
