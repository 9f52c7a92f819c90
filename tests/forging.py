"""Forged access tokens: hundreds of variations of a good one, none of which may open a door."""

import base64
import hmac
import random
import time

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

SEED = 2_030
DAMAGED = 300  # tokens with a few characters changed
ORDER_OF_GROUP = 2**252 + 27742317777372353535851937790883648493


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


class Forger:
    """Knows a shop's keys, to sign rightly what should be refused all the same.

    `callees`: services to which a token of orders' own would be a good one; it makes none.
    """

    def __init__(self, signing, published, callees=("users",)):
        self.own, self.orders = signing["users"], signing["orders"]
        self.public = published["users"][0]
        self.public_bytes = decoded(self.public["x"])
        self.stranger = OKPKey.generate_key("Ed25519", {"kid": self.public["kid"]})
        self.header = {"alg": "Ed25519", "typ": "at+jwt", "kid": self.public["kid"]}
        self.callees = callees

    def good(self, claims, **changes):
        """Make a token rightly signed with our own key, of claims that were changed."""
        new = {name: value for name, value in (claims | changes).items() if value is not ...}
        return whole(self.header, new, by(self.own))

    def without_signature(self, claims):
        for alg in ("none", "None", "NoNe", "NONE", "", None, 0, ["none"], {"alg": "none"}, "nonе"):
            for signature in (b"", b"\0", b"\0" * 64):
                yield whole({**self.header, "alg": alg}, claims, lambda _, s=signature: s)
        head = f"{coded(self.header)}.{coded(claims)}"
        yield from (head, head + ".", head + "..", head + ".null", f".{head}.", f"{head}.{head}")

    def by_public_key(self, claims):
        """Take our public key for a secret (CVE-2015-9235 and its kin)."""
        pem = OKPKey.import_key(self.public).as_pem(private=False)
        secrets = (
            self.public_bytes, pem, pem.strip(), pem.decode().replace("\n", "").encode(),
            self.public["x"].encode(), msgspec.json.encode(self.public),
            self.public["kid"].encode(), b"", b"secret",
        )  # fmt: skip
        for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
            for secret in secrets:
                for typ in ("at+jwt", "JWT"):
                    header = {**self.header, "alg": alg, "typ": typ}
                    yield whole(header, claims, lambda m, s=secret, d=digest: hmac.digest(s, m, d))
        for secret in secrets:
            yield whole(self.header, claims, lambda m, s=secret: hmac.digest(s, m, "sha512"))

    def by_another_key(self, claims):
        stranger = self.stranger.as_dict(private=True)
        public = self.stranger.as_dict(private=False)
        brought = (
            {}, {"jwk": public}, {"jku": "https://evil.test/jwks.json"}, {"x5u": "https://evil.test/c"},
            {"x5c": ["MIIB"]}, {"x5t": "AAAA"}, {"jwk": public, "jku": "https://evil.test/jwks.json"},
            {"crit": ["jwk"], "jwk": public}, {"b64": False, "crit": ["b64"]},
        )  # fmt: skip
        for more in brought:
            for kid in (self.public["kid"], public["kid"], "orders-1", "users-2"):
                yield whole({**self.header, **more, "kid": kid}, claims, by(stranger))
        for iss in ("merkato/users", "merkato/orders"):
            for kid in (self.public["kid"], self.orders["kid"]):
                for sub in (claims["sub"], "orders", "users"):
                    for aud in ("merkato", "users", "orders"):
                        own = (iss, kid, sub) == ("merkato/orders", self.orders["kid"], "orders")
                        if own and aud in self.callees:
                            continue  # that is a good service token
                        body = {**claims, "iss": iss, "sub": sub, "aud": aud}
                        yield whole({**self.header, "kid": kid}, body, by(self.orders))

    def by_another_kind_of_key(self, claims):
        ec, rsa = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
        for alg, key in (("ES256", ec), ("RS256", rsa), ("PS256", rsa)):
            for typ in ("at+jwt", "JWT"):
                header = {**self.header, "alg": alg, "typ": typ}
                yield jwt.encode(header, claims, key, algorithms=[alg])
        for alg in ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"):
            for signature in (b"\0" * 64, b"\0" * 132, b"\1" + b"\0" * 63, b"\0" * 63 + b"\1"):
                yield whole({**self.header, "alg": alg}, claims, lambda _, s=signature: s)
        encrypted = coded({"alg": "dir", "enc": "A256GCM", "kid": self.public["kid"]})
        yield f"{encrypted}..{coded(b'0' * 12)}.{coded(claims)}.{coded(b'0' * 16)}"

    def with_another_header(self, claims):
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
            header = {
                name: value for name, value in (self.header | change).items() if value is not ...
            }
            yield whole(header, claims, by(self.own))
        for broken in (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 2_000):
            yield whole(broken, claims, by(self.own))

    def with_other_claims(self, claims):
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
            yield self.good(claims, **change)
        for broken in (
            b"",
            b"{",
            b"[]",
            b"null",
            b"1",
            b"\xff",
            b'{"iss":"merkato/users"',
            b"[" * 900,
        ):
            yield whole(self.header, broken, by(self.own))
        text = msgspec.json.encode(claims)
        for number in (b"1e400", b"NaN", b"Infinity", b"99999999999999999999999999"):
            spoilt = text.replace(b'"exp":%d' % claims["exp"], b'"exp":' + number)
            if number[0:1].isdigit() and b"e" not in number:
                spoilt = spoilt.replace(b'"iat":%d' % claims["iat"], b'"iat":' + number)
            yield whole(self.header, spoilt, by(self.own))

    def forged(self, token):
        claims = msgspec.json.decode(decoded(token.split(".")[1]))
        dice = random.Random(SEED)
        yield from self.without_signature(claims)
        yield from self.by_public_key(claims)
        yield from self.by_another_key(claims)
        yield from self.by_another_kind_of_key(claims)
        yield from self.with_another_header(claims)
        yield from self.with_other_claims(claims)
        yield from malleable(token)
        yield from (mutant for mutant, _ in zip(damaged(token, dice), range(DAMAGED), strict=False))
