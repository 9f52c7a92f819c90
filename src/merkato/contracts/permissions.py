"""Which role may do what: one table, shipped with the code. Tokens carry role names only."""

CUSTOMER: frozenset[str] = frozenset()
STAFF = frozenset(
    {
        "catalog:write",
        "customers:read",
        "dead-letters:read",
        "dead-letters:write",
        "events:read",
        "inventory:read",
        "inventory:write",
        "notifications:read",
        "notifications:send",
        "notifications:write",
        "orders:agree-prices",
        "orders:configure",
        "orders:credit",
        "orders:discount",
        "orders:place-for",
        "orders:read",
        "orders:ship",
        "orders:write",
        "payments:read",
        "payments:write",
        "reports:read",
        "webhooks:read",
    }
)
ADMIN = STAFF | {
    "api-keys:read",
    "api-keys:write",
    "audit-trail:read",
    "customers:erase",
    "events:publish",
    "topics:write",
    "users:write",
    "webhooks:write",
}

ROLES: dict[str, frozenset[str]] = {"customer": CUSTOMER, "staff": STAFF, "admin": ADMIN}

# What a service may do on its own, beside the routes that are for services only.
SERVICE = frozenset({"notifications:send"})
