"""What the broker can be asked to change."""
