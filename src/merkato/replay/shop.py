"""A running shop, spoken to under an API key; busy and silent moments are waited out."""

from merkato.client import Client

TIMEOUT_S = 30.0  # longest wait for one answer
PATIENCE_S = 120.0  # how long one request is tried again while the shop is busy or not there
SCOPES = (
    "catalog:write", "inventory:read", "inventory:write", "orders:agree-prices", "orders:credit",
    "orders:place-for", "orders:read", "orders:ship", "orders:write", "reports:read",
)  # fmt: skip


def patient(url: str, key: str, *, at_once: int) -> Client:
    """Speak to the shop at `url`; `key` is an API key with SCOPES, or an access token."""
    return Client(url, key=key, timeout_s=TIMEOUT_S, patience_s=PATIENCE_S, at_once=at_once)
