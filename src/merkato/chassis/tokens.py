"""Who is calling: Ed25519 tokens (RFC 9068 shape), signed by users or by a service itself.

Customers' and staff's tokens are signed by users for the audience `merkato`. A service signs its
own for one callee and 60 s. Only Ed25519 is accepted; keys are told apart by `kid`, so that a new
one can be published before it is used and an old one after.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from merkato.contracts.permissions import ROLES, SERVICE
from merkato.contracts.problem import Unauthenticated

ALGORITHM = "Ed25519"  # RFC 9864
AUDIENCE = "merkato"  # of tokens for people
SERVICE_TOKEN_S = 60
LEEWAY_S = 60  # difference of clocks we forgive
CACHE_MAX = 20_000  # tokens remembered as verified
TOKEN_MAX_CHARS = 4_096


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever is calling, as far as a token proves it."""

    kind: str = "anonymous"  # anonymous | user | key | service
    user_id: UUID | None = None
    key_id: UUID | None = None
    service: str | None = None
    role: str | None = None
    session_id: UUID | None = None  # of a person: the login this token comes from
    permissions: frozenset[str] = frozenset()  # those of the role, or the key's scopes
    issued_at: int = 0

    @property
    def principal(self) -> str:
        """Name the owner of idempotency keys and things: ``user:``, ``key:`` or ``service:``."""
        match self.kind:
            case "user":
                return f"user:{self.user_id}"
            case "key":
                return f"key:{self.key_id}"
            case "service":
                return f"service:{self.service}"
        return "anonymous"

    def may(self, permission: str) -> bool:
        """Tell whether the caller's role, or key, grants a permission."""
        return permission in self.permissions


ANONYMOUS = Caller()


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says, as far as we read it; types are checked strictly. Times in seconds."""

    iss: str
    aud: str
    sub: str
    exp: int
    iat: int
    nbf: int = 0
    role: str | None = None
    sid: UUID | None = None


class Tokens:
    """Signs for one service and verifies what it is shown."""

    def __init__(
        self,
        service: str,
        signing: Mapping[str, str] | None,
        published: Mapping[str, Sequence[Mapping[str, str]]],
    ) -> None:
        self.service = service
        self._signing = OKPKey.import_key(dict(signing)) if signing else None
        self._keys = {
            issuer: KeySet([OKPKey.import_key(dict(key)) for key in keys])
            for issuer, keys in published.items()
        }
        self._verified: dict[str, tuple[Caller, float]] = {}
        self._own: dict[str, tuple[str, float]] = {}
        self._refused: Mapping[UUID, datetime | None] = {}
        self._roles: Mapping[str, frozenset[str]] = ROLES

    def sign(self, claims: Mapping[str, Any], *, audience: str, seconds: int) -> str:
        """Make a token signed by this service. Adds iss, aud, iat and exp."""
        if self._signing is None:
            raise RuntimeError(f"{self.service} has no signing key in its configuration")
        now = int(time.time())
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._signing.kid}
        body = {
            "iss": f"merkato/{self.service}", "aud": audience, "iat": now, "exp": now + seconds,
            **claims,
        }  # fmt: skip
        return jwt.encode(header, body, self._signing, algorithms=[ALGORITHM])

    def for_service(self, callee: str) -> str:
        """Give a token that proves to `callee` that this service is calling."""
        token, good_until = self._own.get(callee, ("", 0.0))
        if time.time() > good_until:
            claims = {"sub": self.service}
            token = self.sign(claims, audience=callee, seconds=SERVICE_TOKEN_S)
            self._own[callee] = (token, time.time() + SERVICE_TOKEN_S / 2)
        return token

    def refuse(self, refused: Mapping[UUID, datetime | None]) -> None:
        """Refuse tokens of these users that are older than a moment, or all of them (None)."""
        self._refused = refused

    def know_roles(self, custom: Mapping[str, frozenset[str]]) -> None:
        """Learn what roles of the shop's own may do; those of the code stay what they are."""
        roles = {**custom, **ROLES}
        if roles != self._roles:
            self._roles = roles
            self._verified.clear()  # callers remembered carry what they might before

    def caller(self, authorization: str | None) -> Caller:
        """Say who is calling by the Authorization header. Raises Unauthenticated.

        The verdict over a token is remembered until it expires.
        """
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > TOKEN_MAX_CHARS:
            raise Unauthenticated("Send a token as: Authorization: Bearer <token>.")
        known = self._verified.get(token)
        if known is None or time.time() > known[1]:
            known = self._verify(token)
            if len(self._verified) >= CACHE_MAX:
                self._verified.clear()
            self._verified[token] = known
        caller = known[0]
        if caller.user_id is not None and caller.user_id in self._refused:
            not_before = self._refused[caller.user_id]
            if not_before is None or caller.issued_at < int(not_before.timestamp()):
                raise Unauthenticated("Log in again.")
        return caller

    def _verify(self, token: str) -> tuple[Caller, float]:
        try:
            issuer = _peek_issuer(token)
            keys = self._keys[issuer]
            decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
            header, claims = decoded.header, msgspec.convert(decoded.claims, Claims)
            if header.get("typ") != "at+jwt" or "kid" not in header or "crit" in header:
                raise ValueError("not an access token")
            now = time.time()
            if now > claims.exp or max(claims.iat, claims.nbf) > now + LEEWAY_S:
                raise ValueError("expired or from the future")
            if claims.iss != f"merkato/{issuer}":
                raise ValueError("issuer")
            return self._judge(issuer, claims), float(claims.exp)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthenticated("The token is not valid, or no longer.") from error

    def _judge(self, issuer: str, claims: Claims) -> Caller:
        if claims.aud == AUDIENCE and issuer == "users" and claims.role is not None:
            return Caller(
                kind="user", user_id=UUID(claims.sub), role=claims.role, issued_at=claims.iat,
                session_id=claims.sid,
                permissions=self._roles.get(claims.role, frozenset()),
            )  # fmt: skip
        if claims.aud == self.service and claims.sub == issuer:
            return Caller(kind="service", service=issuer, permissions=SERVICE)
        raise ValueError("meant for somebody else")


def _peek_issuer(token: str) -> str:
    """Read who claims to have signed; the signature is checked with that one's keys only."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError("not a signed token")
    body = msgspec.json.decode(urlsafe_b64decode(parts[1] + "=="), type=dict[str, Any])
    issuer = body["iss"]
    if not isinstance(issuer, str) or not issuer.startswith("merkato/"):
        raise ValueError("issuer")
    return issuer.removeprefix("merkato/")


def thing_token(secret: str, thing_id: UUID) -> str:
    """Make the token that proves a guest's right to a cart or an order: an HMAC of its id."""
    return hmac.new(secret.encode(), thing_id.bytes, hashlib.sha256).hexdigest()[:43]


def is_thing_token(secret: str, thing_id: UUID, shown: str | None) -> bool:
    """Compare in constant time."""
    return shown is not None and hmac.compare_digest(
        thing_token(secret, thing_id).encode(), shown.encode()
    )
