"""Second factors, sessions and changes of address, on real PostgreSQL."""

import asyncio
import time
from base64 import b32decode

import harness
import pytest

from merkato.config import Config, Users
from merkato.contracts.users import (
    AccessChanged,
    EmailChanged,
    EmailVerificationRequested,
    RegistrationRepeated,
)
from merkato.users.domain.totp import STEP_S, code_at
from merkato.users.service import service

EMAIL, PASSWORD = "ada@example.org", "seven plain wooden boats"
TOTP = "/api/v1/me/totp"


def config(**more):
    cheap = {"argon2_time_cost": 1, "argon2_memory_kib": 64, "totp_key": "k" * 32}
    return Config(keys=harness.KEYS, users=Users(**cheap | more), public_url="https://shop.test")


@pytest.fixture
async def users(new_database):
    async with harness.alone(service(config()), new_database) as alone:
        yield alone


async def register(users, email=EMAIL, role=None):
    body = {"email": email, "password": PASSWORD}
    assert (await users.request("POST", "/api/v1/auth/register", body)).status == 202
    if role:
        async with users.db.transaction() as tx:
            await tx.execute("update users set role = $2 where email_key = $1", email, role)


async def log_in(users, email=EMAIL, **more):
    body = {"email": email, "password": PASSWORD, **more}
    return await users.request("POST", "/api/v1/auth/token", body)


async def token_of(users, email=EMAIL, **more):
    answer = await log_in(users, email, **more)
    assert answer.status == 200, answer
    return answer.json()["access_token"]


class Authenticator:
    """Somebody's app with the secret; each code it gives is of another step, so none repeats."""

    def __init__(self, secret):
        self.secret = b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, later=0):
        return code_at(self.secret, int(time.time()) // STEP_S + later)


async def enrol(users, token):
    begun = await users.request("POST", TOTP, {"password": PASSWORD}, token=token)
    assert begun.status == 201, begun
    app = Authenticator(begun.json()["secret"])
    body = {"code": app.code(-1)}
    confirmed = await users.request("POST", f"{TOTP}/confirmation", body, token=token)
    assert confirmed.status == 200, confirmed
    return app, confirmed.json()["recovery_codes"]


async def forgive(users):
    async with users.db.transaction() as tx:
        await tx.execute("delete from tries")


async def test_a_login_needs_the_code_and_each_code_counts_once(users):
    await register(users)
    token = await token_of(users)
    app, codes = await enrol(users, token)
    assert len(set(codes)) == 10
    asked = await log_in(users)
    assert (asked.status, asked.json()["type"]) == (401, "/problems/second-factor-required")
    wrong = await log_in(users, code="000000")
    assert (wrong.status, wrong.json()["type"]) == (401, "/problems/unauthenticated")
    code = app.code()
    assert (await log_in(users, code=f" {code[:3]} {code[3:]} ")).status == 200
    assert (await log_in(users, code=code)).status == 401
    assert (await log_in(users, code=app.code(-1))).status == 401  # it is older than the last one
    assert (await log_in(users, code=app.code(1))).status == 200  # a clock that is early
    shown = (await users.request("GET", TOTP, token=token)).json()
    assert shown == {"on": True, "required": False, "recovery_codes_left": 10}


async def test_a_wrong_password_never_tells_of_a_second_factor(users):
    await register(users)
    await enrol(users, await token_of(users))
    body = {"email": EMAIL, "password": "some other long password"}
    answer = await users.request("POST", "/api/v1/auth/token", body)
    assert (answer.status, answer.json()["type"]) == (401, "/problems/unauthenticated")


async def test_twenty_logins_with_one_code_at_once_are_one(users):
    await register(users)
    app, _ = await enrol(users, await token_of(users))
    code = app.code()
    answers = await asyncio.gather(*(log_in(users, code=code) for _ in range(9)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 8


async def test_guessing_codes_is_paused_as_guessing_passwords_is(users):
    await register(users)
    await enrol(users, await token_of(users))
    statuses = [(await log_in(users, code=f"{n:06}")).status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2


async def test_recovery_codes_work_once_and_can_be_renewed(users):
    await register(users)
    app, codes = await enrol(users, await token_of(users))
    token = await token_of(users, code=codes[0].upper().replace("-", " "))
    assert (await log_in(users, code=codes[0])).status == 401
    body = {"code": app.code()}
    renewed = await users.request("POST", f"{TOTP}/recovery-codes", body, token=token)
    fresh = renewed.json()["recovery_codes"]
    assert not set(fresh) & set(codes)
    assert (await log_in(users, code=codes[1])).status == 401
    assert (await log_in(users, code=fresh[0])).status == 200


async def test_setting_up_and_removing_take_proof(users):
    await register(users)
    token = await token_of(users)
    wrong = await users.request("POST", TOTP, {"password": "x" * 20}, token=token)
    assert wrong.status == 403
    none = await users.request("POST", f"{TOTP}/confirmation", {"code": "123456"}, token=token)
    assert none.status == 404
    app, codes = await enrol(users, token)
    again = await users.request("POST", TOTP, {"password": PASSWORD}, token=token)
    assert again.status == 409
    for code, status in (("000000", 403), ("", 422), (codes[3], 204), (app.code(), 404)):
        await forgive(users)
        headers = {"X-Totp-Code": code}
        gone = await users.request("DELETE", TOTP, token=token, headers=headers)
        assert gone.status == status, (code, gone)
    assert (await users.request("DELETE", TOTP, token=token)).status == 422
    assert (await log_in(users)).status == 200
    assert await users.fetch("select * from recovery_codes") == []


async def test_a_wrong_first_code_leaves_it_off(users):
    await register(users)
    token = await token_of(users)
    await users.request("POST", TOTP, {"password": PASSWORD}, token=token)
    body = {"code": "000000"}
    wrong = await users.request("POST", f"{TOTP}/confirmation", body, token=token)
    assert (wrong.status, wrong.json()["errors"][0]["pointer"]) == (422, "/code")
    assert (await log_in(users)).status == 200


async def test_the_secret_is_sealed_and_codes_are_hashed(users):
    await register(users)
    app, codes = await enrol(users, await token_of(users))
    rows = await users.fetch(
        "select f::text from second_factors f union all select c::text from recovery_codes c"
        " union all select o::text from outbox o"
    )
    kept = " ".join(row[0] for row in rows).encode()
    for secret in (app.secret, app.secret.hex().encode(), *(code.encode() for code in codes)):
        assert secret not in kept


async def test_staff_have_to_have_one_where_the_shop_says_so(new_database):
    async with harness.alone(service(config(staff_totp=True)), new_database) as users:
        await register(users, role="admin")
        first = (await log_in(users)).json()
        assert first["second_factor_due"] is True
        token = first["access_token"]
        assert (await users.request("GET", "/api/v1/users", token=token)).status == 403
        app, codes = await enrol(users, token)
        body = {"refresh_token": first["refresh_token"]}
        pair = (await users.request("POST", "/api/v1/auth/token/refresh", body)).json()
        assert pair["second_factor_due"] is False
        token = pair["access_token"]
        assert (await users.request("GET", "/api/v1/users", token=token)).status == 200
        headers = {"X-Totp-Code": codes[0]}
        kept = await users.request("DELETE", TOTP, token=token, headers=headers)
        assert kept.status == 409
        assert (await log_in(users, code=app.code(1))).status == 200
        await register(users, "bob@example.org")
        assert (await log_in(users, "bob@example.org")).json()["second_factor_due"] is False


async def test_an_admin_frees_whoever_lost_everything(users):
    await register(users)
    await register(users, "admin@example.org", "admin")
    await enrol(users, await token_of(users))
    admin = await token_of(users, "admin@example.org")
    [ada] = await users.fetch("select id from users where email_key = $1", EMAIL)
    path = f"/api/v1/users/{ada['id']}/totp"
    assert (await users.request("DELETE", path, token=admin)).status == 204
    assert (await users.request("DELETE", path, token=admin)).status == 204
    assert (await log_in(users)).status == 200


async def test_a_short_key_or_none_where_it_is_needed_does_not_start(new_database):
    for bad in ({"totp_key": "short"}, {"totp_key": "", "staff_totp": True}):
        with pytest.raises(ValueError, match="totp_key"):
            async with harness.alone(service(config(**bad)), new_database):
                pass
    async with harness.alone(service(config(totp_key="")), new_database) as users:
        await register(users)
        token = await token_of(users)
        off = await users.request("POST", TOTP, {"password": PASSWORD}, token=token)
        assert off.status == 409


async def test_sessions_are_listed_and_ended_one_by_one(users):
    await register(users)
    await register(users, "bob@example.org")
    first, second = (await log_in(users)).json(), (await log_in(users)).json()
    token = second["access_token"]
    listed = (await users.request("GET", "/api/v1/me/sessions", token=token)).json()["items"]
    assert [one["current"] for one in listed] == [True, False]
    other = f"/api/v1/me/sessions/{listed[1]['id']}"
    bob = await token_of(users, "bob@example.org")
    assert (await users.request("DELETE", other, token=bob)).status == 404
    assert (await users.request("DELETE", other, token=token)).status == 204
    assert len(await users.said(AccessChanged)) == 1
    for pair, status in ((first, 401), (second, 200)):
        body = {"refresh_token": pair["refresh_token"]}
        assert (await users.request("POST", "/api/v1/auth/token/refresh", body)).status == status
    assert (await users.request("DELETE", other, token=token)).status == 404
    assert (await users.request("DELETE", "/api/v1/me/sessions", token=token)).status == 204
    left = await users.request("GET", "/api/v1/me/sessions", token=token)
    assert left.json()["items"] == []


async def ask_change(users, token, email="new@example.org", password=PASSWORD):
    body = {"email": email, "password": password}
    return await users.request("POST", "/api/v1/me/email", body, token=token)


async def link(users, asked):
    """The token in the mailed link."""
    mailer = harness.service_token("notifications", "users")
    path = f"/api/v1/auth/links/{asked.token_id}"
    answer = await users.request("POST", path, token=mailer)
    return answer.json()["url"].partition("token=")[2] if answer.status == 200 else None


async def follow(users, token):
    return await users.request("POST", "/api/v1/auth/email/verify", {"token": token})


async def test_an_address_changes_when_its_owner_says_so(users):
    await register(users)
    token = await token_of(users)
    await users.request("POST", "/api/v1/auth/password/forgot", {"email": EMAIL})
    assert (await ask_change(users, token)).status == 202
    asked = (await users.said(EmailVerificationRequested))[-1]
    assert asked.email == "new@example.org"
    me = (await users.request("GET", "/api/v1/me", token=token)).json()
    assert (me["email"], me["email_verified"]) == (EMAIL, False)
    assert (await log_in(users)).status == 200
    assert (await follow(users, await link(users, asked))).status == 204
    me = (await users.request("GET", "/api/v1/me", token=token)).json()
    assert (me["email"], me["email_verified"]) == ("new@example.org", True)
    [changed] = await users.said(EmailChanged)
    assert (changed.email, changed.new_email) == (EMAIL, "new@example.org")
    assert (await log_in(users)).status == 401
    assert (await log_in(users, "new@example.org")).status == 200
    assert await users.fetch("select * from email_tokens") == []  # what was sent to the old one


async def test_a_change_of_address_takes_the_password(users):
    await register(users)
    token = await token_of(users)
    assert (await ask_change(users, token, password="another long password")).status == 403
    assert (await ask_change(users, token, email="no address")).status == 422
    assert (await users.request("POST", "/api/v1/me/email", {}, token=None)).status == 401
    assert len(await users.said(EmailVerificationRequested)) == 1  # that of registering


async def test_a_link_changes_the_account_that_asked_whoever_follows_it(users):
    await register(users)
    await register(users, "bob@example.org")
    await ask_change(users, await token_of(users))
    asked = (await users.said(EmailVerificationRequested))[-1]
    bob = await token_of(users, "bob@example.org")
    body = {"token": await link(users, asked)}
    followed = await users.request("POST", "/api/v1/auth/email/verify", body, token=bob)
    assert followed.status == 204
    me = (await users.request("GET", "/api/v1/me", token=bob)).json()
    assert (me["email"], me["email_verified"]) == ("bob@example.org", False)


async def test_a_taken_address_looks_like_any_other_and_its_owner_is_told(users):
    await register(users)
    await register(users, "bob@example.org")
    token = await token_of(users)
    free, taken = (
        await ask_change(users, token, "free@example.org"),
        await ask_change(users, token, "BOB@example.org"),
    )
    assert (free.status, free.body) == (taken.status, taken.body)
    [told] = await users.said(RegistrationRepeated)
    assert told.email == "bob@example.org"


async def test_twenty_uses_of_one_link_are_one(users):
    await register(users)
    await ask_change(users, await token_of(users))
    token = await link(users, (await users.said(EmailVerificationRequested))[-1])
    answers = await asyncio.gather(*(follow(users, token) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [204] + [410] * 19
    assert len(await users.said(EmailChanged)) == 1


async def test_an_address_goes_to_whoever_is_first(users):
    names = [f"user{n}@example.org" for n in range(4)]
    tokens = []
    for name in names:
        await register(users, name)
        await forgive(users)
        await ask_change(users, await token_of(users, name), "wanted@example.org")
        tokens.append(await link(users, (await users.said(EmailVerificationRequested))[-1]))
    fresh = {"email": "wanted@example.org", "password": PASSWORD}
    *followed, registered = await asyncio.gather(
        *(follow(users, token) for token in tokens),
        users.request("POST", "/api/v1/auth/register", fresh),
    )
    assert registered.status == 202
    assert sorted({answer.status for answer in followed}) in ([204, 410], [410])
    rows = await users.fetch("select id from users where email_key = 'wanted@example.org'")
    assert len(rows) == 1


async def test_a_newer_wish_replaces_the_older_one(users):
    await register(users)
    token = await token_of(users)
    await ask_change(users, token, "one@example.org")
    old = await link(users, (await users.said(EmailVerificationRequested))[-1])
    await ask_change(users, token, "two@example.org")
    assert (await follow(users, old)).status == 410
