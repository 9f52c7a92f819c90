"""What the payments service is made of."""

from functools import partial

from merkato.chassis.service import Every, Service
from merkato.config import Config
from merkato.contracts.payments import (
    CaptureFailed,
    PaymentActionRequired,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
    RefundFailed,
)
from merkato.payments import actions, handlers, http, jobs
from merkato.payments.providers.cards import Stripe
from merkato.payments.providers.provider import NoCards

POLL_S = 1.0  # how soon what another process wrote is seen


def service(config: Config) -> Service:
    """Put the service together. Raises ValueError for a processor without a webhook secret."""
    provider = _provider(config)
    ask = partial(jobs.ask_provider, provider=provider, concurrency=config.payments.concurrency)
    return Service(
        name="payments",
        prefixes=("/api/v1/payments", "/api/v1/refunds", "/api/v1/ledger"),
        routes=http.ROUTES,
        says=(
            PaymentAuthorised,
            PaymentCaptured,
            PaymentDeclined,
            PaymentActionRequired,
            PaymentVoided,
            CaptureFailed,
            PaymentRefunded,
            PaymentDisputed,
            RefundFailed,
        ),
        hears=handlers.HEARS,
        forgets=handlers.forget,
        jobs=(
            Every(actions.ASK, POLL_S, ask),
            Every(actions.LOOK, POLL_S, jobs.look_at_webhooks),
        ),
        provides=lambda _: {"reader": provider, "order_secret": config.orders.token_secret},
    )


def _provider(config: Config) -> Stripe | NoCards:
    settings = config.payments
    if not settings.stripe_key:
        return NoCards()
    if not settings.stripe_webhook_secret:
        raise ValueError("payments.stripe_webhook_secret is missing: webhooks could be forged")
    return Stripe(
        settings.stripe_key,
        settings.stripe_url,
        webhook_secret=settings.stripe_webhook_secret,
        at_once=settings.capture == "at_once",
        deadline_s=settings.provider_deadline_s,
        return_url=config.public_url,
    )
