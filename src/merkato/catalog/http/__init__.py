"""The HTTP face of catalog."""

from merkato.catalog.http import (
    categories,
    exports,
    images,
    imports,
    listing,
    price_lists,
    prices,
    products,
    records,
    variants,
)
from merkato.catalog.http.counts import Counts
from merkato.catalog.http.pages import Pages, Shop
from merkato.chassis.http import Routes

ROUTES: Routes = (
    *listing.ROUTES,
    *products.ROUTES,
    *records.ROUTES,
    *variants.ROUTES,
    *images.ROUTES,
    *price_lists.ROUTES,
    *prices.ROUTES,
    *categories.ROUTES,
    *imports.ROUTES,
    *exports.ROUTES,
)

__all__ = ["ROUTES", "Counts", "Pages", "Shop"]
