"""Webhooks of a running shop: an order's events arrive signed, in order, also after kills."""

from e2e.test_bad_input import BODIES, STATUS, UNSURE, in_turn, is_problem
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

        def told():  # an order of another test may come in between
            return [one for one in receiver.events() if one["subject"] in ids]

        async def all_came():
            return len(told()) >= 10

        await eventually(all_came)
        events = told()
        for order_id in ids:
            story = [one["type"] for one in events if one["subject"] == order_id]
            assert story == [f"{name}.v1" for name in WANTED]
        raw = b"".join(body for _, body in receiver.got)
        assert email.encode() not in raw
        assert b"contact" not in raw

        async def all_noted():
            page = await shop("GET", f"{PATH}/{id}/deliveries?state=delivered", token=shop.admin)
            return {one["id"] for one in events} <= {
                one["event_id"] for one in page.json()["items"]
            }

        await eventually(all_noted, seconds=60)  # more than the lease of a try
        gone = await shop("DELETE", f"{PATH}/{id}", token=shop.admin)
        assert gone.status == 204


async def test_bad_bodies_change_nothing_of_an_endpoint_that_is_there(shop):
    async with receiving() as receiver:
        id = await hooked(shop, receiver)
        one = f"{PATH}/{id}"
        sent = await shop.ok("POST", f"{one}/ping", token=shop.admin, key=new_key())
        where = f"/api/v1/deliveries/{sent['id']}"

        async def settled():
            told = await shop.ok("GET", where, token=shop.admin)
            return told if told["state"] == "delivered" and told["tries"] else None

        delivery = await eventually(settled)

        async def shown():
            found = await shop.ok("GET", one, token=shop.admin)
            return found | {"cursor": ""}  # it goes on with what others say meanwhile

        before = await shown()
        writes = [("POST", PATH), ("PATCH", one), ("POST", f"{one}/secret"),
                  ("POST", f"{one}/replay"), ("POST", f"{one}/redeliveries"),
                  ("POST", "/api/v1/topics"), ("POST", "/api/v1/dead-letters/retry"),
                  ("POST", "/api/v1/dead-letters/discard")]  # fmt: skip

        async def send(kind, method, path):
            content, media_type = BODIES[kind]
            if kind in UNSURE and path in (one, f"{one}/secret"):
                return  # nothing to change, or what it is by default: no mistake
            answer = await shop(
                method, path, content, token=shop.admin, headers={"content-type": media_type}
            )
            is_problem(answer)
            assert answer.status in STATUS.get(kind, range(400, 500)), answer

        await in_turn(send, [(kind, *write) for kind in BODIES for write in writes])
        assert await shown() == before
        assert await shop.ok("GET", where, token=shop.admin) == delivery
        assert len(receiver.got) == 1
        await shop("DELETE", one, token=shop.admin)
