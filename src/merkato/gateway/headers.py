"""Header fields at the front door: what is dropped on the way in, what is added on the way out."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from merkato.config import Config

Fields = list[tuple[bytes, bytes]]
# What only proxies and our own processes may say: who is asking, from where, and for what else.
CLAIMS = frozenset(
    {
        b"forwarded", b"x-client-ip", b"x-cluster-client-ip", b"x-forwarded-by",
        b"x-forwarded-client-cert", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port",
        b"x-forwarded-prefix", b"x-forwarded-proto", b"x-forwarded-server", b"x-forwarded-user",
        b"x-forwarded-email", b"x-forwarded-groups", b"x-http-method", b"x-http-method-override",
        b"x-method-override", b"x-original-host", b"x-original-url", b"x-real-ip",
        b"x-remote-user", b"remote-user", b"x-rewrite-url", b"x-role", b"x-roles", b"x-user",
        b"x-user-id", b"x-user-role", b"x-authenticated-user", b"true-client-ip", b"proxy",
        b"cf-connecting-ip",
    }
)  # fmt: skip
SAFE: Fields = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
PRIVATE = (b"cache-control", b"no-store")
PROOFS = frozenset({b"authorization", b"x-cart-token", b"x-order-token"})
SOFT = frozenset({name for name, _ in (*SAFE, HSTS, PRIVATE)})  # whoever answers may say others
FINE = frozenset(  # names that nearly every request has: looked at no further
    {
        b"host", b"accept", b"accept-encoding", b"accept-language", b"user-agent", b"connection",
        b"content-length", b"content-type", b"authorization", b"idempotency-key", b"x-cart-token",
    }
)  # fmt: skip
READABLE = b"etag, location, link, next-cursor, x-request-id, retry-after, ratelimit, " \
           b"ratelimit-policy, idempotent-replayed"  # fmt: skip
SENDABLE = b"authorization, content-type, idempotency-key, if-match, x-cart-token, " \
           b"x-order-token, x-request-id, last-event-id"  # fmt: skip


class Visitors:
    """Tells where a request comes from, and which networks are which."""

    def __init__(self, trusted: Sequence[str], unlimited: Sequence[str]) -> None:
        self._trusted = [ip_network(one) for one in trusted]
        self._unlimited = [ip_network(one) for one in unlimited]
        self._known: dict[str, tuple[bool, bool]] = {}

    def is_unlimited(self, address: str) -> bool:
        """Tell whether nobody counts what comes from there."""
        return self._known[address][1] if address in self._known else self._look(address)[1]

    def address(self, peer: str, fields: Fields) -> str:
        """Give the address of whoever is behind our own proxies: what these say, others do not."""
        if not self._look(peer)[0]:
            return peer
        said = b",".join(value for name, value in fields if name == b"x-forwarded-for")
        for part in reversed(said.decode("latin-1").split(",")):
            candidate = part.strip()
            if not _is_address(candidate):
                break
            peer = candidate
            if not self._look(candidate)[0]:
                break
        return peer

    def _look(self, address: str) -> tuple[bool, bool]:
        known = self._known.get(address)
        if known is None:
            if len(self._known) > 50_000:
                self._known.clear()
            known = self._known[address] = (
                _is_in(address, self._trusted), _is_in(address, self._unlimited)
            )  # fmt: skip
        return known


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Sequence[Any]) -> bool:
    return _is_address(address) and any(ip_address(address) in one for one in networks)


def is_suspect(name: bytes) -> bool:
    """Tell whether a field is dropped: a claim, or a name some servers read as another."""
    return name not in FINE and (name in CLAIMS or b"_" in name)


class Answers:
    """What is added to every answer."""

    def __init__(self, config: Config) -> None:
        self._origins = {origin.encode() for origin in config.gateway.cors_origins}
        secure = config.public_url.startswith("https://")
        self._transport: Fields = [HSTS] if secure else []
        self._api = [*SAFE, *self._transport]
        self._private = [*self._api, PRIVATE]

    def of_pages(self) -> Fields:
        """Give the fields for a service of pages, which cares for itself otherwise."""
        return self._transport

    def of_api(self, fields: Fields) -> Fields:
        """Give the fields for an answer of the API to a request with these."""
        private, origin = False, b""
        for name, value in fields:
            if name in PROOFS:
                private = True
            elif name == b"origin":
                origin = value
        added = self._private if private else self._api
        if self._origins:
            added = [*added, (b"vary", b"origin")]
            if origin in self._origins:
                added += [
                    (b"access-control-allow-origin", origin),
                    (b"access-control-expose-headers", READABLE),
                ]
        return added

    def preflight(self, scope: Any) -> Fields | None:
        """Answer a browser that asks whether a page of another origin may call us."""
        if scope["method"] != "OPTIONS" or not self._origins:
            return None
        fields = dict(scope["headers"])
        if b"access-control-request-method" not in fields:
            return None
        origin = fields.get(b"origin", b"")
        if origin not in self._origins:
            return [(b"vary", b"origin")]
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", SENDABLE),
            (b"access-control-max-age", b"600"),
        ]


def completed(send: Any, added: Fields) -> Any:
    """Give a `send` that adds what an answer does not say itself."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            fields = message.get("headers", [])
            said = [name for name, _ in fields if name in SOFT]
            more = [one for one in added if one[0] not in said] if said else added
            message["headers"] = [*fields, *more]
        await send(message)

    return sending
