"""What catalog can be asked to change, by noun."""
