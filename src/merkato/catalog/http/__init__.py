"""The HTTP face of catalog."""

from merkato.catalog.http import products, variants
from merkato.catalog.http.pages import Pages, Shop
from merkato.chassis.http import Routes

ROUTES: Routes = (*products.ROUTES, *variants.ROUTES)

__all__ = ["ROUTES", "Pages", "Shop"]
