"""Roles of the shop's own: who makes them, who gives them, and that nobody raises themself."""

import asyncio
from uuid import uuid4

import harness
import pytest
from service.test_users_keys import PASSWORD, make, member

from merkato.chassis import access
from merkato.config import Config, Users
from merkato.contracts.permissions import ADMIN, ROLES
from merkato.contracts.trail import ActionNoted
from merkato.contracts.users import RoleChanged
from merkato.inventory.service import service as inventory
from merkato.users.service import service

PICKER = {"title": "Picker", "permissions": ["inventory:read", "orders:read"]}


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings)
    async with harness.alone(service(config), new_database) as alone:
        alone.admin = await member(alone, "admin@example.org", "admin")
        yield alone


async def put(users, name="picker", body=PICKER, *, token=None, etag=None):
    headers = {"If-Match": etag} if etag else {}
    return await users.request(
        "PUT", f"/api/v1/roles/{name}", body, token=token or users.admin, headers=headers
    )


async def give(users, email, role, token=None):
    [row] = await users.fetch("select id, version from users where email_key = $1", email)
    headers = {"If-Match": f'"v{row["version"]}"'}
    path = f"/api/v1/users/{row['id']}"
    body = {"role": role}
    return await users.request("PATCH", path, body, token=token or users.admin, headers=headers)


async def followed(alone):
    """What following once tells the service of roles."""
    told, tokens = asyncio.Event(), alone.resources.tokens

    class Told:
        refuse = tokens.refuse

        def know_roles(self, known):
            tokens.know_roles(known)
            told.set()

    task = asyncio.create_task(access.follow(alone.db, Told()))
    await told.wait()
    task.cancel()


async def test_a_role_is_made_changed_and_ended(users):
    made = await put(users)
    assert (made.status, made.headers["etag"]) == (201, '"v1"')
    assert made.json() == PICKER | {"name": "picker", "version": 1, "built_in": False}
    assert (await put(users)).status == 428
    assert (await put(users, etag='"v7"')).status == 412
    more = PICKER | {"permissions": ["inventory:read"]}
    assert (await put(users, body=more, etag='"v1"')).json()["version"] == 2
    listed = (await users.request("GET", "/api/v1/roles", token=users.admin)).json()["items"]
    assert {one["name"] for one in listed} == {*ROLES, "picker"}
    headers = {"If-Match": '"v2"'}
    path = "/api/v1/roles/picker"
    ended = await users.request("DELETE", path, token=users.admin, headers=headers)
    assert ended.status == 204
    assert (await users.request("GET", path, token=users.admin)).status == 404
    assert (await put(users)).json()["version"] == 4
    said = await users.said(RoleChanged)
    assert [(one.version, one.permissions) for one in said] == [
        (1, ("inventory:read", "orders:read")), (2, ("inventory:read",)), (3, None),
        (4, ("inventory:read", "orders:read")),
    ]  # fmt: skip
    noted = [one.action for one in await users.said(ActionNoted)]
    assert noted == ["users.role_put"] * 2 + ["users.role_ended", "users.role_put"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("admin", PICKER, 409), ("staff", PICKER, 409), ("Picker", PICKER, 422),
        ("x" * 33, PICKER, 422), ("picker", PICKER | {"permissions": ["all:write"]}, 422),
        ("picker", PICKER | {"title": ""}, 422), ("picker", PICKER | {"version": 9}, 422),
    ],
)  # fmt: skip
async def test_bad_roles_are_refused(users, name, body, status):
    assert (await put(users, name, body)).status == status


async def test_permissions_are_listed(users):
    found = await users.request("GET", "/api/v1/permissions", token=users.admin)
    assert {one["name"] for one in found.json()["items"]} == ADMIN


async def test_a_role_is_given_and_obeyed_by_every_service(users, new_database):
    await put(users)
    token = await member(users, "paul@example.org")
    assert (await give(users, "paul@example.org", "nobody")).status == 422
    assert (await give(users, "paul@example.org", "picker")).status == 200
    body = {"email": "paul@example.org", "password": PASSWORD}
    token = (await users.request("POST", "/api/v1/auth/token", body)).json()["access_token"]
    in_use = await users.request(
        "DELETE", "/api/v1/roles/picker", token=users.admin, headers={"If-Match": '"v1"'}
    )
    assert in_use.status == 409
    settings = Config(keys=harness.KEYS)
    async with harness.alone(inventory(settings), new_database) as shelves:

        async def statuses():
            await shelves.hear(*await users.said(RoleChanged))
            await followed(shelves)
            reading = await shelves.request("GET", "/api/v1/locations", token=token)
            body = {"on_hand": 1}
            writing = await shelves.request(
                "PUT", "/api/v1/stock/a", body, token=token, key=uuid4().hex
            )
            return reading.status, writing.status

        assert await statuses() == (200, 403)
        both = PICKER | {"permissions": ["inventory:read", "inventory:write"]}
        await put(users, body=both, etag='"v1"')
        assert await statuses() == (200, 200)
        await put(users, body=PICKER | {"permissions": []}, etag='"v2"')
        assert await statuses() == (403, 403)


async def test_an_older_word_about_a_role_changes_nothing(new_database):
    async with harness.alone(inventory(Config(keys=harness.KEYS)), new_database) as shelves:
        old, new = (RoleChanged(role="x", version=n, permissions=("a:b",) * n) for n in (1, 2))
        await shelves.hear(new)
        await shelves.hear(old)
        await shelves.hear(new, old)
        [row] = await shelves.fetch("select version, permissions from custom_roles")
        assert (row["version"], row["permissions"]) == (2, ["a:b", "a:b"])


async def test_nobody_raises_themself_or_others_above_themself(users):
    lead = {"title": "Lead", "permissions": ["customers:read", "orders:read", "users:write",
                                             "roles:read", "roles:write"]}  # fmt: skip
    await put(users, "lead", lead)
    await member(users, "lea@example.org")
    await member(users, "paul@example.org")
    await member(users, "eve@example.org", "admin")
    await give(users, "lea@example.org", "lead")
    async with users.db.reading() as tx:
        roles = await tx.fetch("select name, permissions from roles")
    users.resources.tokens.know_roles({r["name"]: frozenset(r["permissions"]) for r in roles})
    body = {"email": "lea@example.org", "password": PASSWORD}
    lea = (await users.request("POST", "/api/v1/auth/token", body)).json()["access_token"]
    for email, role in (
        ("lea@example.org", "admin"), ("lea@example.org", "staff"),
        ("paul@example.org", "staff"), ("eve@example.org", "customer"),
    ):  # fmt: skip
        assert (await give(users, email, role, lea)).status == 403, (email, role)
    assert (await give(users, "paul@example.org", "lead", lea)).status == 200
    assert (await put(users, body=PICKER, token=lea)).status == 403  # inventory:read is not hers
    narrow = {"title": "Reader", "permissions": ["orders:read"]}
    assert (await put(users, "reader", narrow, token=lea)).status == 201
    wide = lead | {"permissions": [*lead["permissions"], "customers:erase"]}
    assert (await put(users, "lead", wide, token=lea, etag='"v1"')).status == 403
    await put(users, "above", PICKER)
    assert (await put(users, "above", narrow, token=lea, etag='"v1"')).status == 403
    [eve] = await users.fetch("select id from users where email_key = 'eve@example.org'")
    key = (await make(users, "users:write")).json()["key"]
    path = f"/api/v1/users/{eve['id']}"
    assert (await users.request("POST", f"{path}/erasure", token=lea)).status == 403
    assert (await give(users, "paul@example.org", "admin", key)).status == 403
    assert (await give(users, "eve@example.org", "customer", key)).status == 403
