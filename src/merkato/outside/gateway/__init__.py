"""A gateway for development: takes signed messages for telephones, sends none, shows them all.

Answers  POST /messages after Standard Webhooks; pages and JSON over HTTP
Owns     the newest messages, in memory: a restart forgets them
"""
