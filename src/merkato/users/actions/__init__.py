"""What users can be asked to change. Each action runs inside the transaction it is given."""
