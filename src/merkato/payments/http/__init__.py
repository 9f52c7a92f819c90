"""The HTTP face of payments."""

from merkato.payments.http import ledger, payments, people, refunds, webhooks

ROUTES = (*payments.ROUTES, *refunds.ROUTES, *ledger.ROUTES, *webhooks.ROUTES, *people.ROUTES)
