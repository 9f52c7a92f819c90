"""Every statement of catalog, by what it is about. The caller owns the transaction."""
