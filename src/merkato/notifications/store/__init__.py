"""Every statement of notifications, by what it is about. The caller owns the transaction."""
