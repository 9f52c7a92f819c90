"""One's own account and everybody's, on real PostgreSQL."""

import asyncio
from uuid import UUID, uuid4

import harness
import pytest

from merkato.config import Config, Users
from merkato.contracts.users import AccessChanged, RegistrationRepeated, UserErased, UserRegistered
from merkato.users.actions import accounts
from merkato.users.actions.passwords import Passwords
from merkato.users.service import service

PASSWORD = "seven plain wooden boats"
NEW_PASSWORD = "nine tired orange lamps"
NOBODY = UUID(int=7)  # nobody, and nothing, has this id
SETTINGS = Users(argon2_time_cost=1, argon2_memory_kib=64)
HOME = {
    "name": "Ada Lovelace", "lines": ["12 St James's Square"], "city": "London",
    "postal_code": "SW1Y 4JH", "country": "GB",
}  # fmt: skip


@pytest.fixture
async def users(new_database):
    config = Config(keys=harness.KEYS, users=SETTINGS)
    async with harness.alone(service(config), new_database) as alone:
        yield alone


def staff(role="staff"):
    """Make a token when it is needed: a long run outlives one made at its start."""
    return harness.user_token(role=role)


async def registered(users, email="ada@example.org", **fields):
    """Register and log in; give the access token and the id."""
    body = {"email": email, "password": PASSWORD, **fields}
    assert (await users.request("POST", "/api/v1/auth/register", body)).status == 202
    token = await token_of(users, email)
    return token, (await users.request("GET", "/api/v1/me", token=token)).json()["id"]


async def token_of(users, email, password=PASSWORD):
    body = {"email": email, "password": password}
    answer = await users.request("POST", "/api/v1/auth/token", body)
    return answer.json()["access_token"] if answer.status == 200 else answer.status


async def test_a_profile_is_changed_by_whoever_has_seen_it(users):
    token, _ = await registered(users)
    seen = (await users.request("GET", "/api/v1/me", token=token)).headers["etag"]
    change = {"name": "Ada", "locale": "fr"}
    first, second = await asyncio.gather(
        *(patch(users, "/api/v1/me", change, token, seen) for _ in range(2))
    )
    assert sorted((first.status, second.status)) == [200, 412]
    done = first if first.status == 200 else second
    assert (done.json()["name"], done.json()["locale"]) == ("Ada", "fr")
    assert done.headers["cache-control"] == "no-store"
    now = await users.request("GET", "/api/v1/me", token=token)
    assert (now.headers["etag"], now.body) == (done.headers["etag"], done.body)
    assert (await patch(users, "/api/v1/me", change, token, None)).status == 428
    cleared = await patch(users, "/api/v1/me", {"name": None}, token, now.headers["etag"])
    assert (cleared.json()["name"], cleared.json()["locale"]) == (None, "fr")


async def patch(users, path, body, token, etag):
    headers = {"If-Match": etag} if etag else {}
    return await users.request("PATCH", path, body, token=token, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        {"role": "admin"}, {"email_verified": True}, {"email": "eve@example.org"}, {"id": "x"},
        {"blocked": False}, {"password_hash": "x"}, {"version": 1}, {"metadata": {}},
        {"name": {"role": "admin"}}, {"name": ["a"]}, {"name": 1}, {"name": True}, {"name": ""},
        {"name": "a\nb"}, {"name": "x" * 201}, {"locale": None}, {"locale": "english"},
        {"__class__": {}}, {"constructor": {}},
    ],
)  # fmt: skip
async def test_nothing_else_of_a_profile_can_be_written(users, body):
    token, _ = await registered(users)
    before = await users.fetch("select * from users")
    answer = await patch(users, "/api/v1/me", body, token, '"v1"')
    assert answer.status == 422
    assert await users.fetch("select * from users") == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/me"), ("PATCH", "/me"), ("DELETE", "/me"), ("GET", "/me/export"),
        ("POST", "/me/password"), ("GET", "/me/addresses"), ("POST", "/me/addresses"),
        ("GET", f"/me/addresses/{NOBODY}"), ("PATCH", f"/me/addresses/{NOBODY}"),
        ("DELETE", f"/me/addresses/{NOBODY}"), ("GET", "/users"), ("GET", f"/users/{NOBODY}"),
        ("PATCH", f"/users/{NOBODY}"), ("POST", f"/users/{NOBODY}/erasure"),
    ],
)  # fmt: skip
async def test_routes_are_closed_to_whom_they_are_not_for(users, method, path):
    body = {} if method in ("PATCH", "POST") else None
    answer = await users.request(method, f"/api/v1{path}", body)
    assert answer.status == 401
    assert (
        await users.request(method, f"/api/v1{path}?access_token={staff('admin')}", body)
    ).status == 401
    forged = {"X-User-Id": "1", "X-Roles": "admin", "X-WCPAY-PLATFORM-CHECKOUT-USER": "1"}
    assert (await users.request(method, f"/api/v1{path}", body, headers=forged)).status == 401
    service_ = harness.service_token("orders", "users")
    assert (await users.request(method, f"/api/v1{path}", body, token=service_)).status == 403
    elsewhere = harness.service_token("orders", "inventory")
    assert (await users.request(method, f"/api/v1{path}", body, token=elsewhere)).status == 401
    if path.startswith("/users"):
        customer = harness.user_token()
        assert (await users.request(method, f"/api/v1{path}", body, token=customer)).status == 403


async def test_the_password_is_changed_with_the_current_one(users):
    token, _ = await registered(users)
    path = "/api/v1/me/password"
    wrong = {"current_password": "wrong but rather long", "password": NEW_PASSWORD}
    assert (await users.request("POST", path, wrong, token=token)).status == 403
    weak = {"current_password": PASSWORD, "password": "password123456!"}
    assert (await users.request("POST", path, weak, token=token)).status == 422
    right = {"current_password": PASSWORD, "password": NEW_PASSWORD}
    answers = await asyncio.gather(
        *(users.request("POST", path, right, token=token) for _ in range(3))
    )
    assert sorted(answer.status for answer in answers)[0] == 204
    assert {answer.status for answer in answers} <= {204, 403, 409}
    assert await token_of(users, "ada@example.org") == 401
    assert isinstance(await token_of(users, "ada@example.org", NEW_PASSWORD), str)
    assert len(await users.said(AccessChanged)) == 1
    sessions = await users.fetch("select ended_at from sessions order by began_at")
    assert [row["ended_at"] is None for row in sessions] == [False, True]


async def test_guessing_the_current_password_counts_as_logging_in(users):
    token, _ = await registered(users)
    body = {"current_password": "wrong but rather long", "password": NEW_PASSWORD}
    statuses = [
        (await users.request("POST", "/api/v1/me/password", body, token=token)).status
        for _ in range(11)
    ]
    assert statuses == [403] * 10 + [429]


async def add(users, token, key=None, **changes):
    return await users.request("POST", "/api/v1/me/addresses", HOME | changes, token=token, key=key)


async def test_an_address_book(users):
    token, _ = await registered(users)
    first = await add(users, token)
    assert (first.status, first.headers["etag"]) == (201, '"v1"')
    assert first.json() == {
        "id": first.json()["id"], "is_default": True, "company": None, "region": None,
        "phone": None, "tax_id": None, **HOME,
    }  # fmt: skip
    second = await add(users, token, city="Ockham", is_default=True)
    listed = (await users.request("GET", "/api/v1/me/addresses", token=token)).json()
    assert listed["next_cursor"] is None
    assert [(one["city"], one["is_default"]) for one in listed["items"]] == [
        ("London", False), ("Ockham", True),
    ]  # fmt: skip
    path = first.headers["location"]
    seen = await users.request("GET", path, token=token)
    assert seen.headers["etag"] == '"v2"'
    changed = await patch(users, path, {"is_default": True, "region": "Mayfair"}, token, '"v2"')
    assert (changed.status, changed.json()["region"]) == (200, "Mayfair")
    assert changed.json()["lines"] == HOME["lines"]
    assert (await patch(users, path, {"city": "Rome"}, token, '"v2"')).status == 412
    assert (await patch(users, path, {"city": None}, token, '"v3"')).status == 422
    assert (await patch(users, path, {"user_id": str(uuid4())}, token, '"v3"')).status == 422
    assert (await users.request("DELETE", path, token=token)).status == 428
    gone = await users.request("DELETE", path, token=token, headers={"If-Match": '"v3"'})
    assert gone.status == 204
    [left] = (await users.request("GET", "/api/v1/me/addresses", token=token)).json()["items"]
    assert left["id"] == second.json()["id"]


async def test_an_address_is_added_once_per_key(users):
    token, _ = await registered(users)
    key = uuid4().hex
    first, again = await add(users, token, key), await add(users, token, key)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert (await add(users, token, key, city="Rome")).status == 422
    assert len(await users.fetch("select id from addresses")) == 1


async def test_no_more_than_fifty_addresses_even_at_once(users):
    token, _ = await registered(users)
    for _ in range(6):
        answers = await asyncio.gather(*(add(users, token) for _ in range(9)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [422] * 4
    rows = await users.fetch("select is_default from addresses")
    assert sorted(row["is_default"] for row in rows) == [False] * 49 + [True]


async def test_addresses_of_others_are_not_there(users):
    ada, _ = await registered(users)
    eve, _ = await registered(users, "eve@example.org")
    path = (await add(users, ada)).headers["location"]
    assert (await users.request("GET", path, token=eve)).status == 404
    assert (await patch(users, path, {"city": "Rome"}, eve, '"v1"')).status == 404
    stolen = await users.request("DELETE", path, token=eve, headers={"If-Match": '"v1"'})
    assert stolen.status == 404
    assert (await users.request("GET", path, token=ada)).headers["etag"] == '"v1"'


async def test_erasing_leaves_nothing_personal(users):
    token, user_id = await registered(users, "canary-ada@example.org", name="Canary Ada")
    await add(users, token, uuid4().hex, name="Canary Ada", city="Canary Wharf")
    body = {"email": "canary-ada@example.org", "password": PASSWORD}
    await users.request("POST", "/api/v1/auth/register", body)
    await users.request("POST", "/api/v1/auth/password/forgot", {"email": body["email"]})
    assert await mentions(users, "canary")
    assert (await users.request("DELETE", "/api/v1/me", token=token)).status == 428
    seen = (await users.request("GET", "/api/v1/me", token=token)).headers["etag"]
    gone = await users.request("DELETE", "/api/v1/me", token=token, headers={"If-Match": seen})
    assert (gone.status, gone.body) == (204, b"")
    assert set(await mentions(users, "canary")) <= {"outbox", "answers"}
    await users.forget()
    assert await mentions(users, "canary") == []
    assert [str(event.user_id) for event in await users.said(UserErased)] == [user_id]
    [changed] = await users.said(AccessChanged)
    assert (changed.blocked, changed.role) == (True, "customer")
    assert (await users.request("GET", "/api/v1/me", token=token)).status == 401
    assert (await add(users, token)).status == 401
    assert await token_of(users, "canary-ada@example.org") == 401
    assert len(await users.said(RegistrationRepeated)) == 1  # still readable
    for _ in range(2):
        again = await users.request(
            "POST", f"/api/v1/users/{user_id}/erasure", token=staff("admin")
        )
        assert again.status == 204
    assert len(await users.said(UserErased)) == 1
    shown = (await users.request("GET", f"/api/v1/users/{user_id}", token=staff())).json()
    assert (shown["email"], shown["name"]) == (None, None)
    refused = await patch(
        users, f"/api/v1/users/{user_id}", {"blocked": False}, staff("admin"), '"v2"'
    )
    assert refused.status == 409
    await registered(users, "canary-ada@example.org")
    assert len(await users.fetch("select id from users")) == 2


async def mentions(users, canary):
    """Name the tables that hold a word."""
    tables = await users.fetch("select tablename from pg_tables where schemaname = 'public'")
    found = []
    for table in (row["tablename"] for row in tables):
        rows = await users.fetch(f'select t::text as row from "{table}" t')
        hexed = canary.encode().hex()
        if any(canary in row["row"].lower() or hexed in row["row"] for row in rows):
            found.append(table)
    return found


async def test_staff_find_customers(users):
    for n in range(25):
        await registered(users, f"user{n:02}@example.org", name=f"Person Ünique {n:02}")
    everyone, cursor = [], ""
    while cursor is not None:
        answer = await users.request(
            "GET", f"/api/v1/users?limit=10{cursor and '&cursor=' + cursor}", token=staff()
        )
        page = answer.json()
        everyone += page["items"]
        cursor = page["next_cursor"]
    assert [one["email"] for one in everyone] == [
        f"user{n:02}@example.org" for n in range(24, -1, -1)
    ]
    assert set(everyone[0]) == {
        "id", "email", "email_verified", "name", "locale", "role", "blocked", "metadata",
        "registered_at", "erased_at",
    }  # fmt: skip
    for q, expected in (("USER07", 1), ("%C3%9CNIQUE%201", 10), ("%25", 0), ("nobody", 0)):
        found = await users.request("GET", f"/api/v1/users?q={q}", token=staff())
        assert len(found.json()["items"]) == expected, q
    none = (await users.request("GET", "/api/v1/users?role=admin", token=staff())).json()
    assert none == {"items": [], "next_cursor": None}
    for wrong in ("limit=0", "limit=101", "limit=x", "cursor=x", "q="):
        assert (await users.request("GET", f"/api/v1/users?{wrong}", token=staff())).status == 422
    assert (await users.request("GET", f"/api/v1/users/{uuid4()}", token=staff())).status == 404


async def test_a_role_counts_at_once(users):
    token, user_id = await registered(users)
    path = f"/api/v1/users/{user_id}"
    assert (await users.request("GET", "/api/v1/users", token=token)).status == 403
    assert (await patch(users, path, {"role": "staff"}, staff(), '"v1"')).status == 403
    assert (await patch(users, path, {"role": "staff"}, staff("admin"), None)).status == 428
    assert (await patch(users, path, {"role": "root"}, staff("admin"), '"v1"')).status == 422
    assert (await patch(users, path, {"role": None}, staff("admin"), '"v1"')).status == 422
    assert (
        await patch(users, path, {"email": "a@b.example"}, staff("admin"), '"v1"')
    ).status == 422
    done = await patch(users, path, {"role": "staff"}, staff("admin"), '"v1"')
    assert (done.status, done.json()["role"], done.headers["etag"]) == (200, "staff", '"v2"')
    [changed] = await users.said(AccessChanged)
    assert (changed.role, changed.blocked, changed.version) == ("staff", False, 1)
    await learn(users)
    assert (await users.request("GET", "/api/v1/me", token=token)).status == 401
    renewed = await token_of(users, "ada@example.org")  # in the same second, most likely
    assert (await users.request("GET", "/api/v1/users", token=renewed)).status == 200
    noted = await patch(users, path, {"metadata": {"crm": "17"}}, staff("admin"), '"v2"')
    assert noted.json()["metadata"] == {"crm": "17"}
    assert len(await users.said(AccessChanged)) == 1


async def learn(users):
    """Have this process learn what it said about access, as the bus would tell it."""
    await users.hear(*await users.said(AccessChanged))
    rows = await users.fetch("select user_id, blocked, not_before from access")
    users.resources.tokens.refuse(
        {row["user_id"]: None if row["blocked"] else row["not_before"] for row in rows}
    )


async def test_who_is_blocked_is_out_until_unblocked(users):
    body = {"email": "ada@example.org", "password": PASSWORD}
    token, user_id = await registered(users)
    pair = (await users.request("POST", "/api/v1/auth/token", body)).json()
    path = f"/api/v1/users/{user_id}"
    assert (await patch(users, path, {"blocked": True}, staff("admin"), '"v1"')).status == 200
    assert (await users.request("GET", "/api/v1/me", token=token)).status == 401
    assert await token_of(users, "ada@example.org") == 403
    refresh = {"refresh_token": pair["refresh_token"]}
    assert (await users.request("POST", "/api/v1/auth/token/refresh", refresh)).status == 401
    await learn(users)
    assert (await patch(users, path, {"blocked": False}, staff("admin"), '"v2"')).status == 200
    await learn(users)
    assert (await users.request("POST", "/api/v1/auth/token/refresh", refresh)).status == 401
    fresh = await token_of(users, "ada@example.org")
    assert (await users.request("GET", "/api/v1/me", token=fresh)).status == 200
    assert (await users.request("GET", "/api/v1/me", token=token)).status == 401


async def test_access_changes_of_one_second_each_refuse_what_was_before(users):
    token, user_id = await registered(users)
    for n in range(1, 6):
        role = ("customer", "staff")[n % 2]
        path = f"/api/v1/users/{user_id}"
        assert (await patch(users, path, {"role": role}, staff("admin"), f'"v{n}"')).status == 200
        await learn(users)
        assert (await users.request("GET", "/api/v1/me", token=token)).status == 401
        token = await token_of(users, "ada@example.org")
        assert (await users.request("GET", "/api/v1/me", token=token)).status == 200


async def admin(users, email, password=PASSWORD):
    """Make an admin as the command line does."""
    hash_ = await Passwords(SETTINGS).hash(password)
    async with users.db.transaction() as tx:
        return await accounts.make_admin(tx, email, hash_, SETTINGS)


async def test_the_first_admin_is_made_and_made_again(users):
    admin_id = await admin(users, "Root@example.org")
    token = await token_of(users, "root@example.org")
    assert (await users.request("GET", "/api/v1/users", token=token)).status == 200
    assert [event.user_id for event in await users.said(UserRegistered)] == [admin_id]
    assert await admin(users, "root@EXAMPLE.org", NEW_PASSWORD) == admin_id
    assert await token_of(users, "root@example.org") == 401
    assert isinstance(await token_of(users, "root@example.org", NEW_PASSWORD), str)
    assert len(await users.said(UserRegistered)) == 1
    assert len(await users.said(AccessChanged)) == 1


async def test_the_last_admin_stays_even_when_two_leave_at_once(users):
    ids = [await admin(users, f"root{n}@example.org") for n in range(2)]
    changes = ({"role": "staff"}, {"blocked": True})
    answers = await asyncio.gather(
        *(
            patch(users, f"/api/v1/users/{user_id}", change, staff("admin"), '"v1"')
            for user_id, change in zip(ids, changes, strict=True)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    left = next(i for i, a in zip(ids, answers, strict=True) if a.status == 409)
    erasure = await users.request("POST", f"/api/v1/users/{left}/erasure", token=staff("admin"))
    assert erasure.status == 409
    assert erasure.json()["type"] == "/problems/state-conflict"
