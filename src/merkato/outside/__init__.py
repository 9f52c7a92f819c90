"""The stand-ins for those outside: a card processor and a mailbox, for development and tests.

Owns     two SQLite files of its own, nothing of the shop
Answers  a subset of Stripe's documented API, signed webhooks, SMTP, and pages to look at
Knows    nothing of the shop: it is reached over HTTP and SMTP only, and imports none of it

No real money and no real mail is ever moved; outside development it refuses to start.
"""
