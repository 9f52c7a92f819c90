"""API keys: who may make which, what is shown, and how every service learns whose a key is."""

import asyncio
from datetime import UTC, datetime, timedelta

import harness
import pytest

from merkato.chassis import ask, keys
from merkato.chassis.tokens import Tokens
from merkato.config import Config, Users
from merkato.contracts.problem import DependencyUnavailable, RateLimited, Unauthenticated
from merkato.users.service import service

KEYS = "/api/v1/api-keys"
EMAIL, PASSWORD = "ada@example.org", "seven plain wooden boats"


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings)
    async with harness.alone(service(config), new_database) as alone:
        alone.admin = await member(alone, "admin@example.org", "admin")
        yield alone


async def member(users, email, role="customer"):
    """Register somebody of a role; gives an access token."""
    body = {"email": email, "password": PASSWORD}
    assert (await users.request("POST", "/api/v1/auth/register", body)).status == 202
    async with users.db.transaction() as tx:
        await tx.execute("update users set role = $2 where email_key = $1", email, role)
    return (await users.request("POST", "/api/v1/auth/token", body)).json()["access_token"]


async def make(users, *scopes, token=None, **more):
    body = {"name": "A till", "scopes": scopes, **more}
    return await users.request("POST", KEYS, body, token=token or users.admin)


async def test_a_key_is_shown_once_and_kept_as_a_hash(users):
    made = await make(users, "customers:read", "orders:read", "orders:read")
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    shown = made.json()
    key = shown.pop("key")
    assert key.startswith(shown["prefix"])
    assert shown["scopes"] == ["customers:read", "orders:read"]
    again = await users.request("GET", made.headers["location"], token=users.admin)
    assert again.json() == shown
    listed = await users.request("GET", KEYS, token=users.admin)
    assert listed.json() == {"items": [shown], "next_cursor": None}
    rows = await users.fetch("select k::text from api_keys k union all select e::text from outbox e"
                             " union all select a::text from answers a")  # fmt: skip
    assert all(key[12:] not in row[0] for row in rows)


async def test_a_key_opens_what_its_scopes_name_and_nothing_else(users):
    key = (await make(users, "customers:read")).json()["key"]
    assert (await users.request("GET", "/api/v1/users", token=key)).status == 200
    for method, path, body in (
        ("GET", KEYS, None), ("POST", KEYS, {}), ("GET", "/api/v1/me", None),
        ("POST", "/api/v1/me/password", {}),
    ):  # fmt: skip
        answer = await users.request(method, path, body, token=key)
        assert answer.status == 403, (path, answer)
    grants = f"/api/v1/auth/keys/{keys.key_hash(key).hex()}"
    assert (await users.request("GET", grants, token=key)).status == 404


@pytest.mark.parametrize("shown", [
    "mk_", "mk_00000000_" + "0" * 64, "mk_0000000g_" + "0" * 64, "mk_" + "0" * 5_000,
])  # fmt: skip
async def test_what_is_no_key_is_refused(users, shown):
    answer = await users.request("GET", "/api/v1/users", token=shown)
    assert answer.status == 401
    assert "www-authenticate" in answer.headers
    changed = (await make(users, "customers:read")).json()["key"][:-4] + "beef"
    assert (await users.request("GET", "/api/v1/users", token=changed)).status == 401


async def test_nobody_gives_a_key_more_than_they_have(users):
    unknown = await make(users, "customers:read", "everything:write")
    assert unknown.status == 422
    assert unknown.json()["errors"][0]["pointer"] == "/scopes/1"
    staff = await member(users, "eve@example.org", "staff")
    assert (await make(users, "orders:read", token=staff)).status == 403
    stranger = harness.user_token(role="admin")  # of whom the database knows nothing
    assert (await make(users, "orders:read", token=stranger)).status == 401
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert (await make(users, "orders:read", expires_at=past)).status == 422
    key = (await make(users, "api-keys:write", "orders:read")).json()["key"]
    assert (await make(users, "orders:read", token=key)).status == 403


async def test_a_key_shrinks_with_its_maker(users, monkeypatch):
    monkeypatch.setattr(keys, "FRESH_S", 0.0)
    other = await member(users, "bea@example.org", "admin")
    key = (await make(users, "customers:read", "users:write", token=other)).json()["key"]

    async def statuses():
        reading = await users.request("GET", "/api/v1/users", token=key)
        path = f"/api/v1/users/{harness.uuid4()}/erasure"
        writing = await users.request("POST", path, token=key)
        return reading.status, writing.status

    async def set_(column, value):
        async with users.db.transaction() as tx:
            statement = f"update users set {column} = $1 where email_key = 'bea@example.org'"
            await tx.execute(statement, value)

    assert await statuses() == (200, 404)
    await set_("role", "staff")
    assert await statuses() == (200, 403)
    await set_("blocked", True)
    assert await statuses() == (401, 401)


async def test_a_key_ends_when_it_is_told_to_or_its_time_has_come(users, monkeypatch):
    monkeypatch.setattr(keys, "FRESH_S", 0.2)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    short = (await make(users, "customers:read", expires_at=later)).json()["key"]
    assert (await users.request("GET", "/api/v1/users", token=short)).status == 200
    made = (await make(users, "customers:read")).json()
    where, key = f"{KEYS}/{made['id']}", made["key"]
    assert (await users.request("GET", "/api/v1/users", token=key)).status == 200
    used = (await users.request("GET", where, token=users.admin)).json()["last_used_at"]
    assert used is not None
    assert (await users.request("DELETE", where, token=users.admin)).status == 204
    await users.fetch("update api_keys set expires_at = now() where expires_at is not null")

    async def refused():
        asked = [await users.request("GET", "/api/v1/users", token=one) for one in (short, key)]
        return [answer.status for answer in asked] == [401, 401]

    await harness.eventually(refused)
    assert (await users.request("DELETE", where, token=users.admin)).status == 204
    unknown = await users.request("DELETE", f"{KEYS}/{harness.uuid4()}", token=users.admin)
    assert unknown.status == 404
    ended = await users.request("GET", f"{KEYS}?revoked=true", token=users.admin)
    assert [one["id"] for one in ended.json()["items"]] == [made["id"]]


async def test_the_keys_of_who_is_erased_end(users):
    other = await member(users, "bea@example.org", "admin")
    key = (await make(users, "customers:read", token=other)).json()["key"]
    [bea] = await users.fetch("select id from users where email_key = 'bea@example.org'")
    erased = await users.request("POST", f"/api/v1/users/{bea['id']}/erasure", token=users.admin)
    assert erased.status == 204
    assert (await users.request("GET", "/api/v1/users", token=key)).status == 401


async def test_pages_of_keys(users):
    made = [(await make(users, "orders:read")).json()["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await users.request("GET", f"{KEYS}?limit=2{cursor}", token=users.admin)
        seen += [one["id"] for one in page.json()["items"]]
        more = page.json()["next_cursor"]
        cursor = f"&cursor={more}" if more else None
    assert seen == made[::-1]


class Registry:
    """Stands where users would: counts who asks, and may be silent."""

    def __init__(self):
        self.asked, self.silent, self.pause_s = 0, False, 0.0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        await asyncio.sleep(self.pause_s)
        app = harness.answering(503, {}) if self.silent else harness.keeper
        await app(scope, receive, send)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def door(registry):
    tokens = Tokens("orders", harness.KEYS.signing["orders"], harness.KEYS.published)
    return keys.ApiKeys(ask.Asks({"users": registry}, tokens))


async def test_hundreds_of_calls_with_one_key_ask_once(door, registry):
    registry.pause_s = 0.05
    key, key_id = harness.api_key("orders:read")
    callers = await asyncio.gather(*(door.caller(key) for _ in range(300)))
    callers += [await door.caller(key) for _ in range(300)]
    assert {one.principal for one in callers} == {f"key:{key_id}"}
    assert callers[0].may("orders:read")
    assert not callers[0].may("orders:write")
    assert registry.asked == 1


async def test_who_gives_up_waiting_takes_nothing_from_the_others(door, registry):
    registry.pause_s = 0.1
    key, key_id = harness.api_key("orders:read")
    hasty, patient = (asyncio.create_task(door.caller(key)) for _ in range(2))
    await asyncio.sleep(0.02)
    hasty.cancel()
    assert (await patient).key_id == key_id
    assert registry.asked == 1


async def test_while_users_is_silent_known_keys_go_on_and_unknown_ones_wait(
    door, registry, monkeypatch
):
    monkeypatch.setattr(keys, "FRESH_S", 0.0)
    known, key_id = harness.api_key("orders:read")
    unknown, _ = harness.api_key("orders:read")
    await door.caller(known)
    registry.silent = True
    for _ in range(3):
        assert (await door.caller(known)).key_id == key_id
    assert registry.asked == 2  # and not at every call
    with pytest.raises(DependencyUnavailable):
        await door.caller(unknown)
    registry.silent = False
    await door.caller(unknown)
    monkeypatch.setattr(keys, "SILENCE_S", 0.0)
    registry.silent = True
    with pytest.raises(DependencyUnavailable):
        await door.caller(unknown)


async def test_guessing_is_bounded_and_known_keys_do_not_suffer(door, registry):
    known, key_id = harness.api_key("orders:read")
    await door.caller(known)
    guesses = [f"mk_{n:08x}_{n:064x}" for n in range(1_000)]
    answers = await asyncio.gather(*map(door.caller, guesses), return_exceptions=True)
    kinds = {type(one) for one in answers}
    assert kinds == {Unauthenticated, RateLimited}
    assert registry.asked < 300
    asked = registry.asked
    with pytest.raises(Unauthenticated):
        await door.caller(guesses[0])
    assert registry.asked == asked
    assert (await door.caller(known)).key_id == key_id
