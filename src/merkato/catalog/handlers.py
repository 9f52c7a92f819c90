"""What catalog does on hearing an event."""
