"""A mailbox for development: takes every mail, delivers none, shows them all.

Answers  SMTP; pages and JSON over HTTP
Owns     mailbox.sqlite: the newest 20,000 messages, and counts of all there ever were
"""
