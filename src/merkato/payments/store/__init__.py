"""Every statement of payments. The caller owns the transaction."""
