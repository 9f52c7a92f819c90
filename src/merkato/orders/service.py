"""What the orders service is made of. Topology decides in which process it runs."""

from functools import partial

from merkato.chassis.service import Every, Service
from merkato.config import Config
from merkato.contracts.orders import (
    LinesShipped,
    OrderCancelled,
    OrderConfirmed,
    OrderCredited,
    OrderErased,
    OrderPlaced,
    ReturnReceived,
    ReturnRejected,
    ReturnRequested,
    ShipmentDelivered,
)
from merkato.orders import handlers, http, jobs
from merkato.orders.actions import people
from merkato.orders.http.desk import Desk

SECRET_CHARS_MIN = 32


def service(config: Config) -> Service:
    """Put the service together. Raises ValueError when the token secret is missing or short."""
    settings = config.orders
    if "orders" in config.here and len(settings.token_secret) < SECRET_CHARS_MIN:
        raise ValueError(f"orders.token_secret needs at least {SECRET_CHARS_MIN} characters")
    return Service(
        name="orders",
        prefixes=(
            "/api/v1/carts",
            "/api/v1/coupons",
            "/api/v1/credits",
            "/api/v1/customer-price-lists",
            "/api/v1/orders",
            "/api/v1/reports",
            "/api/v1/returns",
            "/api/v1/shipments",
            "/api/v1/shipping-methods",
            "/api/v1/tax-rates",
        ),
        routes=http.ROUTES,
        says=(
            OrderPlaced,
            OrderConfirmed,
            OrderCancelled,
            LinesShipped,
            ShipmentDelivered,
            ReturnRequested,
            ReturnReceived,
            ReturnRejected,
            OrderCredited,
            OrderErased,
        ),
        hears=handlers.HEARS,
        forgets=people.forget,
        jobs=(
            Every("watch", 5, jobs.watch),
            Every("seller", 3_600, partial(jobs.keep_seller, seller=settings.seller)),
        ),
        asks=("inventory", "payments"),
        provides=lambda resources: {"desk": Desk(resources.db, resources.asks, settings)},
    )
