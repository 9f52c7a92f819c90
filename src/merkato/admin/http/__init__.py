"""The routes of the back office."""

from merkato.admin.http import dashboard, login, orders, products, settings, tables

ROUTES = (
    *dashboard.ROUTES, *login.ROUTES, *orders.ROUTES, *products.ROUTES, *settings.ROUTES,
    *tables.ROUTES,
)  # fmt: skip
