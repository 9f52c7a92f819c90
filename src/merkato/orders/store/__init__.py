"""Every statement of orders, by what it is about. The caller owns the transaction."""
