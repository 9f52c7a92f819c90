"""Every statement of the broker. The caller owns the transaction."""
