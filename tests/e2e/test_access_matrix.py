"""tests/contract/access.csv, proven by requests: every route, whoever may ask."""

import re
from uuid import uuid4

import msgspec
from contract.test_access import ROLES, ROWS
from e2e.test_bad_input import in_turn
from harness import eventually
from shopping import PASSWORD, new_key

from merkato import topology
from merkato.chassis.tokens import Tokens
from merkato.config import Config
from merkato.contracts.permissions import ADMIN
from merkato.gateway.documents import openapi

DOCUMENT = openapi.document(topology.services(Config(here=("gateway",))))
WRITES = ("POST", "PUT", "PATCH")


def filled(path, known=None):
    """A path whose parameters are what is known, or what does not exist."""
    found = (known or {}).get
    return re.sub(r"\{(\w+)\}", lambda name: str(found(name[1]) or uuid4()), path)


async def api_key(shop, scopes):
    """A key of a program that may do this alone."""
    body = {"name": "A program", "scopes": sorted(scopes)}
    made = await shop.ok("POST", "/api/v1/api-keys", body, token=shop.admin)
    return made["key"]


async def with_role(shop, role):
    """An access token of somebody with this role."""
    if role == "admin":
        return shop.admin
    email, token = await shop.member(role)
    if role == "customer":
        return token
    listed = await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin)
    where = f"/api/v1/users/{listed['items'][0]['id']}"
    seen = await shop("GET", where, token=shop.admin)
    change = {"if-match": seen.headers["etag"]}
    await shop.ok("PATCH", where, {"role": role}, token=shop.admin, headers=change)
    return await shop.log_in(email)


async def test_every_door_says_what_the_matrix_says(shop):
    roles = {role: await with_role(shop, role) for role in ROLES}
    keys = {
        scope: (await api_key(shop, {scope}), await api_key(shop, ADMIN - {scope}))
        for scope in sorted({row["policy"].partition(":")[2] for row in ROWS.values()} - {""})
    }
    any_key = await api_key(shop, {"orders:read"})
    secrets = shop.engines.secrets
    public = {
        name: ({one: text for one, text in key.items() if one != "d"},)
        for name, key in secrets.signing.items()
    }
    service = Tokens("orders", secrets.signing["orders"], public).for_service("payments")

    def sent(column, policy):
        scope = policy.partition(":")[2]
        own, others = keys.get(scope, (any_key, any_key))
        tokens = {**roles, "service": service, "key": own, "other-keys": others}
        return {"token": tokens.get(column), "cart": "0" * 43 if column == "guest" else None}

    async def ask(row, column):
        said = row[column]
        if said == "in" and row["path"].endswith(("/stream", "/me/sessions")):
            return  # goes on for ever, or ends what we ask with
        if column == "service" and row["policy"] == "service":
            said = "404"  # from outside even a service's own token opens nothing
        body = b"[]" if row["method"] in WRITES else None
        answer = await shop(
            row["method"], filled(row["path"]), body, key=new_key(), **sent(column, row["policy"])
        )
        place = (row["method"], row["path"], column, answer)
        if said != "in":
            allowed = {said, "401"} if column == "service" else {said}
            assert str(answer.status) in allowed, place
        elif row["policy"] not in ("anyone", "signed"):  # there the handler looks
            assert answer.status not in (401, 403), place
        assert answer.status < 500, place

    columns = ("anonymous", "guest", *roles, "service", "key", "other-keys")
    await in_turn(ask, [(row, column) for row in ROWS.values() for column in columns])


async def things(shop):
    """One of each of a customer's things: (token, ids by the names of path parameters)."""
    email, token = await shop.member("owner")
    sku = await shop.sell()
    cart = await shop.ok("POST", "/api/v1/carts", {}, token=token)
    lines = f"/api/v1/carts/{cart['id']}/lines"
    cart = await shop.ok("POST", lines, {"sku": sku}, token=token)
    order = (await shop.place(shop.order_of({sku: 1}, email), token=token)).json()
    await shop.until(order["id"])
    address = order["shipping_address"]
    saved = await shop.ok("POST", "/api/v1/me/addresses", address, token=token)

    async def told():
        listed = await shop.ok("GET", "/api/v1/notifications?customer=me", token=token)
        return listed["items"]

    message = (await eventually(told))[0]
    payments = await shop.ok("GET", f"/api/v1/payments?order_id={order['id']}", token=token)
    sessions = await shop.ok("GET", "/api/v1/me/sessions", token=token)
    return token, {
        "session_id": sessions["items"][0]["id"],
        "cart_id": cart["id"], "line_id": cart["lines"][0]["line_id"], "code": "NONE",
        "order_id": order["id"], "address_id": saved["id"], "id": message["id"],
        "payment_id": payments["items"][0]["id"],
    }  # fmt: skip


def example_of(row):
    """A valid body for a route."""
    operation = DOCUMENT["paths"][row["path"]][row["method"].lower()]
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("example")


async def test_whose_it_is_may_and_others_find_nothing(shop):
    owner, known = await things(shop)
    _, other = await shop.member("other")
    owned = [row for row in ROWS.values() if row["other"] == "404"]
    assert len(owned) > 15
    unknown = {name for row in owned for name in re.findall(r"\{(\w+)\}", row["path"])}
    assert unknown <= known.keys(), "make one of it in things()"

    async def ask(row):
        path, body = filled(row["path"], known), example_of(row)
        more = {"key": new_key(), "headers": {"if-match": '"v1"'}}
        for who in ({"token": other}, {}, {"cart": "0" * 43, "order": "0" * 43}):
            answer = await shop(row["method"], path, body, **more, **who)
            assert answer.status == (404 if who.get("token") else answer.status), (row, answer)
            assert answer.status in (401, 404), (row, who, answer)
        if row["method"] == "GET":
            seen = await shop("GET", path, token=owner)
            assert seen.status not in (401, 403, 404) or "invoice" in path, (row, seen)

    await in_turn(ask, [(row,) for row in owned])
    for row in owned:  # nothing of it was changed meanwhile
        if (
            row["method"] == "GET" and "invoice" not in row["path"]
        ):  # there is none before it is due
            assert (await shop("GET", filled(row["path"], known), token=owner)).status == 200
    assert (
        msgspec.json.encode(PASSWORD)
        not in (await shop("GET", "/api/v1/me/export", token=owner)).body
    )
