"""What notifications does by the clock: hand over what is due, each channel by itself."""
