"""The audit trail on real PostgreSQL: what arrives, who may read it, that nobody rewrites it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import harness
import pytest
from service.test_users_keys import EMAIL, make, member

from merkato.config import Config, Users
from merkato.contracts.trail import NOTED, ActionNoted
from merkato.users.service import service

TRAIL = "/api/v1/audit-trail"


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings)
    async with harness.alone(service(config), new_database) as alone:
        alone.admin = await member(alone, "admin@example.org", "admin")
        yield alone


def entry(n=0, *, service="catalog", at=None, **more):
    """Something that was done."""
    return NOTED[service](
        entry_id=uuid4(), at=at or datetime(2030, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
        **{"actor": "user:1", "action": f"{service}.done", "subject": f"thing:{n}"} | more,
    )  # fmt: skip


async def read(users, query="", token=None):
    answer = await users.request("GET", f"{TRAIL}{query}", token=token or users.admin)
    assert answer.status == 200, answer
    return answer.json()


async def test_what_every_service_says_is_in_the_trail_in_the_order_heard(users):
    said = [entry(n, service=name) for n, name in enumerate(sorted(NOTED))]
    await users.hear(*said)
    items = (await read(users))["items"]
    assert [one["id"] for one in items] == [str(one.entry_id) for one in reversed(said)]
    assert [one["n"] for one in items] == list(range(len(said), 0, -1))
    assert all(len(one["hash"]) == 64 for one in items)


async def test_it_is_filtered_and_paged(users):
    said = [entry(n) for n in range(5)]
    said += [entry(9, service="orders", actor="key:2", before={"a": 1}, after={"a": 2})]
    await users.hear(*said)
    [one] = (await read(users, "?service=orders"))["items"]
    assert (one["before"], one["after"], one["actor"]) == ({"a": 1}, {"a": 2}, "key:2")
    for query, found in (
        ("?actor=key:2", 1), ("?actor=user:1", 5), ("?action=catalog.done", 5),
        ("?subject=thing:3", 1), ("?since=2030-01-01T00:03:00Z", 3),
        ("?until=2030-01-01T00:03:00Z", 3), ("?action=catalog.done&subject=thing:9", 0),
    ):  # fmt: skip
        assert len((await read(users, query))["items"]) == found, query
    seen, cursor = [], ""
    while cursor is not None:
        page = await read(users, f"?limit=4{cursor}")
        seen += [one["n"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == [6, 5, 4, 3, 2, 1]


async def test_only_those_who_may_read_it(users):
    for role in ("customer", "staff"):
        token = harness.user_token(role=role)
        assert (await users.request("GET", TRAIL, token=token)).status == 403
    assert (await users.request("GET", TRAIL)).status == 401
    key = (await make(users, "audit-trail:read")).json()["key"]
    await read(users, token=key)


async def test_batches_at_once_make_one_chain(users):
    batches = [[entry(10 * n + m) for m in range(5)] for n in range(8)]
    await asyncio.gather(*(users.hear(*batch) for batch in batches))
    rows = await users.fetch("select n, id from trail order by n")
    assert [row["n"] for row in rows] == list(range(1, 41))
    assert {row["id"] for row in rows} == {one.entry_id for batch in batches for one in batch}


@pytest.mark.parametrize(
    "sql", ["update trail set n = n", "delete from trail", "truncate trail"]
)  # fmt: skip
async def test_nobody_rewrites_it(users, sql):
    await users.hear(entry())
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        async with users.db.transaction() as tx:
            await tx.execute(sql)


async def test_what_staff_do_to_accounts_is_noted_with_the_change(users):
    await member(users, EMAIL)
    [ada] = await users.fetch("select id from users where email_key = $1", EMAIL)
    path, headers = f"/api/v1/users/{ada['id']}", {"If-Match": '"v1"', "X-Request-Id": "request-7"}
    change = {"blocked": False, "metadata": {"vip": "yes"}}
    answer = await users.request("PATCH", path, change, token=users.admin, headers=headers)
    assert answer.status == 200
    made = await make(users, "orders:read")
    await users.request("DELETE", made.headers["location"], token=users.admin)
    await users.request("POST", f"{path}/erasure", token=users.admin)
    changed, key_made, revoked, erased = await users.said(ActionNoted)
    [me] = await users.fetch("select id from users where role = 'admin'")
    assert {one.actor for one in (changed, key_made, erased)} == {f"user:{me['id']}"}
    assert (changed.action, changed.subject) == ("users.user_changed", f"user:{ada['id']}")
    assert (changed.before, changed.after) == ({"metadata": "(hidden)"}, {"metadata": "(hidden)"})
    assert changed.request_id == "request-7"
    assert key_made.after["scopes"] == ["orders:read"]
    assert made.json()["key"] not in str(key_made)
    assert (revoked.action, erased.action) == ("users.api_key_revoked", "users.user_erased")


async def test_what_is_refused_leaves_no_entry(users):
    [me] = await users.fetch("select id from users where role = 'admin'")
    path, headers = f"/api/v1/users/{me['id']}", {"If-Match": '"v1"'}
    answer = await users.request(
        "PATCH", path, {"role": "staff"}, token=users.admin, headers=headers
    )
    assert answer.status == 409
    assert await users.said(ActionNoted) == []
