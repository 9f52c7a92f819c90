"""Forged access tokens: hundreds of variations of a good one, none of which opens a door."""

import hashlib
from uuid import uuid4

import harness
import msgspec
import pytest
from forging import Forger, by, decoded, whole
from joserfc.jwk import OKPKey

from merkato.chassis.tokens import Tokens
from merkato.config import Config, Users
from merkato.contracts.problem import Unauthenticated
from merkato.users.service import service

EMAIL, PASSWORD = "ada@example.org", "seven plain wooden boats"
OWN = harness.KEYS.signing["users"]
ORDERS = harness.KEYS.signing["orders"]
FORGER = Forger(harness.KEYS.signing, harness.KEYS.published)
HEADER = FORGER.header


@pytest.fixture
async def users(new_database):
    settings = Users(argon2_time_cost=1, argon2_memory_kib=64)
    config = Config(keys=harness.KEYS, users=settings)
    async with harness.alone(service(config), new_database) as alone:
        body = {"email": EMAIL, "password": PASSWORD}
        await alone.request("POST", "/api/v1/auth/register", body)
        answer = await alone.request("POST", "/api/v1/auth/token", body)
        alone.token = answer.json()["access_token"]
        yield alone


async def test_no_forged_token_is_accepted(users):
    claims = msgspec.json.decode(decoded(users.token.split(".")[1]))
    assert await status(users, users.token) == 200
    assert await status(users, FORGER.good(claims)) == 200  # so it is the change that is refused
    mutants = dict.fromkeys(FORGER.forged(users.token))
    assert len(mutants) >= 500
    answers = {mutant: await status(users, mutant) for mutant in mutants}
    accepted = [_shown(mutant, answer) for mutant, answer in answers.items() if answer != 401]
    assert accepted == [], "\n".join(map(repr, accepted))
    assert await status(users, users.token) == 200


def _shown(mutant, answer):
    return answer, *(decoded(part)[:300] for part in mutant.split(".")[:2])


async def status(users, token):
    """Ask for what only a good token opens; without our verdict being remembered."""
    if not token.isascii() or "\0" in token:
        return 401  # HTTP does not carry it
    answer = await users.request("GET", "/api/v1/me", token=token)
    if answer.status == 401:
        assert answer.json()["type"] == "/problems/unauthenticated"
        assert "www-authenticate" in answer.headers
    return answer.status


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer null", "Basic YTpi", "bearer  x", "Token x", "Bearer a b"],
)
async def test_other_authorizations_are_refused(users, value):
    answer = await users.request("GET", "/api/v1/me", headers={"authorization": value})
    assert answer.status == 401


async def test_a_token_in_the_address_is_no_token(users):
    for name in ("access_token", "token", "authorization"):
        answer = await users.request("GET", f"/api/v1/me?{name}={users.token}")
        assert answer.status == 401


async def test_an_admin_is_whoever_users_says_and_nobody_else(users):
    claims = msgspec.json.decode(decoded(users.token.split(".")[1]))
    assert (await users.request("GET", "/api/v1/users", token=users.token)).status == 403
    by_orders = whole({**HEADER, "kid": ORDERS["kid"]}, claims | {"role": "admin"}, by(ORDERS))
    assert (await users.request("GET", "/api/v1/users", token=by_orders)).status == 401
    for role in ("root", "Admin", "admin ", "", "*"):
        odd = FORGER.good(claims, role=role)
        assert (await users.request("GET", "/api/v1/users", token=odd)).status == 403


async def test_a_guess_at_a_hash_is_no_token(users):
    guess = hashlib.sha256(users.token.encode()).hexdigest()
    assert await status(users, guess) == 401
    assert await status(users, str(uuid4())) == 401


def test_keys_are_rotated_without_anybody_noticing():
    """The new key is published, then used; the old one goes when its last token has run out."""
    old, new = OWN, OKPKey.generate_key("Ed25519", {"kid": "users-2"}).as_dict(private=True)
    public = {kid: {**key, "d": None} for kid, key in (("1", old), ("2", new))}
    for key in public.values():
        del key["d"]
    claims = {"sub": str(uuid4()), "role": "staff"}
    made = [
        Tokens("users", key, {}).sign(claims, audience="merkato", seconds=900) for key in (old, new)
    ]

    def accepts(*kids):
        verifier = Tokens("orders", None, {"users": [public[kid] for kid in kids]})
        found = []
        for token in made:
            try:
                found.append(verifier.caller(f"Bearer {token}").role == "staff")
            except Unauthenticated:
                found.append(False)
        return found

    assert accepts("1") == [True, False]
    assert accepts("1", "2") == [True, True]
    assert accepts("2") == [False, True]
