"""Invitations to become staff: whom, to what, by whom, and how often."""

import asyncio
from datetime import timedelta

import harness
import pytest
from service.test_users_keys import PASSWORD, make, member

from merkato.config import Config, Users
from merkato.contracts.trail import ActionNoted
from merkato.contracts.users import StaffInvited, UserRegistered
from merkato.users.service import service

INVITATIONS = "/api/v1/invitations"
NEW = "new@example.org"


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings, public_url="https://shop.test")
    async with harness.alone(service(config), new_database) as alone:
        alone.admin = await member(alone, "admin@example.org", "admin")
        yield alone


async def invite(users, email=NEW, role="support", token=None, **more):
    body = {"email": email, "role": role, **more}
    return await users.request("POST", INVITATIONS, body, token=token or users.admin)


async def link(users):
    """The token in the link of the invitation made last, or None when it is useless."""
    asked = (await users.said(StaffInvited))[-1]
    mailer = harness.service_token("notifications", "users")
    path = f"/api/v1/auth/links/{asked.token_id}"
    answer = await users.request("POST", path, token=mailer)
    if answer.status == 404:
        return None
    assert answer.json()["url"].startswith("https://shop.test/admin/accept-invitation?token=")
    return answer.json()["url"].partition("token=")[2]


async def accept(users, token, password=PASSWORD, **more):
    body = {"token": token, "password": password, **more}
    return await users.request("POST", "/api/v1/auth/invitations/acceptance", body)


async def log_in(users, email=NEW, password=PASSWORD):
    body = {"email": email, "password": password}
    answer = await users.request("POST", "/api/v1/auth/token", body)
    return answer.json()["access_token"] if answer.status == 200 else None


async def test_who_is_invited_becomes_staff_once(users):
    made = await invite(users, locale="de")
    assert (made.status, made.json()["state"]) == (201, "open")
    asked = (await users.said(StaffInvited))[-1]
    assert (asked.email, asked.role, asked.locale) == (NEW, "support", "de")
    token = await link(users)
    assert (await accept(users, token, name="Nina")).status == 204
    me = await users.request("GET", "/api/v1/me", token=await log_in(users))
    assert (me.json()["role"], me.json()["email_verified"]) == ("support", True)
    assert (me.json()["name"], me.json()["locale"]) == ("Nina", "de")
    assert (await accept(users, token)).status == 410
    assert await link(users) is None
    listed = await users.request("GET", INVITATIONS, token=users.admin)
    assert [one["state"] for one in listed.json()["items"]] == ["accepted"]
    assert len([one for one in await users.said(UserRegistered) if one.email == NEW]) == 1
    noted = [one.action for one in await users.said(ActionNoted)]
    assert noted == ["users.staff_invited", "users.invitation_accepted"]
    assert all(NEW not in str(one) for one in await users.said(ActionNoted))


async def test_who_has_an_account_shows_its_password(users):
    await member(users, NEW)
    await invite(users, "NEW@example.org", "staff")
    token = await link(users)
    assert (await accept(users, token, "some other long password")).status == 403
    assert (await accept(users, token)).status == 204
    me = await users.request("GET", "/api/v1/me", token=await log_in(users))
    assert (me.json()["role"], me.json()["email_verified"]) == ("staff", True)
    assert (await invite(users, role="staff")).status == 409


async def test_ten_acceptances_at_once_are_one(users):
    await invite(users)
    token = await link(users)
    answers = await asyncio.gather(*(accept(users, token) for _ in range(10)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {409, 410, 403, 429}
    assert len(await users.fetch("select id from users where email_key = $1", NEW)) == 1


async def test_useless_links_are_gone(users):
    made = await invite(users)
    first = await link(users)
    await invite(users)  # anew: the one before ends
    assert (await accept(users, first)).status == 410
    second = await link(users)
    for wrong in ("x", second + "x", second.partition(".")[0], "." + second):
        assert (await accept(users, wrong)).status == 410
    async with users.db.transaction() as tx:
        await tx.execute(
            "update invitations set expires_at = $1", harness.now() - timedelta(days=1)
        )
    assert (await accept(users, second)).status == 410
    await invite(users)
    third, path = await link(users), f"{INVITATIONS}/{(await users.said(StaffInvited))[-1].key}"
    assert (await users.request("DELETE", path, token=users.admin)).status == 204
    assert (await users.request("DELETE", path, token=users.admin)).status == 204
    assert (await accept(users, third)).status == 410
    assert made.status == 201
    assert await log_in(users) is None


async def test_a_password_that_is_guessed_first_is_refused_and_the_link_stays_good(users):
    await invite(users)
    token = await link(users)
    assert (await accept(users, token, "password12345678")).status == 422
    assert (await accept(users, token)).status == 204


async def test_nobody_invites_to_more_than_they_have(users):
    for role, status in (("nobody", 422), ("customer", 422), ("Staff", 422)):
        assert (await invite(users, role=role)).status == status, role
    staff = await member(users, "eve@example.org", "staff")
    assert (await invite(users, token=staff)).status == 403
    key = (await make(users, "users:write", "orders:read")).json()["key"]
    assert (await invite(users, token=key)).status == 403
    body = {"title": "Lead", "permissions": ["users:write", "customers:read"]}
    await users.request("PUT", "/api/v1/roles/lead", body, token=users.admin)
    lead = await member(users, "lea@example.org", "lead")
    granted = {"lead": frozenset(body["permissions"])}
    users.resources.tokens.know_roles(granted)
    assert (await invite(users, role="admin", token=lead)).status == 403
    assert (await invite(users, role="support", token=lead)).status == 403
    assert (await invite(users, role="lead", token=lead)).status == 201


async def test_an_invitation_is_worth_what_its_maker_may_today(users):
    other = await member(users, "bea@example.org", "admin")
    await invite(users, role="staff", token=other)
    token = await link(users)
    async with users.db.transaction() as tx:
        await tx.execute("update users set role = 'support' where email_key = 'bea@example.org'")
    assert (await accept(users, token)).status == 410
    assert await log_in(users) is None


async def test_erasing_somebody_forgets_their_invitations(users):
    await invite(users)
    await accept(users, await link(users))
    [new] = await users.fetch("select id from users where email_key = $1", NEW)
    path = f"/api/v1/users/{new['id']}/erasure"
    assert (await users.request("POST", path, token=users.admin)).status == 204
    assert await users.fetch("select * from invitations") == []
