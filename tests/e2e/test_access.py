"""Everybody sees and does what is theirs, and nothing else."""

import re
from uuid import uuid4

import pytest
from e2e.test_buying import guest_cart
from harness import eventually
from shopping import ON_ACCOUNT, PASSWORD, new_key

from merkato import topology
from merkato.chassis.http import policies
from merkato.config import Config

CONFIG = Config(here=("gateway",))


def routes():
    """Every route of every service: (method, path, policy)."""
    found = []
    for service in topology.services(CONFIG).values():
        declared = policies(service.routes).items()
        found += [(method, path, policy) for (method, path), policy in declared]
    return sorted(found)


def concrete(path):
    """A path whose parameters are filled in with what does not exist."""
    path = re.sub(r"\{[a-z_]+:uuid\}", str(uuid4()), path)
    return re.sub(r"\{[a-z_]+(:str)?\}", "nothing", path)


STAFF_ROUTES = [(method, path) for method, path, policy in routes() if policy.startswith("staff:")]
SERVICE_ROUTES = [(method, path) for method, path, policy in routes() if policy == "service"]
USER_ROUTES = [(method, path) for method, path, policy in routes() if policy.startswith("user")]


def test_there_are_routes_of_every_kind():
    assert len(STAFF_ROUTES) > 20
    assert len(SERVICE_ROUTES) >= 5
    assert len(USER_ROUTES) > 5


async def test_routes_of_staff_are_refused_to_customers(shop):
    _, token = await shop.member()
    for method, path in STAFF_ROUTES:
        body = {} if method in ("POST", "PUT", "PATCH") else None
        nobody = await shop(method, concrete(path), body)
        assert nobody.status == 401, (method, path, nobody)
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        refused = await shop(method, concrete(path), body, token=token)
        assert (refused.status, refused.json()["type"]) == (403, "/problems/forbidden"), path


async def test_routes_for_services_are_not_there_from_outside(shop):
    _, token = await shop.member()
    for method, path in SERVICE_ROUTES:
        for who in ({}, {"token": token}, {"token": shop.admin}):
            answer = await shop(method, concrete(path), **who)
            assert (answer.status, answer.json()["type"]) == (404, "/problems/not-found"), path


async def test_routes_of_members_ask_who_it_is(shop):
    for method, path in USER_ROUTES:
        assert (await shop(method, concrete(path))).status == 401, path


async def test_headers_that_say_who_one_is_are_not_believed(shop):
    claims = {"x-user-id": str(uuid4()), "x-roles": "admin", "x-forwarded-user": "admin",
              "x-original-url": "/api/v1/users", "x-http-method-override": "GET"}  # fmt: skip
    for path in ("/api/v1/users", "/api/v1/me", "/api/v1/orders", "/api/v1/ledger"):
        assert (await shop("GET", path, headers=claims)).status == 401, path


async def test_things_of_others_are_not_there(shop):
    canary = f"canary-{new_key()}"
    sku = await shop.sell()
    _, owner = await shop.member()
    body = shop.order_of({sku: 1}, f"{canary}@example.org")
    order = (await shop.place(body, token=owner)).json()
    cart = await shop.ok("POST", "/api/v1/carts", {}, token=owner)
    address = await shop.ok(
        "POST", "/api/v1/me/addresses", body["shipping_address"] | {"city": canary}, token=owner
    )
    guest_path, _ = await guest_cart(shop, {sku: 1}, f"{canary}@example.org")
    await shop.until(order["id"])
    payments = f"/api/v1/payments?order_id={order['id']}"
    payment = (await shop.ok("GET", payments, token=owner))["items"][0]
    _, stranger = await shop.member()
    paths = [
        f"/api/v1/orders/{order['id']}", f"/api/v1/orders/{order['id']}/timeline",
        f"/api/v1/carts/{cart['id']}", f"/api/v1/me/addresses/{address['id']}", guest_path,
        f"/api/v1/payments/{payment['id']}", payments,
    ]  # fmt: skip
    for path in paths:
        seen = await shop("GET", path, token=stranger)
        assert seen.status == 404, (path, seen)
        assert canary.encode() not in seen.body
        seen = await shop("GET", path)
        assert seen.status in (401, 404), (path, seen)
    for method, path, wish in (
        ("POST", f"/api/v1/orders/{order['id']}/cancellation", {}),
        ("POST", f"/api/v1/carts/{cart['id']}/lines", {"sku": sku}),
        ("PATCH", f"/api/v1/carts/{cart['id']}", {"locale": "de"}),
        ("DELETE", guest_path, None),
        ("POST", "/api/v1/orders", {"cart_id": cart["id"], "payment": ON_ACCOUNT}),
        ("POST", "/api/v1/payments", {"order_id": order["id"], "method": "on_account"}),
    ):
        answer = await shop(method, path, wish, token=stranger, key=new_key())
        assert answer.status == 404, (method, path, answer)
        wrong = await shop(method, path, wish, cart="0" * 43, order="0" * 43, key=new_key())
        assert wrong.status in (401, 404), (method, path, wrong)
    for listing in ("/api/v1/orders", "/api/v1/notifications", "/api/v1/me/addresses"):
        listed = await shop("GET", f"{listing}?limit=100", token=stranger)
        assert canary.encode() not in listed.body
    assert (await shop.order(order["id"]))["status"] == "confirmed"
    assert canary in (await shop.order(order["id"], token=owner))["contact"]["email"]


async def test_a_guest_sees_an_order_by_its_token_alone(shop):
    sku = await shop.sell()
    path, token = await guest_cart(shop, {sku: 1})
    body = {"cart_id": path.rsplit("/", 1)[-1], "payment": ON_ACCOUNT}
    order = (await shop.place(body, cart=token)).json()
    where = f"/api/v1/orders/{order['id']}"
    assert (await shop("GET", where, order=order["token"])).status == 200
    payments = f"/api/v1/payments?order_id={order['id']}"

    async def payment_is_shown():
        return (await shop("GET", payments, order=order["token"])).status == 200

    await eventually(payment_is_shown)
    for wrong in ("", "null", " ", "[]", "x" * 5_000, order["token"][:-1], token):
        answer = await shop("GET", where, order=wrong)
        assert answer.status in (400, 404), (wrong, answer)


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("/api/v1/auth/register", {"role": "admin"}),
        ("/api/v1/auth/register", {"email_verified": True}),
        ("/api/v1/carts", {"status": "ordered"}),
        ("/api/v1/carts", {"customer_id": str(uuid4())}),
        ("/api/v1/orders", {"status": "confirmed"}),
        ("/api/v1/orders", {"customer_id": str(uuid4())}),
        ("/api/v1/orders", {"price": 1}),
        ("/api/v1/orders", {"__proto__": {}}),
    ],
)
async def test_nobody_gives_themselves_more(shop, path, extra):
    email, token = await shop.member()
    bodies = {
        "/api/v1/auth/register": {"email": f"x{email}", "password": PASSWORD},
        "/api/v1/carts": {},
        "/api/v1/orders": shop.order_of({"A": 1}, email),
    }
    answer = await shop("POST", path, bodies[path] | extra, token=token, key=new_key())
    refusals = {(422, "/problems/validation")}
    if path == "/api/v1/orders" and "customer_id" in extra:  # staff may order for somebody
        refusals = {(403, "/problems/forbidden")}
    assert (answer.status, answer.json()["type"]) in refusals, answer
    changed = await shop("PATCH", "/api/v1/me", extra, token=token, headers={"if-match": '"v1"'})
    assert changed.status == 422, changed


async def test_a_password_is_set_anew_by_the_mailed_link(shop):
    email, token = await shop.member()
    evil = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    await shop.ok("POST", "/api/v1/auth/password/forgot", {"email": email}, headers=evil)

    async def link():
        for mail in await shop.mails(email):
            text = (await shop.ok("GET", f"{shop.outside[0]}/api/messages/{mail['id']}"))["text"]
            found = re.search(r"(\S+)/\S*\?token=([^\s&]+)", text)
            if found and "reset" in found[0]:
                return found[1], found[2]
        return None

    where, secret = await eventually(link)
    assert where.startswith(shop.base_url)
    new = "seven slow otters upstream"
    body = {"token": secret, "password": new}
    assert (await shop("POST", "/api/v1/auth/password/reset", body)).status == 204
    again = await shop("POST", "/api/v1/auth/password/reset", body)
    assert again.status in (404, 410, 422), again
    old = await shop("POST", "/api/v1/auth/token", {"email": email, "password": PASSWORD})
    assert old.status == 401
    await shop.log_in(email, new)

    async def old_sessions_are_over():
        return (await shop("GET", "/api/v1/me", token=token)).status == 401

    await eventually(old_sessions_are_over)
