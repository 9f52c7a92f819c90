"""The HTTP face of payments."""

from merkato.payments.http import ledger, payments, refunds, webhooks

ROUTES = (*payments.ROUTES, *refunds.ROUTES, *ledger.ROUTES, *webhooks.ROUTES)
