"""The audit trail of the whole shop: what is done in any service is soon in the one trail."""

from e2e.test_keys import new_api_key
from harness import eventually
from shopping import new_key


async def test_what_is_done_in_any_service_is_soon_in_the_trail(shop):
    me = await shop.ok("GET", "/api/v1/me", token=shop.admin)
    sku = await shop.sell()
    key = await new_api_key(shop, "inventory:write")
    path = f"/api/v1/stock/{sku}/adjustments"
    body = {"delta": 3, "reason": "a canary-of-the-trail was found"}
    await shop.ok("POST", path, body, token=key["key"], key=new_key())
    email, token = await shop.member()
    order = (await shop.place(shop.order_of({sku: 1}, email), token=token)).json()
    await shop.until(order["id"])
    path = f"/api/v1/orders/{order['id']}/cancellation"
    await shop.ok("POST", path, {"reason": "sold elsewhere"}, token=shop.admin, key=new_key())

    async def entries(subject, action):
        path = f"/api/v1/audit-trail?subject={subject}&action={action}"
        return (await shop.ok("GET", path, token=shop.admin))["items"]

    for subject, action, actor in (
        (f"sku:{sku}", "inventory.stock_set", f"user:{me['id']}"),
        (f"sku:{sku}", "inventory.stock_adjusted", f"key:{key['id']}"),
        (f"order:{order['id']}", "orders.order_cancelled", f"user:{me['id']}"),
    ):
        [entry] = await eventually(lambda s=subject, a=action: entries(s, a))
        assert entry["actor"] == actor
        assert entry["request_id"]
        assert email not in str(entry)
    [made] = await eventually(lambda: entries(f"api_key:{key['id']}", "users.api_key_made"))
    assert key["key"] not in str(made)
    assert made["after"]["scopes"] == ["inventory:write"]
