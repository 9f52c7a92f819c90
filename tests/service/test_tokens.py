"""Forged access tokens: hundreds of variations of a good one, none of which opens a door."""

import base64
import hashlib
import hmac
import random
import time
from uuid import uuid4

import harness
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from merkato.chassis.tokens import Tokens
from merkato.config import Config, Users
from merkato.contracts.problem import Unauthenticated
from merkato.users.service import service

EMAIL, PASSWORD = "ada@example.org", "seven plain wooden boats"
OWN = harness.KEYS.signing["users"]
PUBLIC = harness.KEYS.published["users"][0]
PUBLIC_BYTES = base64.urlsafe_b64decode(PUBLIC["x"] + "=")
ORDERS = harness.KEYS.signing["orders"]
STRANGER = OKPKey.generate_key("Ed25519", {"kid": PUBLIC["kid"]})
HEADER = {"alg": "Ed25519", "typ": "at+jwt", "kid": PUBLIC["kid"]}
ORDER_OF_GROUP = 2**252 + 27742317777372353535851937790883648493


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


def coded(data):
    raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def whole(header, claims, sign):
    head = f"{coded(header)}.{coded(claims)}"
    return f"{head}.{coded(sign(head.encode()))}"


def by(key):
    """Sign with an Ed25519 JWK."""
    private = Ed25519PrivateKey.from_private_bytes(decoded(key["d"]))
    return private.sign


def good(claims, **changes):
    """Make a token rightly signed with our own key, of claims that were changed."""
    new = {name: value for name, value in (claims | changes).items() if value is not ...}
    return whole(HEADER, new, by(OWN))


def without_signature(claims):
    for alg in ("none", "None", "NoNe", "NONE", "", None, 0, ["none"], {"alg": "none"}, "nonе"):
        for signature in (b"", b"\0", b"\0" * 64):
            yield whole({**HEADER, "alg": alg}, claims, lambda _, s=signature: s)
    head = f"{coded(HEADER)}.{coded(claims)}"
    yield from (head, head + ".", head + "..", head + ".null", f".{head}.", f"{head}.{head}")


def by_public_key(claims):
    """Take our public key for a secret (CVE-2015-9235 and its kin)."""
    pem = OKPKey.import_key(PUBLIC).as_pem(private=False)
    secrets = (
        PUBLIC_BYTES, pem, pem.strip(), pem.decode().replace("\n", "").encode(),
        PUBLIC["x"].encode(), msgspec.json.encode(PUBLIC), PUBLIC["kid"].encode(), b"", b"secret",
    )  # fmt: skip
    for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
        for secret in secrets:
            for typ in ("at+jwt", "JWT"):
                header = {**HEADER, "alg": alg, "typ": typ}
                yield whole(header, claims, lambda m, s=secret, d=digest: hmac.digest(s, m, d))
    for secret in secrets:
        yield whole(HEADER, claims, lambda m, s=secret: hmac.digest(s, m, "sha512"))


def by_another_key(claims):
    stranger = STRANGER.as_dict(private=True)
    public = STRANGER.as_dict(private=False)
    brought = (
        {}, {"jwk": public}, {"jku": "https://evil.test/jwks.json"}, {"x5u": "https://evil.test/c"},
        {"x5c": ["MIIB"]}, {"x5t": "AAAA"}, {"jwk": public, "jku": "https://evil.test/jwks.json"},
        {"crit": ["jwk"], "jwk": public}, {"b64": False, "crit": ["b64"]},
    )  # fmt: skip
    for more in brought:
        for kid in (PUBLIC["kid"], public["kid"], "orders-1", "users-2"):
            yield whole({**HEADER, **more, "kid": kid}, claims, by(stranger))
    for iss in ("merkato/users", "merkato/orders"):
        for kid in (PUBLIC["kid"], ORDERS["kid"]):
            for sub in (claims["sub"], "orders", "users"):
                for aud in ("merkato", "users", "orders"):
                    if (iss, kid, sub, aud) == ("merkato/orders", ORDERS["kid"], "orders", "users"):
                        continue  # that is a good service token
                    body = {**claims, "iss": iss, "sub": sub, "aud": aud}
                    yield whole({**HEADER, "kid": kid}, body, by(ORDERS))


def by_another_kind_of_key(claims):
    ec, rsa = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
    for alg, key in (("ES256", ec), ("RS256", rsa), ("PS256", rsa)):
        for typ in ("at+jwt", "JWT"):
            header = {**HEADER, "alg": alg, "typ": typ}
            yield jwt.encode(header, claims, key, algorithms=[alg])
    for alg in ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"):
        for signature in (b"\0" * 64, b"\0" * 132, b"\1" + b"\0" * 63, b"\0" * 63 + b"\1"):
            yield whole({**HEADER, "alg": alg}, claims, lambda _, s=signature: s)
    encrypted = coded({"alg": "dir", "enc": "A256GCM", "kid": PUBLIC["kid"]})
    yield f"{encrypted}..{coded(b'0' * 12)}.{coded(claims)}.{coded(b'0' * 16)}"


def with_another_header(claims):
    """Sign rightly, but say what no token of ours says."""
    kids = (
        ..., "", None, 0, [], {}, "users-2", "../../etc/passwd", "/dev/null", "' or '1'='1",
        "users-1\0", "USERS-1", ["users-1"], "orders-1", "x" * 5_000,
    )  # fmt: skip
    variations = [
        *({"kid": kid} for kid in kids),
        *({"typ": typ} for typ in (..., "JWT", "jwt", "id+jwt", "", None, 1, "at+jwt ")),
        *({"alg": alg} for alg in (..., "none", "HS256", "ES256", "Ed448", "ed25519", None, 1)),
        *({"crit": crit} for crit in (["exp"], ["unknown"], [], "exp", None, [1])),
        {"b64": False, "crit": ["b64"]},
        {"enc": "A256GCM", "alg": "dir"},
    ]
    for change in variations:
        header = {name: value for name, value in (HEADER | change).items() if value is not ...}
        yield whole(header, claims, by(OWN))
    for broken in (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 2_000):
        yield whole(broken, claims, by(OWN))


def with_other_claims(claims):
    """Sign rightly what no token of ours claims."""
    now = int(time.time())
    changes = [
        *({"exp": exp} for exp in (
            ..., None, now - 1, now - 61, 0, -1, str(now + 900), now + 900.5, True, [now + 900],
            {"x": 1}, "1e400", "NaN", "",
        )),
        *({"iat": iat} for iat in (..., None, now + 3_600, str(now), float(now), True, [now])),
        *({"nbf": nbf} for nbf in (now + 3_600, "x", [now], None, {})),
        *({"iss": iss} for iss in (
            ..., None, "", "users", "merkato", "merkato/", "merkato/orders", "merkato/users/",
            "https://evil.test", ["merkato/users"], {"a": 1}, 1, "MERKATO/USERS",
        )),
        *({"aud": aud} for aud in (
            ..., None, "", "orders", "MERKATO", "gateway", {"merkato": 1}, 1, ["orders"],
        )),
        *({"sub": sub} for sub in (
            ..., None, "", 1, [claims["sub"]], {"id": claims["sub"]}, "admin", "../me",
            claims["sub"][:-1], claims["sub"] + "\0", True,
        )),
        {"role": ...},
    ]  # fmt: skip
    for change in changes:
        yield good(claims, **change)
    for broken in (b"", b"{", b"[]", b"null", b"1", b"\xff", b'{"iss":"merkato/users"', b"[" * 900):
        yield whole(HEADER, broken, by(OWN))
    text = msgspec.json.encode(claims)
    for number in (b"1e400", b"NaN", b"Infinity", b"99999999999999999999999999"):
        spoilt = text.replace(b'"exp":%d' % claims["exp"], b'"exp":' + number)
        if number[0:1].isdigit() and b"e" not in number:
            spoilt = spoilt.replace(b'"iat":%d' % claims["iat"], b'"iat":' + number)
        yield whole(HEADER, spoilt, by(OWN))


def malleable(token):
    """Add the group's order to the signature's s: RFC 8032 wants such a signature refused."""
    head, _, signature = token.rpartition(".")
    raw = decoded(signature)
    s = int.from_bytes(raw[32:], "little") + ORDER_OF_GROUP
    yield f"{head}.{coded(raw[:32] + s.to_bytes(32, 'little'))}"
    yield f"{head}.{coded(raw[:32] + bytes(32))}"
    yield f"{head}.{coded(bytes(32) + raw[32:])}"
    yield f"{head}.{coded(raw + bytes(1))}"
    yield f"{head}.{coded(raw[:-1])}"


def damaged(token, dice):
    """Change, drop, add or move a few characters, or cut."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    meaning = tuple(decoded(part) for part in token.split("."))
    while True:
        chars = list(token)
        place = dice.randrange(len(chars))
        match dice.randrange(6):
            case 0:
                chars[place] = dice.choice(alphabet)
            case 1:
                del chars[place]
            case 2:
                chars.insert(place, dice.choice(alphabet + ".=+/"))
            case 3:
                other = dice.randrange(len(chars))
                chars[place], chars[other] = chars[other], chars[place]
            case 4:
                chars = chars[:place]
            case 5:
                head, claims, signature = token.split(".")
                parts = [head, claims, signature]
                dice.shuffle(parts)
                chars = list(".".join(parts))
        mutant = "".join(chars)
        if mutant != token and _meaning(mutant) != meaning:
            yield mutant


def _meaning(mutant):
    """Decode as leniently as can be: the last character of a part may hold unused bits."""
    try:
        return tuple(decoded(part) for part in mutant.split("."))
    except ValueError:
        return None


def forged(token):
    claims = msgspec.json.decode(decoded(token.split(".")[1]))
    dice = random.Random(20_30)
    yield from without_signature(claims)
    yield from by_public_key(claims)
    yield from by_another_key(claims)
    yield from by_another_kind_of_key(claims)
    yield from with_another_header(claims)
    yield from with_other_claims(claims)
    yield from malleable(token)
    yield from (mutant for mutant, _ in zip(damaged(token, dice), range(300), strict=False))


async def test_no_forged_token_is_accepted(users):
    claims = msgspec.json.decode(decoded(users.token.split(".")[1]))
    assert await status(users, users.token) == 200
    assert await status(users, good(claims)) == 200  # so it is the change that is refused
    mutants = dict.fromkeys(forged(users.token))
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
        odd = good(claims, role=role)
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
