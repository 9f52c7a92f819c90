"""What the inventory service is made of. Topology decides in which process it runs."""

from functools import partial

from merkato.chassis.service import Every, Service
from merkato.config import Config
from merkato.contracts.inventory import ReservationLost, StockChanged, StockLow
from merkato.inventory import handlers, http, jobs


def service(config: Config) -> Service:
    """Put the service together."""
    settings = config.inventory
    threshold = settings.low_stock_threshold
    return Service(
        name="inventory",
        prefixes=("/api/v1/stock", "/api/v1/reservations", "/api/v1/locations"),
        routes=http.ROUTES,
        says=(StockChanged, StockLow, ReservationLost),
        hears=handlers.HEARS,
        jobs=(
            Every("expire-holds", 5, jobs.expire),
            Every("stock-news", 1, partial(jobs.stock_news, threshold=threshold)),
        ),
        asks=("orders",),
        provides=lambda resources: {
            "reservations": http.Reservations(resources.db, settings.provisional_per_principal_max),
            "settings": http.Settings(threshold),
        },
    )
