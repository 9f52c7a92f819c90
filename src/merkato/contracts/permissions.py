"""Which role may do what, as shipped with the code. Tokens carry role names only."""

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
    "roles:read",
    "roles:write",
    "topics:write",
    "users:write",
    "webhooks:write",
}

# A part of what staff do, each for those who do nothing else.
SUPPORT = frozenset(
    {
        "customers:read",
        "inventory:read",
        "notifications:read",
        "notifications:write",
        "orders:credit",
        "orders:discount",
        "orders:read",
        "orders:write",
        "payments:read",
    }
)
FULFILMENT = frozenset({"inventory:read", "inventory:write", "orders:read", "orders:ship"})
CATALOGUE = frozenset({"catalog:write", "inventory:read", "reports:read"})
ACCOUNTING = frozenset({"orders:read", "payments:read", "payments:write", "reports:read"})

# Roles of the code; a shop can make others of its own (users keeps them, everybody hears of them).
ROLES: dict[str, frozenset[str]] = {
    "customer": CUSTOMER,
    "accountant": ACCOUNTING,
    "catalogue-manager": CATALOGUE,
    "fulfilment": FULFILMENT,
    "support": SUPPORT,
    "staff": STAFF,
    "admin": ADMIN,
}

# What a service may do on its own, beside the routes that are for services only.
SERVICE = frozenset({"notifications:send"})
