"""PostgreSQL and NATS: ours for those who brought none, else theirs by URL."""
