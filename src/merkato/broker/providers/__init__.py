"""Those outside: the endpoints of webhooks."""
