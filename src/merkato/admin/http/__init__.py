"""The routes of the back office."""

from merkato.admin.http import (
    catalogue,
    categories,
    coupons,
    dashboard,
    imports,
    login,
    orders,
    price_lists,
    products,
    settings,
    stock,
    tables,
    terms,
    variants,
    views,
)

ROUTES = (
    *dashboard.ROUTES, *login.ROUTES, *orders.ROUTES, *catalogue.ROUTES, *products.ROUTES,
    *variants.ROUTES, *categories.ROUTES, *imports.ROUTES, *stock.ROUTES, *price_lists.ROUTES,
    *terms.ROUTES, *coupons.ROUTES, *settings.ROUTES, *views.ROUTES, *tables.ROUTES,
)  # fmt: skip
