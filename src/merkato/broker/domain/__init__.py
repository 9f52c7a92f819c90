"""Rules of the broker: what is shown, what a topic is, what may change."""
