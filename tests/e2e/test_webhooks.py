"""Webhooks of a running shop: an order's events arrive signed, in order, also after kills."""

from harness import eventually
from receiver import receiving
from shopping import new_key

PATH = "/api/v1/subscriptions"
WANTED = ["orders.order_placed", "orders.order_confirmed"]


async def hooked(shop, receiver, **more):
    body = {"url": receiver.url, "topics": WANTED, "ordered": True, **more}
    answer = await shop("POST", PATH, body, token=shop.admin, key=new_key())
    assert answer.status == 201, answer
    receiver.secrets.append(answer.json()["secret"])
    return answer.json()["id"]


async def test_an_order_is_told_to_an_endpoint(shop):
    async with receiving() as receiver:
        id = await hooked(shop, receiver)
        email, token = await shop.member()
        sku = await shop.sell()
        placed = [await shop.place(shop.order_of({sku: 1}, email), token=token) for _ in range(5)]
        ids = [answer.json()["id"] for answer in placed]

        async def all_came():
            return len(receiver.got) >= 10

        await eventually(all_came)
        events = receiver.events()
        for order_id in ids:
            story = [one["type"] for one in events if one["subject"] == order_id]
            assert story == [f"{name}.v1" for name in WANTED]
        raw = b"".join(body for _, body in receiver.got)
        assert email.encode() not in raw
        assert b"contact" not in raw

        async def all_noted():
            page = await shop("GET", f"{PATH}/{id}/deliveries?state=delivered", token=shop.admin)
            return len(page.json()["items"]) == 10

        await eventually(all_noted)
        gone = await shop("DELETE", f"{PATH}/{id}", token=shop.admin)
        assert gone.status == 204
