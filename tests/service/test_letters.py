"""Dead letters of all services in one place: seen without secrets, retried, edited, discarded."""

from uuid import uuid4

import harness
import msgspec
import pytest
from service.letters_desk import (
    CANARY,
    ROLE,
    ask,
    asking,
    cancelled,
    heard,
    listed,
    plant,
    states,
)

from merkato.contracts.trail import ActionNoted


@pytest.fixture
async def broker(new_database, inventory):
    async with asking(new_database, inventory) as alone:
        yield alone


async def test_they_are_listed_and_opened_without_personal_or_secret_values(broker, inventory):
    event = cancelled(uuid4())
    first = await plant(inventory, event)
    behind = await plant(inventory, event, 2, state="waiting")
    found = await listed(broker)
    assert {one["id"] for one in found} == {f"inventory:{first}", f"inventory:{behind}"}
    assert {one["service"] for one in found} == {"inventory"}
    one = next(one for one in found if one["event_id"] == first)
    assert one["reason"] == "ValueError('nothing for (hidden)')"
    opened = (await ask(broker, "GET", f"/inventory:{first}")).json()
    assert opened["hidden"] == ["contact"]
    assert opened["data"]["reason"] == "customer"
    assert "contact" not in opened["data"]
    assert (opened["source"], opened["behind"]) == ("/merkato/orders", 1)
    for id in ("inventory:nothing", "nobody:" + first, first, f"inventory:{uuid4()}"):
        assert (await ask(broker, "GET", f"/{id}")).status == 404, id


async def test_they_are_filtered_and_paged(broker, inventory):
    orders = [uuid4() for _ in range(5)]
    ids = [await plant(inventory, cancelled(order)) for order in orders]
    waiting = await plant(inventory, cancelled(orders[0]), 2, state="waiting")
    assert len(await listed(broker)) == 6
    assert len(await listed(broker, "state=dead")) == 5
    assert [one["event_id"] for one in await listed(broker, "state=waiting")] == [waiting]
    assert {one["event_id"] for one in await listed(broker, f"key={orders[0]}")} == {
        ids[0], waiting,
    }  # fmt: skip
    assert await listed(broker, "type=orders.order_placed.v1") == []
    assert await listed(broker, "service=payments") == []
    assert (await ask(broker, "GET", "?service=nobody")).status == 422
    seen, cursor = [], ""
    while cursor is not None:
        page = (await ask(broker, "GET", f"?limit=4{cursor}")).json()
        seen += [one["event_id"] for one in page["items"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted([*ids, waiting])


async def test_one_is_retried_and_its_followers_go_on_in_order(broker, inventory):
    order_id = uuid4()
    first = await plant(inventory, cancelled(order_id))
    second = await plant(inventory, cancelled(order_id), 2, state="waiting")
    done = await ask(broker, "POST", f"/inventory:{first}/retry", token=ROLE["admin"])
    assert (done.status, done.json()["state"]) == (200, "waiting")
    assert done.json()["acted_by"].startswith("user:")
    await inventory.inbox.retry_set_aside(inventory.db)
    assert await states(inventory) == {first: "done", second: "done"}
    [noted] = await inventory.said(ActionNoted)
    assert (noted.action, noted.actor) == (
        "inventory.dead_letters_retried", done.json()["acted_by"],
    )  # fmt: skip
    assert await listed(broker) == []
    assert len(await listed(broker, "state=done")) == 2


async def test_an_edited_letter_is_a_new_event_with_the_old_one_as_its_cause(broker, inventory):
    order_id = uuid4()
    first = await plant(inventory, cancelled(order_id))
    second = await plant(inventory, cancelled(order_id), 2, state="waiting")
    key = uuid4().hex
    change = {"data": {"reason": "staff", "number": "K7QM-2F9X-4"}}
    path = f"/inventory:{first}/edit"
    edited = await ask(broker, "POST", path, change, token=ROLE["admin"], key=key)
    assert edited.status == 201, edited
    new = edited.json()
    assert (new["cause"], new["data"]["reason"]) == (first, "staff")
    again = await ask(broker, "POST", path, change, token=ROLE["admin"], key=key)
    assert (again.status, again.json()["event_id"]) == (201, new["event_id"])
    other = {"data": change["data"] | {"was_confirmed": False}}  # with no other effect, but other
    reused = await ask(broker, "POST", path, other, token=ROLE["admin"], key=key)
    assert reused.status == 422
    assert reused.json()["type"] == "/problems/idempotency-key-reused"
    assert (await ask(broker, "POST", path, change, token=ROLE["admin"])).status == 409
    [row] = await inventory.fetch(
        "select message from set_aside where event_id = $1", new["event_id"]
    )
    message = msgspec.json.decode(row["message"])
    assert (message["id"], message["causationid"]) == (new["event_id"], first)
    assert message["data"]["contact"]["email"] == CANARY  # the handler still has it
    old = (await ask(broker, "GET", f"/inventory:{first}")).json()
    assert (old["state"], old["replaced_by"]) == ("discarded", new["event_id"])
    await inventory.inbox.retry_set_aside(inventory.db)
    assert (await states(inventory)) == {
        first: "discarded", new["event_id"]: "done", second: "done",
    }  # fmt: skip


async def test_a_field_that_cannot_be_read_is_edited_and_the_key_goes_on_in_order(
    broker, inventory
):
    order = cancelled(uuid4())
    before, wrong, after, late = (uuid4() for _ in range(4))
    batch = [
        heard(order, before, 1), heard(order, wrong, 2, was_confirmed="perhaps"),
        heard(order, after, 3),
    ]  # fmt: skip
    await inventory.inbox.receive(batch)
    await inventory.inbox.receive([*batch, heard(order, late, 4)])
    assert await states(inventory) == {
        str(wrong): "dead", str(after): "waiting", str(late): "waiting",
    }  # fmt: skip
    assert {one["key"] for one in await listed(broker)} == {order.key}
    opened = (await ask(broker, "GET", f"/inventory:{wrong}")).json()
    assert (opened["data"]["was_confirmed"], opened["behind"]) == ("perhaps", 2)
    path, change = f"/inventory:{wrong}/edit", {"data": {"was_confirmed": False}}
    edited = await ask(broker, "POST", path, change, token=ROLE["admin"])
    assert edited.status == 201, edited
    await inventory.inbox.retry_set_aside(inventory.db)
    done = "select event_id::text as id from set_aside where state = 'done' order by ended_at"
    assert [row["id"] for row in await inventory.fetch(done)] == [
        edited.json()["event_id"], str(after), str(late),
    ]  # fmt: skip
    assert await listed(broker) == []


@pytest.mark.parametrize("action", ["edit", "retry", "discard"])
async def test_what_older_versions_set_aside_under_a_key_of_its_own_is_dealt_with(
    broker, inventory, action
):
    event, event_id = cancelled(uuid4()), uuid4()
    message = heard(event, event_id, 1, was_confirmed="perhaps").body.decode()
    planted = await plant(inventory, event, message=message, key=f"unreadable:{event_id}")
    [shown] = await listed(broker)
    assert (shown["event_id"], shown["key"]) == (planted, f"unreadable:{event_id}")
    body = {"data": {"was_confirmed": True}} if action == "edit" else None
    path = f"/inventory:{planted}/{action}"
    done = await ask(broker, "POST", path, body, token=ROLE["admin"])
    assert done.status in (200, 201), done
    await inventory.inbox.retry_set_aside(inventory.db)
    states_now = await states(inventory)
    expected = {"edit": "discarded", "retry": "waiting", "discard": "discarded"}
    assert states_now.pop(planted) == expected[action]
    assert [*states_now.values()] == (["done"] if action == "edit" else [])


async def test_a_key_keeps_its_order_when_the_stream_was_made_anew(broker, inventory):
    """Such a stream counts from 1 again."""
    order_id = uuid4()
    first = await plant(inventory, cancelled(order_id), 5_000)
    later = [await plant(inventory, cancelled(order_id), n, state="waiting") for n in (7, 8)]
    await inventory.inbox.retry_set_aside(inventory.db)
    assert await states(inventory) == {first: "dead"} | dict.fromkeys(later, "waiting")
    assert (await ask(broker, "GET", f"/inventory:{first}")).json()["behind"] == 2
    change = {"data": {"reason": "staff"}}
    edited = await ask(
        broker, "POST", f"/inventory:{first}/edit", change, token=ROLE["admin"], key=uuid4().hex
    )
    new = edited.json()["event_id"]
    assert (await ask(broker, "GET", f"/inventory:{new}")).json()["behind"] == 2
    await inventory.inbox.retry_set_aside(inventory.db)
    done = "select event_id::text as id from set_aside where state = 'done' order by ended_at"
    assert [row["id"] for row in await inventory.fetch(done)] == [new, *later]


async def test_what_was_set_aside_before_places_were_keeps_the_order_of_the_stream(inventory):
    async with inventory.db.transaction() as tx:
        await tx.execute("alter table set_aside drop column place cascade")
        await tx.execute("delete from migrations where name like '%0004_places%'")
    ids = [await plant(inventory, cancelled(uuid4()), n) for n in (3, 1, 2)]
    await inventory.db.migrate("merkato.chassis")
    ids.append(await plant(inventory, cancelled(uuid4()), 1))
    rows = await inventory.fetch("select event_id::text as id from set_aside order by place")
    assert [row["id"] for row in rows] == [ids[1], ids[2], ids[0], ids[3]]


async def test_what_cannot_be_edited_is_refused(broker, inventory):
    first = await plant(inventory, cancelled(uuid4()))
    junk = await plant(inventory, cancelled(uuid4()), message=f"not json {CANARY}")
    for patch, status, pointer in (
        ({"contact": {"email": "a@b"}}, 422, "/data/contact"),
        ({"was_confirmed": "perhaps"}, 422, "/data/was_confirmed"),
        ({"number": None}, 422, "/data"),
        ({"order_id": str(uuid4())}, 422, "/data"),
    ):
        answer = await ask(
            broker, "POST", f"/inventory:{first}/edit", {"data": patch}, token=ROLE["admin"]
        )
        assert (answer.status, answer.json()["errors"][0]["pointer"]) == (status, pointer), patch
    opened = (await ask(broker, "GET", f"/inventory:{junk}")).json()
    assert (opened["data"], opened["reason"]) == (None, "ValueError")
    answer = await ask(broker, "POST", f"/inventory:{junk}/edit", {"data": {}}, token=ROLE["admin"])
    assert answer.status == 409
    assert set((await states(inventory)).values()) == {"dead"}


async def test_those_that_are_done_are_not_decided_anew(broker, inventory):
    """Nor are open ones, where those that are done are asked for."""
    order = cancelled(uuid4())
    await plant(inventory, order)
    await plant(inventory, order, 2, state="waiting")
    before = await states(inventory)
    for what in ("retry", "discard"):
        body = {"key": order.key, "state": "done"}
        answer = await ask(broker, "POST", f"/{what}", body, token=ROLE["admin"])
        assert (answer.status, answer.json()["count"]) == (200, 0)
    assert await states(inventory) == before


async def test_many_are_retried_and_discarded_at_once(broker, inventory):
    orders = [uuid4() for _ in range(6)]
    ids = [f"inventory:{await plant(inventory, cancelled(order))}" for order in orders]
    some = await ask(broker, "POST", "/discard", {"ids": ids[:2]}, token=ROLE["admin"])
    assert some.json() == {"count": 2, "services": {"inventory": 2}, "unavailable": []}
    rest = await ask(
        broker, "POST", "/retry", {"service": "inventory", "state": "dead"}, token=ROLE["admin"]
    )
    assert rest.json()["count"] == 4
    await inventory.inbox.retry_set_aside(inventory.db)
    assert sorted((await states(inventory)).values()) == ["discarded"] * 2 + ["done"] * 4
    again = await ask(broker, "POST", "/discard", {"ids": ids}, token=ROLE["admin"])
    assert again.json()["count"] == 0
    assert (await ask(broker, "POST", "/retry", {}, token=ROLE["admin"])).status == 422
    noted = [entry.action for entry in await inventory.said(ActionNoted)]
    assert noted == ["inventory.dead_letters_discarded", "inventory.dead_letters_retried"]


async def test_who_may_not_does_not(broker, inventory):
    first = await plant(inventory, cancelled(uuid4()))
    customer = harness.user_token()
    assert (await ask(broker, "GET", token=customer)).status == 403
    for path in (f"/inventory:{first}/retry", f"/inventory:{first}/discard"):
        assert (await ask(broker, "POST", path, token=customer)).status == 403
    for path in ("/set-aside", f"/set-aside/{first}"):
        for token in (None, customer, ROLE["admin"]):
            assert (await inventory.request("GET", path, token=token)).status == 404
        other = harness.service_token("broker", "payments")
        assert (await inventory.request("GET", path, token=other)).status in (401, 404)
    assert await states(inventory) == {first: "dead"}
