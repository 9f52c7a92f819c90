"""What the catalog service is made of. Topology decides in which process it runs."""

from functools import partial

from merkato.catalog import handlers, http, jobs
from merkato.chassis.service import Every, Service
from merkato.config import Config
from merkato.contracts.catalog import (
    ProductArchived,
    ProductChanged,
    ProductPublished,
    VariantPriced,
)

PRICES_S = 5.0  # how soon a price counts after its `valid_from`
IMPORTS_S = 1.0  # how soon a file is worked off that another process has received


def service(config: Config) -> Service:
    """Put the service together."""
    settings = config.catalog
    default_locale = settings.default_locale
    return Service(
        name="catalog",
        prefixes=(
            "/api/v1/products",
            "/api/v1/product-records",
            "/api/v1/variants",
            "/api/v1/categories",
            "/api/v1/price-lists",
            "/api/v1/prices",
            "/api/v1/imports",
            "/api/v1/exports",
            "/images",
        ),
        routes=http.ROUTES,
        says=(ProductPublished, ProductChanged, ProductArchived, VariantPriced),
        hears=handlers.hears(settings.few_below),
        jobs=(
            Every("tell-prices", PRICES_S, jobs.tell_prices),
            Every("import", IMPORTS_S, partial(jobs.import_files, default_locale=default_locale)),
        ),
        provides=lambda resources: {
            "shop": http.Shop(settings.default_locale, settings.default_currency),
            "pages": http.Pages(resources.db),
            "counts": http.Counts(resources.db),
        },
    )
