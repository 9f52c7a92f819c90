"""The stand-ins for those outside: a card processor, a mailbox and a gateway to telephones.

Owns     two SQLite files of its own, nothing of the shop
Answers  a subset of Stripe's documented API, signed webhooks, SMTP, signed messages, and pages
Knows    nothing of the shop: it is reached over HTTP and SMTP only, and imports none of it

No real money and no real mail is ever moved; outside development it refuses to start.
"""
