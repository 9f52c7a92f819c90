"""What a person is given of all that the shop keeps, with services that answer as others do."""

import harness
import pytest
from service.test_users_me import SETTINGS, add, registered

from merkato.config import Config
from merkato.contracts.trail import ActionNoted
from merkato.users.service import service

PATH = "/api/v1/me/export"


async def kept(scope, receive, send):
    """Answers as other services do what they keep about somebody: two pages of one each."""
    *_, part, _, user_id = scope["path"].split("/")
    second = scope["query_string"] == b"cursor=next"
    items = [{"of": part, "page": 2 if second else 1, "customer_id": user_id}]
    body = {"items": items, "next_cursor": None if second else "next"}
    await harness.answering(200, body)(scope, receive, send)


@pytest.fixture
def apps():
    return {"orders": kept, "payments": kept, "notifications": kept}


@pytest.fixture
async def users(new_database, apps):
    config = Config(keys=harness.KEYS, users=SETTINGS)
    async with harness.alone(service(config), new_database, apps) as alone:
        yield alone


async def test_the_export_is_complete_and_only_ones_own(users):
    ada, user_id = await registered(users, name="Ada")
    await registered(users, "eve@example.org", name="Eve")
    await add(users, ada)
    answer = await users.request("GET", PATH, token=ada)
    export = answer.json()
    assert export["profile"]["id"] == user_id
    assert [one["city"] for one in export["addresses"]] == ["London"]
    assert len(export["sessions"]) == 1
    for name in ("orders", "carts", "payments"):
        pages = [{"of": name, "page": n, "customer_id": user_id} for n in (1, 2)]
        assert export[name] == pages
    assert [one["of"] for one in export["messages"]] == ["notifications"] * 2
    assert [one["of"] for one in export["preferences"]] == ["notification-preferences"] * 2
    assert export["cut_short"] == []
    assert answer.headers["cache-control"] == "no-store"
    assert b"Eve" not in answer.body
    assert b"argon2" not in answer.body


async def test_the_export_is_whole_or_not_given_and_not_all_the_time(users, apps):
    ada, _ = await registered(users)
    apps["payments"] = harness.answering(503, {"type": "/problems/overloaded"})
    refused = await users.request("GET", PATH, token=ada)
    assert (refused.status, refused.json()["type"]) == (503, "/problems/dependency-unavailable")
    apps["payments"] = kept
    answers = [(await users.request("GET", PATH, token=ada)).status for _ in range(6)]
    assert answers == [200] * 4 + [429] * 2


async def test_an_export_for_somebody_is_noted_once_it_is_whole(users, apps):
    _, user_id = await registered(users)
    path, admin = f"/api/v1/users/{user_id}/export", harness.user_token(role="admin")

    async def noted():
        found = await users.said(ActionNoted)
        return [one.subject for one in found if one.action == "users.data_exported"]

    apps["payments"] = harness.answering(503, {"type": "/problems/overloaded"})
    assert (await users.request("GET", path, token=admin)).status == 503
    assert await noted() == []
    apps["payments"] = kept
    answer = await users.request("GET", path, token=admin)
    assert (answer.status, answer.json()["profile"]["id"]) == (200, user_id)
    assert await noted() == [f"user:{user_id}"]
