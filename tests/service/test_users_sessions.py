"""Refresh tokens, logging out, and mailed links, on real PostgreSQL."""

import asyncio
from uuid import uuid4

import harness
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from merkato.config import Config, Users
from merkato.contracts.users import (
    AccessChanged,
    EmailVerificationRequested,
    PasswordResetRequested,
    RefreshTokenReused,
)
from merkato.users.service import service

PASSWORD = "seven plain wooden boats"
NEW_PASSWORD = "nine tired orange lamps"
EMAIL = "ada@example.org"


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings, public_url="https://shop.test/")
    async with harness.alone(service(config), new_database) as alone:
        await post(alone, "register", email=EMAIL, password=PASSWORD)
        yield alone


def notifications():
    """Make the token of a service; it lives for a minute."""
    return harness.service_token("notifications", "users")


async def post(users, path, **body):
    return await users.request("POST", f"/api/v1/auth/{path}", body)


async def log_in(users, password=PASSWORD):
    return (await post(users, "token", email=EMAIL, password=password)).json()


async def refresh(users, token):
    return await post(users, "token/refresh", refresh_token=token)


async def pass_time(users, interval):
    async with users.db.transaction() as tx:
        await tx.execute(
            f"update refresh_tokens set used_at = used_at - interval '{interval}', "
            f"expires_at = expires_at - interval '{interval}'"
        )


def claims(token):
    key = OKPKey.import_key(harness.KEYS.published["users"][0])
    return jwt.decode(token, key, algorithms=["Ed25519"]).claims


async def hear_access(users):
    """Have this process learn what it said about access, as the bus would tell it."""
    await users.hear(*await users.said(AccessChanged))


async def test_a_refresh_token_is_traded_for_its_successor(users):
    first = await log_in(users)
    second = (await refresh(users, first["refresh_token"])).json()
    third = (await refresh(users, second["refresh_token"])).json()
    tokens = {pair["refresh_token"] for pair in (first, second, third)}
    assert len(tokens) == 3
    sessions = {claims(pair["access_token"])["sid"] for pair in (first, second, third)}
    assert len(sessions) == 1
    assert set(claims(third["access_token"])) == {
        "iss", "aud", "iat", "exp", "sub", "role", "sid", "email_verified",
    }  # fmt: skip
    me = await users.request("GET", "/api/v1/me", token=third["access_token"])
    assert me.status == 200


async def test_twenty_refreshes_at_once_begin_one_chain(users):
    token = (await log_in(users))["refresh_token"]
    answers = await asyncio.gather(*(refresh(users, token) for _ in range(20)))
    successors = {answer.json()["refresh_token"] for answer in answers if answer.status == 200}
    assert {answer.status for answer in answers} <= {200, 401}
    [survivor] = successors
    [count] = await users.fetch("select count(*) as n from refresh_tokens where used_at is null")
    assert count["n"] == 1
    assert (await refresh(users, survivor)).status == 200


async def test_a_repeat_within_the_grace_gets_the_same_answer(users):
    first = await log_in(users)
    second = (await refresh(users, first["refresh_token"])).json()
    await pass_time(users, "3 s")
    again = (await refresh(users, first["refresh_token"])).json()
    assert again["refresh_token"] == second["refresh_token"]


async def test_reuse_ends_the_session_for_both(users):
    first, elsewhere = await log_in(users), await log_in(users)
    second = (await refresh(users, first["refresh_token"])).json()
    await pass_time(users, "6 s")
    assert (await refresh(users, first["refresh_token"])).status == 401
    assert (await refresh(users, second["refresh_token"])).status == 401
    [changed] = await users.said(AccessChanged)
    assert not changed.blocked
    [warning] = await users.said(RefreshTokenReused)
    assert (warning.email, warning.user_id) == (EMAIL, changed.user_id)
    await hear_access(users)
    await assert_refused(users, second["access_token"])
    assert (await refresh(users, elsewhere["refresh_token"])).status == 200


async def test_reuse_after_the_successor_was_used_ends_the_session_even_at_once(users):
    first = await log_in(users)
    second = (await refresh(users, first["refresh_token"])).json()
    third = (await refresh(users, second["refresh_token"])).json()
    assert (await refresh(users, first["refresh_token"])).status == 401
    assert (await refresh(users, third["refresh_token"])).status == 401


async def test_a_refresh_token_runs_out(users):
    token = (await log_in(users))["refresh_token"]
    await pass_time(users, "31 days")
    assert (await refresh(users, token)).status == 401
    assert await users.said(AccessChanged) == []
    assert await users.run_job("forget") >= 1
    assert await users.fetch("select * from sessions") == []


@pytest.mark.parametrize("token", ["x", "null", " " * 43, "A" * 43, "a.b.c"])
async def test_what_is_no_refresh_token_is_refused(users, token):
    assert (await refresh(users, token)).status == 401
    assert (await post(users, "token/revoke", refresh_token=token)).status == 204


async def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(users):
    pair = await log_in(users)
    assert (await refresh(users, pair["access_token"][:200])).status == 401
    answer = await users.request("GET", "/api/v1/me", token=pair["refresh_token"])
    assert answer.status == 401


async def test_after_logging_out_neither_token_is_good(users):
    pair, elsewhere = await log_in(users), await log_in(users)
    for _ in range(2):
        answer = await post(users, "token/revoke", refresh_token=pair["refresh_token"])
        assert (answer.status, answer.body) == (204, b"")
    assert (await refresh(users, pair["refresh_token"])).status == 401
    assert len(await users.said(AccessChanged)) == 1
    await hear_access(users)
    await assert_refused(users, pair["access_token"])
    renewed = (await refresh(users, elsewhere["refresh_token"])).json()
    assert (await users.request("GET", "/api/v1/me", token=renewed["access_token"])).status == 200


async def assert_refused(users, access_token):
    """Wait until this process refuses a token, as it does once it knows of the change."""
    rows = await users.fetch("select user_id, blocked, not_before from access")
    users.resources.tokens.refuse(
        {row["user_id"]: None if row["blocked"] else row["not_before"] for row in rows}
    )
    answer = await users.request("GET", "/api/v1/me", token=access_token)
    assert answer.status == 401


async def link_for(users, event_type):
    token_id = (await users.said(event_type))[-1].token_id
    return await users.request("POST", f"/api/v1/auth/links/{token_id}", token=notifications())


async def reset_token(users):
    assert (await post(users, "password/forgot", email=EMAIL.upper())).status == 202
    url = (await link_for(users, PasswordResetRequested)).json()["url"]
    page, _, token = url.partition("?token=")
    assert page == "https://shop.test/reset-password"
    return token


async def test_a_link_is_for_services_alone_and_the_same_at_every_asking(users):
    first = await link_for(users, EmailVerificationRequested)
    second = await link_for(users, EmailVerificationRequested)
    assert (first.status, first.headers["cache-control"]) == (200, "no-store")
    assert first.body == second.body
    token_id = (await users.said(EmailVerificationRequested))[0].token_id
    path = f"/api/v1/auth/links/{token_id}"
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test"}
    answer = await users.request("POST", path, token=notifications(), headers=forged)
    assert answer.body == first.body
    for token in (None, harness.user_token(role="admin")):
        assert (await users.request("POST", path, token=token)).status == 404
    stranger = f"/api/v1/auth/links/{uuid4()}"
    assert (await users.request("POST", stranger, token=notifications())).status == 404


async def test_an_address_is_verified_once(users):
    url = (await link_for(users, EmailVerificationRequested)).json()["url"]
    page, _, token = url.partition("?token=")
    assert page == "https://shop.test/verify-email"
    assert (await post(users, "password/reset", token=token, password=NEW_PASSWORD)).status == 410
    answers = await asyncio.gather(*(post(users, "email/verify", token=token) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [204] + [410] * 19
    assert (await link_for(users, EmailVerificationRequested)).status == 404
    pair = await log_in(users)
    assert claims(pair["access_token"])["email_verified"] is True


async def test_a_reset_link_counts_once_of_twenty_at_once(users):
    token = await reset_token(users)
    passwords = [f"twenty plain wooden boats {n:02}" for n in range(20)]
    answers = await asyncio.gather(
        *(post(users, "password/reset", token=token, password=one) for one in passwords)
    )
    assert sorted(answer.status for answer in answers) == [204] + [410] * 19
    winner = next(n for n, answer in enumerate(answers) if answer.status == 204)
    right = await post(users, "token", email=EMAIL, password=passwords[winner])
    assert right.status == 200
    other = await post(users, "token", email=EMAIL, password=passwords[winner - 1])
    assert other.status == 401


async def test_a_reset_ends_all_sessions_and_all_other_links(users):
    pair = await log_in(users)
    older, newer = await reset_token(users), await reset_token(users)
    weak = await post(users, "password/reset", token=newer, password="password123456!")
    assert weak.status == 422
    assert (await post(users, "password/reset", token=newer, password=NEW_PASSWORD)).status == 204
    again = await post(users, "password/reset", token=older, password=PASSWORD)
    assert again.status == 410
    assert again.json()["type"] == "/problems/gone"
    assert (await refresh(users, pair["refresh_token"])).status == 401
    await hear_access(users)
    await assert_refused(users, pair["access_token"])
    fresh = await log_in(users, NEW_PASSWORD)
    me = await users.request("GET", "/api/v1/me", token=fresh["access_token"])
    assert (me.status, me.json()["email_verified"]) == (200, True)


async def test_a_reset_heals_an_account_under_attack(users):
    for n in range(11):
        await post(users, "token", email=EMAIL, password=f"wrong but rather long {n}")
    assert (await post(users, "token", email=EMAIL, password=PASSWORD)).status == 429
    token = await reset_token(users)
    assert (await post(users, "password/reset", token=token, password=NEW_PASSWORD)).status == 204
    assert (await post(users, "token", email=EMAIL, password=NEW_PASSWORD)).status == 200


async def test_a_reset_link_is_too_old_after_half_an_hour(users):
    token = await reset_token(users)
    async with users.db.transaction() as tx:
        await tx.execute("update email_tokens set expires_at = expires_at - interval '30 min'")
    answer = await post(users, "password/reset", token=token, password=NEW_PASSWORD)
    assert answer.status == 410


async def test_a_link_that_is_not_ours_is_refused(users):
    token = await reset_token(users)
    token_id, _, proof = token.partition(".")
    forged = [
        "", "x", ".", token_id, f"{token_id}.", f"{token_id}.{proof[:-1]}", f"{uuid4()}.{proof}",
        f"{token_id}.{proof[::-1]}", f"{token_id}.{proof}.{proof}", f"{token_id}.é", token + " ",
    ]  # fmt: skip
    for one in forged:
        for path, more in (("password/reset", {"password": NEW_PASSWORD}), ("email/verify", {})):
            answer = await post(users, path, token=one, **more)
            assert answer.status in (410, 422), one
    assert (await post(users, "token", email=EMAIL, password=PASSWORD)).status == 200


async def test_forgetting_a_password_tells_nothing(users):
    known = await post(users, "password/forgot", email=EMAIL)
    unknown = await post(users, "password/forgot", email="nobody@example.org")
    assert (known.status, known.body) == (unknown.status, unknown.body) == (202, known.body)
    assert len(await users.said(PasswordResetRequested)) == 1
    for _ in range(10):
        assert (await post(users, "password/forgot", email=EMAIL)).status == 202
    assert len(await users.said(PasswordResetRequested)) == 5
