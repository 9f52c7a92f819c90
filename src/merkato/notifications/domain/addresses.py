"""Mail addresses, as far as mail can be sent to them. Pure."""

import re

ADDRESS = re.compile(
    r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"
)
ADDRESS_MAX = 254  # characters (RFC 5321, 4.5.3.1)


class BadAddress(ValueError):
    """An address no mail can be sent to."""


def checked(address: str) -> str:
    """Give an address with its domain in ASCII (IDNA). Raises BadAddress for what is none."""
    if len(address) > ADDRESS_MAX or not ADDRESS.fullmatch(address):
        raise BadAddress("not a mail address")
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise BadAddress("not a domain") from error
