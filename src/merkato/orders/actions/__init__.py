"""What orders can be asked to change. Each runs inside the transaction it is given."""
