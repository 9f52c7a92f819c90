"""Registering and logging in, on real PostgreSQL: who may, who must wait, and what shows."""

import asyncio
import random

import harness
import msgspec
import pytest

from merkato.chassis.telemetry import REGISTRY
from merkato.config import Config, Users
from merkato.contracts.users import (
    EmailVerificationRequested,
    RegistrationRepeated,
    UserRegistered,
)
from merkato.users.service import service

PASSWORD = "seven plain wooden boats"
ANSWERED = {"x-request-id", "content-length"}  # headers that may differ


def config(**settings):
    cheap = {"argon2_time_cost": 1, "argon2_memory_kib": 64, **settings}
    return Config(keys=harness.KEYS, users=Users(**cheap), public_url="https://shop.test/")


@pytest.fixture
async def users(new_database):
    async with harness.alone(service(config()), new_database) as alone:
        yield alone


async def register(users, email="ada@example.org", password=PASSWORD, **fields):
    body = {"email": email, "password": password, **fields}
    return await users.request("POST", "/api/v1/auth/register", body)


async def log_in(users, email="ada@example.org", password=PASSWORD, **headers):
    body = {"email": email, "password": password}
    return await users.request("POST", "/api/v1/auth/token", body, headers=headers)


def hashes():
    """How many hashes this process has computed so far."""
    return REGISTRY.get_sample_value("merkato_password_hashes_total")


async def test_who_registers_may_log_in_at_once(users):
    assert (await register(users, name="Ada", locale="de")).status == 202
    answer = await log_in(users)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    pair = answer.json()
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 900)
    me = await users.request("GET", "/api/v1/me", token=pair["access_token"])
    assert me.status == 200
    assert me.json() | {"id": 0, "registered_at": 0} == {
        "id": 0, "email": "ada@example.org", "email_verified": False, "name": "Ada",
        "locale": "de", "role": "customer", "registered_at": 0,
    }  # fmt: skip
    registered, verification = await users.said()
    assert isinstance(registered, UserRegistered)
    assert isinstance(verification, EmailVerificationRequested)
    assert registered.email == verification.email == "ada@example.org"
    assert {event.user_id for event in (registered, verification)} == {registered.user_id}


async def test_fifty_spellings_at_once_make_one_account(users):
    dice = random.Random(23)

    def spelling():
        local = "".join(dice.choice((c, c.upper(), chr(ord(c) + 0xFEE0))) for c in "adalovelace")
        return f"{local}@{dice.choice(('example.org', 'EXAMPLE.org', 'Example.Org.'))}"

    answers = await asyncio.gather(*(register(users, spelling()) for _ in range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body for answer in answers}) == 1
    assert len(await users.fetch("select id from users")) == 1
    assert len(await users.said(UserRegistered)) == 1
    repeated = await users.said(RegistrationRepeated)
    assert len(repeated) == 4  # five mails an hour; the first is the welcome
    [row] = await users.fetch("select email from users")
    assert {one.email for one in repeated} == {row["email"]}
    assert (await log_in(users, "ADALOVELACE@example.org")).status == 200


async def test_a_second_registration_changes_nothing_and_looks_the_same(users):
    first = await register(users, name="Ada")
    computed = hashes()
    second = await register(users, password="nine tired orange lamps", name="Eve")
    assert hashes() == computed + 1
    assert (second.status, second.body) == (first.status, first.body)
    assert {n: v for n, v in first.headers.items() if n not in ANSWERED} == {
        n: v for n, v in second.headers.items() if n not in ANSWERED
    }
    assert (await log_in(users)).status == 200
    assert (await log_in(users, password="nine tired orange lamps")).status == 401
    [repeated] = await users.said(RegistrationRepeated)
    assert repeated.name == "Ada"


async def test_a_wrong_password_and_an_unknown_address_look_the_same(users):
    await register(users)
    answers = []
    for email in ("ada@example.org", "nobody@example.org"):
        computed = hashes()
        answer = await log_in(users, email, "some other long password")
        assert hashes() == computed + 1
        body = answer.json() | {"request_id": 0, "instance": 0}
        headers = {n: v for n, v in answer.headers.items() if n not in ANSWERED}
        answers.append((answer.status, body, headers))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    assert "www-authenticate" in answers[0][2]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "a@b.example", "password": "fourteen chars"}, "/password"),
        ({"email": "a@b.example", "password": "password123456!"}, "/password"),
        ({"email": "a@b.example", "password": "x" * 200_000}, "/password"),
        ({"email": "a@b.example", "password": 123456789012345678}, "/password"),
        ({"email": "a@b.example", "password": None}, "/password"),
        ({"email": "no address", "password": PASSWORD}, "/email"),
        ({"email": "a＠b@c.example", "password": PASSWORD}, "/email"),
        ({"email": ["a@b.example"], "password": PASSWORD}, "/email"),
        ({"email": "a@b.example", "password": PASSWORD, "role": "admin"}, ""),
        ({"email": "a@b.example", "password": PASSWORD, "email_verified": True}, ""),
        ({"email": "a@b.example", "password": PASSWORD, "name": "a\r\nBcc: b"}, "/name"),
        ({"email": "a@b.example", "password": PASSWORD, "name": {"$ne": 1}}, "/name"),
        ({"email": "a@b.example", "password": PASSWORD, "locale": "../../x"}, "/locale"),
    ],
)
async def test_a_bad_registration_is_refused(users, body, pointer):
    answer = await users.request("POST", "/api/v1/auth/register", body)
    assert answer.status == 422, answer
    problem = answer.json()
    assert problem["type"] == "/problems/validation"
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert await users.fetch("select id from users") == []


@pytest.mark.parametrize("body", [b"", b"{", b'"\\udc00"', b"[" * 10_000, b"\xff", b"null", b"[]"])
async def test_what_is_no_body_is_refused(users, body):
    for path in ("register", "token", "token/refresh", "password/forgot", "password/reset"):
        headers = {"content-type": "application/json"}
        answer = await users.request("POST", f"/api/v1/auth/{path}", body, headers=headers)
        assert answer.status in (400, 422), answer


async def test_lone_surrogates_do_not_break_anything(users):
    body = b'{"email": "a@b.example", "password": "seven plain wooden \\udc00 boats"}'
    headers = {"content-type": "application/json"}
    for path in ("register", "token"):
        answer = await users.request("POST", f"/api/v1/auth/{path}", body, headers=headers)
        assert answer.status in (400, 401, 422), answer


async def test_passwords_count_whole_and_in_any_form_of_letters(users):
    long = "zq" + "x7y8w9v0 u1t2s3r4" * 7 + "caf\u00e9"
    await register(users, password=long)
    assert (await log_in(users, password=long[:72])).status == 401
    assert (await log_in(users, password=long[:-1])).status == 401
    assert (await log_in(users, password=long.replace("\u00e9", "e\u0301"))).status == 200


async def test_after_ten_failures_there_are_pauses_and_then_the_right_password_works(users):
    await register(users)
    for _ in range(10):
        assert (await log_in(users, password="wrong but rather long")).status == 401
    paused = await log_in(users)
    assert paused.status == 429
    assert 1 <= int(paused.headers["retry-after"]) <= 31
    forwarded = await log_in(users, **{"X-Forwarded-For": "203.0.113.9"})
    assert forwarded.status == 429
    await wait_out(users)
    assert (await log_in(users, password="wrong but rather long")).status == 401
    assert int((await log_in(users)).headers["retry-after"]) > 31
    await wait_out(users)
    assert (await log_in(users)).status == 200
    assert (await log_in(users, password="wrong but rather long")).status == 401  # counted anew
    assert (await log_in(users)).status == 200


async def wait_out(users):
    """Move the pause into the past, instead of waiting for it."""
    async with users.db.transaction() as tx:
        await tx.execute("update tries set paused_until = clock_timestamp() - interval '1 s'")


async def test_an_unknown_address_has_the_same_pauses(users):
    statuses = [
        (await log_in(users, "nobody@example.org", f"wrong but rather long {n}")).status
        for n in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


@pytest.mark.usefixtures("patience")
async def test_a_hundred_guesses_at_once_are_ten(users, new_database):
    await register(users)
    answers = await asyncio.gather(
        *(log_in(users, password=f"wrong but rather long {n}") for n in range(100))
    )
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 90


async def test_one_password_for_everybody_is_stopped(new_database):
    one = service(config(spray_failures_max=20))
    async with harness.alone(one, new_database) as users:
        statuses = [
            (await log_in(users, f"user{n}@example.org", "summer in the city")).status
            for n in range(22)
        ]
        assert statuses == [401] * 20 + [429] * 2
        assert (await log_in(users, "user1@example.org", "another rather long one")).status == 401


async def many_wait():
    return REGISTRY.get_sample_value("merkato_password_hashes_waiting") > 20


@pytest.mark.usefixtures("patience")
async def test_hashing_leaves_room_for_others(new_database):
    slow = service(config(argon2_time_cost=3, argon2_memory_kib=19_456, argon2_concurrency=1))
    async with harness.alone(slow, new_database) as users:
        logins = [
            asyncio.create_task(log_in(users, f"user{n}@example.org", f"a password of user {n}"))
            for n in range(40)
        ]
        await harness.eventually(many_wait)
        assert (await users.request("GET", "/api/v1/auth/jwks.json")).status == 200
        assert (await users.request("GET", "/api/v1/me", token=harness.user_token())).status == 401
        assert sum(not login.done() for login in logins) > 20
        assert {answer.status for answer in await asyncio.gather(*logins)} == {401}


async def test_a_hash_of_older_parameters_is_replaced_at_login(new_database):
    dsn = await new_database("users", prepare=harness.preparation("users"))

    async def same(*_, **__):
        return dsn

    async with harness.alone(service(config()), same) as users:
        await register(users)
        [old] = await users.fetch("select password_hash from users")
    async with harness.alone(service(config(argon2_time_cost=2)), same) as users:
        assert (await log_in(users, password="wrong but rather long")).status == 401
        assert await users.fetch("select password_hash from users") == [old]
        assert (await log_in(users)).status == 200
        [new] = await users.fetch("select password_hash from users")
        assert "t=1" in old["password_hash"]
        assert "t=2" in new["password_hash"]
        assert (await log_in(users)).status == 200


async def test_no_secret_is_stored(users):
    await register(users)
    pair = (await log_in(users)).json()
    tables = await users.fetch("select tablename from pg_tables where schemaname = 'public'")
    for table in tables:
        rows = await users.fetch(f'select t::text as row from "{table["tablename"]}" t')
        for secret in (PASSWORD, pair["refresh_token"], pair["access_token"]):
            assert not any(secret in row["row"] for row in rows), table
            hex_form = secret.encode().hex()
            assert not any(hex_form in row["row"] for row in rows), table


async def test_the_published_keys_are_public(users):
    answer = await users.request("GET", "/api/v1/auth/jwks.json")
    [key] = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert msgspec.json.encode(harness.KEYS.signing["users"]["d"]) not in answer.body
