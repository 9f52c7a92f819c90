"""What notifications can be asked to change, by what it is about."""
