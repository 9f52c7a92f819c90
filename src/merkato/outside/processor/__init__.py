"""A card processor that moves no money: Stripe's documented API, as far as the shop uses it.

Answers  payment intents, refunds and events under /v1; challenge pages; /standin for tests
Says     signed webhooks, repeated until the shop takes them
Owns     processor.sqlite: its own ledger, so that comparing with it means something
"""
