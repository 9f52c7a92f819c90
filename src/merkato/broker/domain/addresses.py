"""Where a webhook may be sent: no spelling, name or address leads into our own network.

One strict grammar reads the address, so that it cannot mean one thing to the check and another to
the connection. Which addresses a name has is asked at saving and at each connection; each is judged
by `forbidden`, and a connection is made to a judged address only. After the IANA registries of
special-purpose addresses (RFC 6890 and its successors).
"""

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import msgspec

from merkato.contracts.problem import Validation

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_MAX_CHARS = 2_000
FORM = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][!-\[\]-~]*)?\Z"  # visible ASCII without the backslash
)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
NUMBER = re.compile(r"[0-9]+\Z|0x[0-9a-f]*\Z")
INSIDE = (
    "localhost", "local", "internal", "intranet", "private", "corp", "home", "lan", "svc",
    "home.arpa", "in-addr.arpa", "ip6.arpa", "onion", "invalid",
)  # fmt: skip
PORTS = frozenset({80, 443, 8443})

FORBIDDEN_4 = tuple(
    ipaddress.IPv4Network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
GLOBAL_6 = ipaddress.IPv6Network("2000::/3")  # all that is given out; the rest is special
FORBIDDEN_6 = tuple(
    ipaddress.IPv6Network(one)
    for one in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation allows. The defaults are for production."""

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | None = PORTS  # None: all
    networks: tuple[Network, ...] = ()  # of our own, allowed all the same


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was read: `address` where the host is one, else a name to look up."""

    host: str
    port: int
    address: Address | None


def read(url: str, rules: Rules) -> Target:
    """Read where a webhook is to go. Raises Validation at ``/url`` for what is not allowed."""
    match = FORM.fullmatch(url) if len(url) <= URL_MAX_CHARS else None
    if match is None:
        raise _refused("An address in ASCII, without user, backslash or fragment: https://host/…")
    if match["scheme"] not in rules.schemes:
        raise _refused("Webhooks are sent by https.")
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80))
    if not 0 < port < 65_536 or (rules.ports is not None and port not in rules.ports):
        raise _refused("Webhooks are sent to port 443, 80 or 8443.")
    host = match["host"].lower()
    address = _literal(host)
    if address is None:
        _check_name(host, rules)
    elif forbidden(address, rules.networks):
        raise _refused("Nothing is sent to this address.")
    return Target(host=host, port=port, address=address)


def _literal(host: str) -> Address | None:
    """Read an IP address, in its one usual spelling; None for a name."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if NUMBER.fullmatch(host.rpartition(".")[2]):  # every other reader takes it for an address
            return IPv4Address(host)
    except ValueError as error:
        raise _refused("Not the usual spelling of an IP address.") from error
    return None


def _check_name(host: str, rules: Rules) -> None:
    labels = host.split(".")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise _refused("Not the name of a host.")
    if rules.networks:
        return  # its address decides
    if len(labels) < 2 or any(host == name or host.endswith(f".{name}") for name in INSIDE):
        raise _refused("Nothing is sent to this name.")


def forbidden(address: Address, networks: Iterable[Network] = ()) -> bool:
    """Tell whether an address is none of the public internet, and not in `networks` either.

    Addresses that wrap another one (mapped, NAT64, 6to4, Teredo) are all forbidden.
    """
    if any(address.version == one.version and address in one for one in networks):
        return False
    if isinstance(address, IPv4Address):
        return any(address in one for one in FORBIDDEN_4)
    return (
        address not in GLOBAL_6
        or address.scope_id is not None
        or any(address in one for one in FORBIDDEN_6)
    )


def judge(found: Iterable[str], networks: Iterable[Network] = ()) -> list[Address]:
    """Read the addresses a name has. Raises Validation when there is none, or one is forbidden."""
    addresses: list[Address] = []
    for one in found:
        try:
            addresses.append(ipaddress.ip_address(one))
        except ValueError as error:  # with a zone, for example
            raise _refused("Nothing is sent to this name.") from error
    if not addresses or any(forbidden(one, networks) for one in addresses):
        raise _refused("Nothing is sent to this name.")
    return addresses


def _refused(detail: str) -> Validation:
    return Validation.at("/url", detail)
