"""Rules of accounts and of who may do what; nothing here does I/O or looks at a clock."""
