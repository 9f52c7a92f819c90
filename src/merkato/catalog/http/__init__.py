"""The HTTP face of catalog."""

from merkato.catalog.http import categories, listing, products, variants
from merkato.catalog.http.pages import Pages, Shop
from merkato.chassis.http import Routes

ROUTES: Routes = (*listing.ROUTES, *products.ROUTES, *variants.ROUTES, *categories.ROUTES)

__all__ = ["ROUTES", "Pages", "Shop"]
