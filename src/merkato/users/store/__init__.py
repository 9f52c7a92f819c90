"""Every statement of users. The caller owns the transaction; a user's row is locked first."""
